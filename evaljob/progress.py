"""How far a long task has come: a bar and the time left on a terminal, a line in the log now and then elsewhere."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from time import monotonic
from typing import TypeAlias

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from evaljob.tables import duration

LOG_EVERY = 10.0  # seconds

Report: TypeAlias = Callable[[str, int, int, datetime], None]  # model, instants done, of so many, where it stands

_now = monotonic
logger = logging.getLogger(__name__)


@contextmanager
def reporting() -> Iterator[Report]:
    """What tells people, by standard error or the log, how far each model is."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Log()
        return
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TextColumn("{task.fields[at]}"), TimeRemainingColumn(), console=console) as progress:
        yield Bars(progress)


class Bars:
    """A bar a model."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, model: str, done: int, total: int, at: datetime) -> None:
        """Move the model's bar."""
        shown = f"{at:%Y-%m-%d %H:%M}"
        if model in self._tasks:
            self._progress.update(self._tasks[model], completed=done, at=shown)
        else:
            self._tasks[model] = self._progress.add_task(model, completed=done, total=total, at=shown)


class Log:
    """A line every LOG_EVERY seconds and at the end."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[float, int]] = {}
        self._told: float | None = None

    def __call__(self, model: str, done: int, total: int, at: datetime) -> None:
        """Say where the model stands, unless that was said a moment ago."""
        now = _now()
        began, before = self._began.setdefault(model, (now, done))
        self._told = now if self._told is None else self._told
        if done < total and now - self._told < LOG_EVERY:
            return
        self._told = now
        left = f", about {duration((now - began) / (done - before) * (total - done))} left" if done > before else ""
        logger.info("%s: %d of %d instants, to %s%s", model, done, total, at.isoformat(), left if done < total else "")
