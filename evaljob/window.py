"""Windows: half-open spans of time over one of the two timestamps, bounded at an `as_of`."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Timestamp = Literal["labeled_at", "predicted_at"]


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
        """Start (inclusive) and end (exclusive) of the window at `as_of`. Adjacent windows neither lose nor share a row."""
        end = as_of - self.maturity
        return end - self.length, end
