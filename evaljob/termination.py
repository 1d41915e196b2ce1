"""SIGTERM for commands that run as process 1 of a container, to which the kernel gives no signal without a handler."""

import logging
import os
import signal
import threading

CODE = 128 + signal.SIGTERM
logger = logging.getLogger(__name__)


def heed() -> None:
    """End process 1 at once when it is told to; other processes end by themselves.

    What was not committed is rolled back by the database, and the next run does it again. Must be called before other
    threads are started: they take over that the signal waits for its thread.
    """
    if os.getpid() == 1:
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
        threading.Thread(target=_end, name="sigterm", daemon=True).start()


def _end() -> None:
    signal.sigwait([signal.SIGTERM])
    logger.error("SIGTERM: the command is aborted; the next run does what this one did not")
    logging.shutdown()
    os._exit(CODE)  # the main thread may be waiting for a database, and would not hear of it
