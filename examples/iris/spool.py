"""A bounded file that keeps rows while their database cannot be reached. The processes of a host share it."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = dict[str, Any]
_BATCH = 500


class SpoolFullError(Exception):
    """The row is kept nowhere: the bound is reached, or the disk refuses it."""


class Spool:
    """Rows of plain JSON in `directory`, at most `limit` bytes of them.

    A row is on the disk when `append` returns, so it outlives the process and the machine. While one process drains
    what had gathered, all may append to a new file.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory, self._limit = directory, limit
        self._gathering, self._draining = directory / "gathering.jsonl", directory / "draining.jsonl"

    @property
    def size(self) -> int:
        """Bytes that wait."""
        return _size(self._gathering) + _size(self._draining)

    def append(self, row: Row) -> None:
        """Keep a row. Raises SpoolFullError."""
        # A line of its own, even after one that a crash has torn.
        record = f"\n{json.dumps(row)}\n".encode()
        with self._locked("append"):
            if self.size + len(record) > self._limit:
                raise SpoolFullError(f"{self._directory} holds {self._limit} bytes, which is its bound")
            _append(self._gathering, record)

    def drain(self, write: Callable[[list[Row]], None]) -> None:
        """Give the rows to `write` in batches, oldest first, and forget them when it has taken all.

        When `write` raises, or the process dies, all of them are given again next time: it must know those it has.
        Does nothing while another process drains.
        """
        with self._locked("drain", wait=False) as mine:
            if mine and self._take():
                for batch in _batches(self._draining):
                    write(batch)
                self._draining.unlink()

    def _take(self) -> bool:
        with self._locked("append"):
            if not self._draining.exists() and self._gathering.exists():
                self._gathering.rename(self._draining)
        return self._draining.exists()

    @contextmanager
    def _locked(self, name: str, *, wait: bool = True) -> Iterator[bool]:
        with (self._directory / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True


def _append(path: Path, record: bytes) -> None:
    try:
        with path.open("ab", buffering=0) as file:
            file.write(record)
            os.fsync(file.fileno())
    except OSError as error:
        raise SpoolFullError(f"{path} cannot be written: {error.strerror}") from error


def _batches(path: Path) -> Iterator[list[Row]]:
    batch: list[Row] = []
    with path.open("rb") as file:
        for row in filter(None, map(_row, file)):
            batch.append(row)
            if len(batch) == _BATCH:
                yield batch
                batch = []
    if batch:
        yield batch


def _row(line: bytes) -> Row | None:
    """None for a torn line, whose `append` did not return: nobody was told that the row is kept."""
    try:
        row: Row = json.loads(line)
    except ValueError:
        return None
    return row


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
