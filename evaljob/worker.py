"""The scheduler: evaluates when it is time, one run at a time, and stops cleanly when it is told to."""

import logging
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import FrameType

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from evaljob.config import Config, load
from evaljob.errors import EvaljobError
from evaljob.health import EVALUATION, RECONCILIATION, Health, Server, listen
from evaljob.page import Page
from evaljob.schedule import main_trigger, reconcile_trigger

GRACE = timedelta(seconds=25)  # less than the 30 s that Kubernetes waits before it kills
ABORTED = 1
_TICK = 1.0
_WAIT_FOR_RUN = 0.1
_SIGNALS = (signal.SIGTERM, signal.SIGINT)
# Each run is late by some milliseconds, and after an absence by hours: it is made up for, once.
_JOBS = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
_log = logging.getLogger(__name__)

Wait = Callable[[float], signal.Signals | None]


def serve(
    config_path: Path,
    run: Callable[..., int],
    reconcile: Callable[[], int] | None = None,
    grace: timedelta = GRACE,
) -> int:
    """Call `run(None)` at once and then by the schedule, until SIGTERM or SIGINT; `reconcile()` by its own.

    Both return an exit code, and whatever they raise is logged. They never overlap. When told to stop, the current
    run may finish within `grace`, and the return value is 0; a second signal, or the end of the grace, ends the process
    with exit code 1. Must be called in the main thread. Raises ConfigError.
    """
    config = load(config_path)
    with _signals() as wait:
        worker = Runner(run, reconcile, Health(main_trigger(config.schedule), datetime.now(UTC)))
        page = Page(config)
        with closing(page), listen(config.worker, worker.health, page) as server, _answering(server):
            scheduler = _started(config, worker)
            _log.info("%s; /healthz and /metrics at %s", main_trigger(config.schedule), server.url)
            stop = _told_to_stop(wait, worker, scheduler)
            worker.stopping.set()
            scheduler.shutdown(wait=False)
            _finish(worker, wait, stop, grace)
    return 0


class Runner:
    """Runs one task at a time and keeps the books in `health`."""

    def __init__(self, run: Callable[..., int], reconcile: Callable[[], int] | None, health: Health) -> None:
        self._run, self._reconcile, self.health = run, reconcile, health
        self._one_at_a_time = threading.Lock()
        self._overrun = threading.Event()
        self.stopping = threading.Event()

    @property
    def reconciles(self) -> bool:
        """Whether there is a reconciliation to run."""
        return self._reconcile is not None

    @property
    def busy(self) -> bool:
        """Whether a task is running."""
        return self._one_at_a_time.locked()

    def evaluate(self) -> None:
        """Evaluate."""
        with self._one_at_a_time:
            self._overrun.clear()
            if not self.stopping.is_set():
                self._booked(EVALUATION, lambda: self._run(None))

    def reconcile(self) -> None:
        """Reconcile."""
        with self._one_at_a_time:
            if self._reconcile is not None and not self.stopping.is_set():
                self._booked(RECONCILIATION, self._reconcile)

    def overrun(self, event: JobSubmissionEvent) -> None:
        """Note that it was time for a task that is still running."""
        if event.job_id == EVALUATION:
            self._overrun.set()
            self.health.overrun()

    @property
    def overdue(self) -> bool:
        """Whether an evaluation was left out for a run that has ended by now."""
        return self._overrun.is_set() and not self.busy

    def _booked(self, task: str, call: Callable[[], int]) -> None:
        began, started = datetime.now(UTC), time.monotonic()
        self.health.begun(task)
        code = _exit_code(call)
        seconds = time.monotonic() - started
        self.health.finished(task, code, began, datetime.now(UTC), seconds)
        _log.log(logging.ERROR if code else logging.INFO, "%s: exit code %d after %.1f s", task, code, seconds)


def _exit_code(call: Callable[[], int]) -> int:
    try:
        return call()
    except EvaljobError as error:
        _log.error("%s", error)
        return error.exit_code
    except BaseException:  # noqa: BLE001  (SystemExit, for one, would end the thread in silence)
        _log.exception("a run failed in a way that nobody foresaw")
        return 1


def _started(config: Config, worker: Runner) -> BackgroundScheduler:
    logging.getLogger("apscheduler").setLevel(logging.WARNING)  # the worker says itself what it does
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults=_JOBS)
    scheduler.add_listener(worker.overrun, EVENT_JOB_MAX_INSTANCES)
    now = datetime.now(UTC)  # what was missed while no worker ran is caught up with, once
    scheduler.add_job(worker.evaluate, main_trigger(config.schedule), id=EVALUATION, name=EVALUATION, next_run_time=now)
    reconciliations = reconcile_trigger(config.schedule)
    if reconciliations is not None and not worker.reconciles:
        _log.warning("schedule.reconcile has no effect: this worker was started without a reconciliation")
    elif reconciliations is not None:
        scheduler.add_job(worker.reconcile, reconciliations, id=RECONCILIATION, name=RECONCILIATION)
    scheduler.start()
    return scheduler


def _told_to_stop(wait: Wait, worker: Runner, scheduler: BackgroundScheduler) -> signal.Signals:
    while (received := wait(_TICK)) is None:
        catch_up(worker, scheduler)
        heed_clock(scheduler)
    return received


def catch_up(worker: Runner, scheduler: BackgroundScheduler) -> None:
    """Evaluate at once when a run took beyond the time of the next: the one after that may be a day away."""
    if worker.overdue:
        scheduler.get_job(EVALUATION).modify(next_run_time=datetime.now(UTC))


def heed_clock(scheduler: BackgroundScheduler) -> None:
    """See to it that a clock that was set neither delays a run nor repeats one.

    The scheduler sleeps for the time that was left by the old clock. Set forward, it has to be woken. Set back, its
    plan may lie far ahead: it is made anew when more than one run would be left out. (One was before the jump.)
    """
    for job in scheduler.get_jobs():
        planned, now = job.next_run_time, datetime.now(UTC)
        due = job.trigger.get_next_fire_time(None, now)
        if planned > job.trigger.following(due):
            _log.warning("the clock was set back: the next %s is at %s instead of %s", job.id, due, planned)
            job.modify(next_run_time=due)
    scheduler.wakeup()


def _finish(worker: Runner, wait: Wait, stop: signal.Signals, grace: timedelta) -> None:
    _log.info("%s: %s", stop.name, "the current run may finish" if worker.busy else "stopping")
    deadline = time.monotonic() + grace.total_seconds()
    while worker.busy:
        again = wait(_WAIT_FOR_RUN)
        if again is not None or time.monotonic() > deadline:
            _abort(f"a second {again.name}" if again else f"not finished within {grace.total_seconds():g} s")


def _abort(why: str) -> None:
    """End the process at once: a thread cannot be stopped, and Python would wait for it."""
    _log.error("the current run is aborted: %s", why)
    logging.shutdown()
    os._exit(ABORTED)


@contextmanager
def _answering(server: Server) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, name="http", daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()


@contextmanager
def _signals() -> Iterator[Wait]:
    """A function that waits for a signal for some seconds, in place of what the signals did before.

    Through a socket, because a signal may come to any thread; and with handlers, because process 1 gets no others.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)  # noqa: FBT003
    before = {number: signal.signal(number, _ignore) for number in _SIGNALS}
    wakeup = signal.set_wakeup_fd(writer.fileno())

    def wait(seconds: float) -> signal.Signals | None:
        ready, _, _ = select.select([reader], [], [], seconds)
        return signal.Signals(reader.recv(1)[0]) if ready else None

    try:
        yield wait
    finally:
        signal.set_wakeup_fd(wakeup)
        for number, handler in before.items():
            signal.signal(number, handler)
        reader.close()
        writer.close()


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """The signal is read from the socket."""
