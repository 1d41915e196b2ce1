"""Windows: half-open spans of time over one of the two timestamps, and the segments they are made of."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal

Timestamp = Literal["labeled_at", "predicted_at"]

OUTSIDE = 0


@dataclass(frozen=True)
class Window:
    """Rows whose `on` timestamp lies in `[start, end)`, where `end = as_of - maturity` and `start = end - length`.

    `maturity` is how old a prediction must be before the window counts it, so that its label had time to come.
    """

    name: str
    length: timedelta
    on: Timestamp = "labeled_at"
    maturity: timedelta = timedelta(0)

    def bounds(self, as_of: datetime) -> tuple[datetime, datetime]:
        """Start (inclusive) and end (exclusive) of the window at `as_of`.

        Adjacent windows neither lose nor share a row.
        """
        end = as_of - self.maturity
        return end - self.length, end


@dataclass(frozen=True)
class Segments:
    """The disjoint pieces of time between the edges of the windows on one timestamp: a window is a run of segments.

    Segment i lies between the edges i-1 and i; whatever no window covers is the segment OUTSIDE. The edges lie at fixed
    ages before `as_of`, so a segment keeps its number, and a window its segments, at every instant.
    """

    windows: tuple[Window, ...]

    @classmethod
    def on(cls, timestamp: Timestamp, windows: Iterable[Window]) -> "Segments":
        """The segments of those windows that lie on `timestamp`."""
        return cls(tuple(window for window in windows if window.on == timestamp))

    @cached_property
    def ages(self) -> tuple[timedelta, ...]:
        """How long before `as_of` each edge lies, oldest first."""
        return tuple(sorted({age for w in self.windows for age in (w.maturity + w.length, w.maturity)}, reverse=True))

    def of(self, window: Window) -> frozenset[int]:
        """The numbers of the segments that make up a window."""
        return frozenset(
            range(self.ages.index(window.maturity + window.length) + 1, self.ages.index(window.maturity) + 1)
        )

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """The segment's number before each edge, and after the last one: OUTSIDE where no window covers it."""
        covered = frozenset().union(*(self.of(window) for window in self.windows))
        return tuple(i if i in covered else OUTSIDE for i in range(len(self.ages) + 1))
