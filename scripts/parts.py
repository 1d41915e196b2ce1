"""Programs that run together: each waited for as it starts, all of them watched, and stopped by their process ids."""

import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

PATIENCE = 300.0  # seconds for a part to answer
_GRACE = 30.0  # seconds for a part to end


class PartError(Exception):
    """A part did not start, or has ended; the message carries what it said."""


class StoppedError(Exception):
    """Somebody wants the end."""


@dataclass(frozen=True)
class Part:
    """A program, and the address that it answers when it is ready; without one it is ready at once."""

    name: str
    command: Sequence[str]
    ready: str | None = None


class Running:
    """The parts that run, each logging to a file of its own in `folder`. Leaving the block stops them, last first.

    Whoever sets `stopping` ends the waiting.
    """

    def __init__(self, folder: Path, working_directory: Path, environ: Mapping[str, str]) -> None:
        self._folder, self._working_directory, self._environ = folder, working_directory, environ
        self._stack, self._processes = ExitStack(), dict[str, subprocess.Popen[bytes]]()
        self.stopping = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self, part: Part) -> int:
        """Start a part, wait until it is ready and return its process id. Raises PartError and StoppedError."""
        process = self._processes[part.name] = self._stack.enter_context(self._process(part))
        deadline = time.monotonic() + PATIENCE
        while part.ready is not None and not _answers(part.ready):
            if time.monotonic() > deadline:
                raise PartError(f"{part.name} does not answer at {part.ready}:\n{self._last_words(part.name)}")
            self.pause(0.2)
        return process.pid

    def pause(self, seconds: float) -> None:
        """Wait. Raises PartError when a part has ended and StoppedError when somebody wants the end."""
        if self.stopping.wait(seconds):
            raise StoppedError
        for name, process in self._processes.items():
            if process.poll() is not None:
                raise PartError(f"{name} has ended with exit code {process.returncode}:\n{self._last_words(name)}")

    @contextmanager
    def _process(self, part: Part) -> Iterator[subprocess.Popen[bytes]]:
        with self._log(part.name).open("wb") as log:
            # A session of its own: Ctrl-C reaches this program alone, which then stops the parts in their order.
            process = subprocess.Popen(  # noqa: S603  (the caller's own commands)
                part.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._working_directory,
                env=self._environ,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            _stop(process)

    def _log(self, name: str) -> Path:
        return self._folder / f"{name}.log"

    def _last_words(self, name: str) -> str:
        return "\n".join(self._log(name).read_text(errors="replace").splitlines()[-20:])


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def fetch(url: str) -> str:
    """The body of an HTTP answer, never through a proxy. Raises OSError."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as answer:
        return str(answer.read().decode())


def _answers(url: str) -> bool:
    try:
        fetch(url)
    except OSError:
        return False
    return True
