"""One server for all the processes of a test session: started by whoever needs it first, gone when the session ends.

A keeper process runs each server, and ends with it when the session's lifeline breaks: a FIFO that the session's first
process holds open. So the servers stop however the session ends, kill -9 included.
"""

import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from tests import servers
from tests.processes import ServerError, wait_until

Start = Callable[[], AbstractContextManager[str]]
SERVERS: dict[str, Start] = {
    "pushgateway": servers.pushgateway,
    "postgres": servers.postgres,
    "mariadb": servers.mariadb,
    "mlflow": servers.mlflow,
    "spark": servers.spark,
}
_keepers: list[subprocess.Popen[bytes]] = []  # referenced, because a forgotten Popen warns


@contextmanager
def session() -> Iterator[Path]:
    """A directory through which the processes of a session share servers; leaving the block stops them all."""
    folder = Path(tempfile.mkdtemp(prefix="evaljob-session-"))
    os.mkfifo(folder / "lifeline")
    lifeline = os.open(folder / "lifeline", os.O_RDWR)
    try:
        yield folder
    finally:
        os.close(lifeline)
        locks = list(folder.glob("*.lock"))
        wait_until(lambda: not any(_is_locked(lock) for lock in locks), f"the end of the servers in {folder}")
        shutil.rmtree(folder)


def url(folder: Path, kind: str, variant: str = "") -> str:
    """URL of the session's server of this kind (a key of SERVERS); another `variant` is another server.

    Raises:
        ServerError: it did not start.
    """
    record = folder / f"{kind}-{variant}.json"
    if not record.exists():
        _keepers.append(_keeper(folder, kind, record))
        wait_until(record.exists, f"the shared {kind}", servers.SLOW)
    found = json.loads(record.read_text())
    if "error" in found:
        raise ServerError(found["error"])
    return str(found["url"])


def _keeper(folder: Path, kind: str, record: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.shared", str(folder), kind, str(record)]
    root = Path(__file__).parents[1]
    return subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, start_new_session=True)


def keep(folder: Path, kind: str, record: Path) -> None:
    """Run a server until the lifeline breaks, its URL (or why there is none) in `record`. One keeper per record."""
    with record.with_suffix(".lock").open("w") as lock, suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            with SERVERS[kind]() as address:
                _write(record, {"url": address})
                _wait_for_the_end(folder / "lifeline")
        except (OSError, ServerError) as error:
            _write(record, {"error": f"{type(error).__name__}: {error}"})


def _write(record: Path, content: dict[str, str]) -> None:
    draft = record.with_suffix(".draft")
    draft.write_text(json.dumps(content))
    draft.rename(record)  # at once: a reader sees all of it or none


def _wait_for_the_end(lifeline: Path) -> None:
    reader = os.open(lifeline, os.O_RDONLY | os.O_NONBLOCK)  # opens although the writer may be gone already
    os.set_blocking(reader, True)
    os.read(reader, 1)  # nothing is ever written: it returns when the last writer has gone


def _is_locked(path: Path) -> bool:
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
