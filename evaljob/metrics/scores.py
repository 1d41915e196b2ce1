"""The scores of every series, from the outcome cells: rows, positives and sums per fine bin."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from evaljob.metrics.series import Counts, Series, Values
from evaljob.statistics.bins import SCORE_BINS, SCORE_UNIT
from evaljob.statistics.calibration import Bins


@dataclass(frozen=True)
class Scores:
    """Of rows that have a score; a positive is one whose label is what the score is the probability of.

    `fine` and the sums have shape (series, SCORE_BINS), in units of probability; `log_loss` is a sum (series,).
    """

    fine: Bins
    positive_score: Values
    squared_score: Values
    log_loss: Values

    @cached_property
    def support(self) -> Counts:
        """Rows with a score, (series,)."""
        return np.asarray(self.fine.support.sum(axis=1))

    @cached_property
    def negatives(self) -> Counts:
        """Rows of which the score said something else, by bin."""
        return np.asarray(self.fine.support - self.fine.positives)

    def of(self, series: Counts) -> "Scores":
        """The scores of some series."""
        fine = Bins(*(part[series] for part in self.fine))
        return Scores(fine, self.positive_score[series], self.squared_score[series], self.log_loss[series])


def scores_of(series: Series) -> Scores:
    """The scores of the outcome cells."""
    scored = series.outcomes["bucket"].to_numpy() >= 0
    cells, events = series.outcomes[scored], series.events[scored]
    positive = cells[events]
    score, positive_score, squared_score = (
        by_bin(series, rows, column) / SCORE_UNIT
        for rows, column in ((cells, "score"), (positive, "score"), (cells, "squared_score"))
    )
    fine = Bins(by_bin(series, cells), by_bin(series, positive), score)
    return Scores(fine, positive_score, squared_score, series.total(cells, "log_loss") / SCORE_UNIT)


def by_bin(series: Series, cells: pd.DataFrame, column: str = "n") -> Counts:
    """A column of cells summed by score bin, (series, SCORE_BINS)."""
    return series.dense(cells, [cells["bucket"].to_numpy()], [SCORE_BINS], column)
