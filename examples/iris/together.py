"""One transaction for all who wait: what makes a log on the disk cheap under load."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from examples.iris.spool import Row


@dataclass
class _Entry:
    row: Row
    done: bool = False
    error: Exception | None = None


class Together:
    """Rows of many threads, written in batches by whichever thread comes first.

    A row that comes alone is written alone and at once; rows that come while a batch is being written make the next
    one. Without it the threads would compete for the database's lock, and SQLite's goes to anyone but the longest
    waiting.
    """

    def __init__(self, write: Callable[[list[Row]], None], limit: int = 500) -> None:
        self._write, self._limit = write, limit
        self._waiting, self._writing = deque[_Entry](), threading.Lock()

    @property
    def waiting(self) -> int:
        """Rows that nobody is writing yet."""
        return len(self._waiting)

    def write(self, row: Row) -> None:
        """Return when the row is written, with others or alone. Raises what writing its batch raised."""
        entry = _Entry(row)
        self._waiting.append(entry)
        with self._writing:
            while not entry.done:
                self._write_batch()
        if entry.error is not None:
            raise entry.error

    def _write_batch(self) -> None:
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), self._limit))]
        try:
            self._write([entry.row for entry in batch])
        except Exception as error:  # noqa: BLE001  (it is raised where the row came from)
            for entry in batch:
                entry.error = error
        for entry in batch:
            entry.done = True
