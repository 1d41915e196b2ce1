"""What the history knows that new results are compared with: each window one length earlier, and when it was new.

Evaluations rarely fall on the second, so an earlier one is taken that is a little off: never later than asked for, so
that the two windows share no row, for the window one length earlier, and as near as possible for the one that looked at
the same time.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd
import sqlalchemy as sa

from evaljob import history
from evaljob.config import Evaluation
from evaljob.errors import EvaluationError
from evaljob.history import Selection
from evaljob.metrics.past import Past
from evaljob.metrics.revision import HEADLINES
from evaljob.window import Window

EARLIER = 10  # the window before may have ended this part of its length earlier than it should
OFF = 100  # and a window on the same time may be off by this part of its length

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Archive:
    """The results of one evaluation's past: those in the history, and `recent` ones that are not stored yet."""

    connection: sa.Connection
    evaluation: Evaluation
    recent: Sequence[pd.DataFrame] = ()

    def past(self, as_of: datetime, offline: Mapping[str, Mapping[str, float]] | None = None) -> Past:
        """What results at `as_of` are compared with. What is not there, or cannot be read any more, is left out."""
        wanted = self.evaluation.metrics
        previous = dict(self._previous(as_of)) if wanted.change and self.evaluation.change.previous else {}
        return Past(previous, dict(self._first(as_of)) if wanted.missing else {}, offline or {})

    def _previous(self, as_of: datetime) -> Iterator[tuple[str, pd.DataFrame]]:
        metrics = self.evaluation.change.compared(self.evaluation.task)
        for window in self.evaluation.windows:
            then = as_of - window.length
            found = self._at(window, then - window.length / EARLIER, then, then, metrics)
            if found is not None:
                yield window.name, found

    def _first(self, as_of: datetime) -> Iterator[tuple[str, tuple[str, pd.DataFrame]]]:
        for first, final in pairs(self.evaluation.windows):
            then, off = as_of - (final.maturity - first.maturity), first.length / OFF
            found = self._at(first, then - off, min(then + off, as_of), then, HEADLINES)
            if found is not None:
                yield final.name, (first.name, found)

    def _at(
        self, window: Window, start: datetime, end: datetime, then: datetime, metrics: Sequence[str]
    ) -> pd.DataFrame | None:
        """The results of a window of the evaluation between two instants that are the nearest to `then`."""
        instants = [frame["as_of"].iloc[0].to_pydatetime() for frame in self.recent]
        stored = history.instants(self.connection, self.evaluation.model, Selection(start=start, end=end))
        there = sorted((abs(t - then), t) for t in {*instants, *stored} if start <= t <= end)
        if not there:
            return None
        nearest = there[0][1]
        if nearest in instants:
            frame = self.recent[instants.index(nearest)]
            found = frame[(frame["window"] == window.name) & frame["metric"].isin(metrics)]
        else:
            found = self._stored(window, nearest, metrics)
        return found if _is_of(window, found) else None

    def _stored(self, window: Window, instant: datetime, metrics: Sequence[str]) -> pd.DataFrame:
        selection = Selection(
            (self.evaluation.model,), instant, instant, windows=(window.name,), metrics=tuple(metrics)
        )
        try:
            return history.read(self.connection, selection)
        except EvaluationError as error:
            logger.warning("nothing is compared with it: %s", error)
            return pd.DataFrame()


def pairs(windows: Sequence[Window]) -> Iterator[tuple[Window, Window]]:
    """Windows on `predicted_at` of one length: the least mature, which tells first, and each of the others."""
    by_length: dict[timedelta, list[Window]] = {}
    for window in windows:
        if window.on == "predicted_at":
            by_length.setdefault(window.length, []).append(window)
    for alike in by_length.values():
        first, *others = sorted(alike, key=lambda window: window.maturity)
        yield from ((first, final) for final in others if final.maturity > first.maturity)


def _is_of(window: Window, results: pd.DataFrame) -> bool:
    """Whether results are of the window as it is configured now, and not of another one of that name."""
    if results.empty:
        return False
    as_of, start, end = (results[name].iloc[0] for name in ("as_of", "window_start", "window_end"))
    return bool(end - start == window.length and as_of - end == window.maturity)
