"""Single predictions, and the cells they are counted in: what the tests of binned statistics start from."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaljob.statistics.binning import score_bin_of
from evaljob.statistics.bins import SCORE_BINS, SCORE_UNIT
from evaljob.statistics.calibration import Bins


@dataclass(frozen=True)
class Cells:
    """The sums of each series per fine score bin, each of shape (series, SCORE_BINS)."""

    positives: NDArray[np.int64]
    negatives: NDArray[np.int64]
    positive_score: NDArray[np.float64]
    negative_score: NDArray[np.float64]
    squared_score: NDArray[np.float64]

    @property
    def fine(self) -> Bins:
        """As calibration takes them."""
        return Bins(self.positives + self.negatives, self.positives, self.positive_score + self.negative_score)

    @property
    def sums(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """As ranking takes them beside the counts."""
        return self.positive_score, self.negative_score, self.squared_score


def cells(y: ArrayLike, score: ArrayLike) -> Cells:
    """Rows (label 0 or 1, score) counted into fine bins on the fixed-point grid, as the database does it.

    One series of shape (rows,), or many of shape (series, rows).
    """
    label = np.atleast_2d(np.asarray(y)).astype(np.int64)
    grid = np.round(np.atleast_2d(np.asarray(score, dtype=np.float64)) * SCORE_UNIT).astype(np.int64)
    squared = np.round(np.square(grid / SCORE_UNIT) * SCORE_UNIT)
    series = len(label)
    place = (score_bin_of(grid) + SCORE_BINS * np.arange(series)[:, None]).ravel()

    def total(weights: ArrayLike) -> NDArray[np.int64]:
        sums = np.bincount(place, weights=np.asarray(weights).ravel(), minlength=series * SCORE_BINS)
        return np.round(sums).astype(np.int64).reshape(series, SCORE_BINS)

    return Cells(
        total(label),
        total(1 - label),
        total(grid * label) / SCORE_UNIT,
        total(grid * (1 - label)) / SCORE_UNIT,
        total(squared) / SCORE_UNIT,
    )
