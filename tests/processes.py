"""Programs that the tests start: found, run in a directory of their own, waited for, stopped by their process id."""

import os
import pwd
import random
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LOOPBACK = "127.0.0.1"
_DEBIAN_SERVERS = ("/usr/sbin", "/sbin", *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)))


class ServerError(RuntimeError):
    """A server is not installed, or did not start; the message carries what it said."""


def program(*names: str) -> str:
    """Path of the first of `names` that is installed, on the PATH or where Debian keeps servers.

    Raises:
        ServerError: none is.
    """
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_DEBIAN_SERVERS])
    for name in names:
        if found := shutil.which(name, path=path):
            return found
    raise ServerError(f"{' or '.join(names)} is not installed: `make servers` installs it")


def free_port() -> int:
    """A port that nobody listens on. It lies below the ports that outgoing connections take, so none takes it first."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with socket.socket() as candidate:
            try:
                candidate.bind((LOOPBACK, port))
            except OSError:
                continue
            return port
    raise ServerError("no free port between 20000 and 32000")


def listens(port: int) -> bool:
    """Whether somebody accepts connections on this loopback port."""
    with socket.socket() as client:
        return client.connect_ex((LOOPBACK, port)) == 0


def wait_until(condition: Callable[[], object], what: str, timeout: float = 60.0) -> None:
    """Wait until the condition holds. Raises TimeoutError, which names `what`, after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {timeout:g} s for {what}")
        time.sleep(0.02)


@contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    ready: Callable[[], bool],
    user: str | None = None,
    stop: signal.Signals = signal.SIGTERM,
    environment: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Iterator[None]:
    """Run a server inside the block, from when it is `ready` on; as root, as this `user`; `stop` is what ends it.

    The `environment` is ours unless another one is given.

    Raises:
        ServerError: it ended before it was ready.
        TimeoutError: it was not ready in time.
    """
    log = folder / "log"
    with log.open("wb") as output, _process(command, output, folder, user, environment) as server:
        try:
            wait_until(lambda: server.poll() is not None or ready(), f"{command[0]} to start", timeout)
            if server.returncode is not None:
                raise ServerError(f"{command[0]} did not start: {log.read_text()[-2000:]}")
            yield
        finally:
            _stop(server, stop)


def _process(
    command: Sequence[str], output: Any, folder: Path, user: str | None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    # A session of its own: Ctrl-C stops the tests, and the tests stop their servers.
    identity: dict[str, Any] = {"user": user, "group": _group(user), "extra_groups": ()} if user else {}
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        cwd=folder,
        start_new_session=True,
        env=environment,
        **identity,
    )


def _stop(server: subprocess.Popen[bytes], how: signal.Signals) -> None:
    if server.poll() is None:
        server.send_signal(how)
    try:
        server.wait(timeout=20)
    except subprocess.TimeoutExpired:
        server.kill()


def run(command: Sequence[str], folder: Path, user: str | None = None) -> None:
    """Run a program to its end. Raises ServerError with what it wrote when it fails."""
    with tempfile.TemporaryFile() as output, _process(command, output, folder, user) as process:
        if process.wait() != 0:
            output.seek(0)
            raise ServerError(f"{command[0]} failed: {output.read().decode()[-2000:]}")


@contextmanager
def directory(name: str, owner: str | None = None) -> Iterator[Path]:
    """A temporary directory, gone after the block, that belongs to this account."""
    with tempfile.TemporaryDirectory(prefix=f"evaljob-{name}-", dir=_open_to_all()) as made:
        if owner:
            shutil.chown(made, owner, _group(owner))
        yield Path(made)


def _open_to_all() -> Path:
    """The first temporary directory that another account can reach."""
    places = [Path(tempfile.gettempdir()).resolve(), Path("/tmp"), Path("/var/tmp")]  # noqa: S108  (mkdtemp goes in it)
    return next(p for p in places if all(q.stat().st_mode & stat.S_IXOTH for q in (p, *p.parents)))


def account(*names: str) -> str | None:
    """The first of these accounts there is, when root runs the tests; None for everybody else."""
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next(name for name in names if name in known)


def _group(user: str) -> int:
    return pwd.getpwnam(user).pw_gid


def text_of(path: Path) -> str:
    """What a file holds, nothing when there is none (yet)."""
    return path.read_text() if path.exists() else ""
