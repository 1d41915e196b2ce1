"""Moments of a mean loss from binned scores, steadied by what the model itself expects."""

import numpy as np

from evaljob.statistics.arrays import Floats, ratio
from evaljob.statistics.calibration import Bins

ROWS_FOR_MODEL = 8


class Loss:
    """What a positive and a negative row of each bin cost, both of shape (series, bins).

    With few positives the rows seen may all be cheap by luck: thirty clicks without one buyer have no variance. Moments
    are therefore drawn towards those expected if scores were right, as if eight rows said so, where that makes them
    larger.
    """

    def __init__(self, bins: Bins, of_positive: Floats, of_negative: Floats) -> None:
        where = np.nonzero(bins.support)  # most bins of most series are empty
        self._series, self.rows = where[0], bins.support.sum(axis=1).astype(np.float64)
        self._support, self._positives = bins.support[where], bins.positives[where]
        self._of_positive, self._of_negative = of_positive[where], of_negative[where]
        n = self.rows[self._series]
        # Half a row of either outcome is added to the series, so that no score is entirely sure.
        self._score = (n * bins.score[where] / self._support + 0.5) / (n + 1)

    def mean(self) -> Floats:
        """The mean loss, drawn upwards where the model expects a larger one: (series,), NaN without rows."""
        negatives = self._support - self._positives
        observed = self._mean(self._positives * self._of_positive + negatives * self._of_negative)
        expected = self._score * self._of_positive + (1 - self._score) * self._of_negative
        return np.maximum(observed, self._drawn(observed, self._mean(self._support * expected)))

    def variance(self) -> Floats:
        """Of the mean loss: (series,), NaN without rows."""
        chance, gap = self._score * (1 - self._score), self._of_positive - self._of_negative
        expected = self._score * gap + self._of_negative
        about = expected - self._mean(self._support * expected)[self._series]
        modelled = self._mean(self._support * (chance * gap**2 + about**2))
        observed = self._moment(2)
        return ratio(np.maximum(observed, self._drawn(observed, modelled)), self.rows)

    def third_moment(self) -> Floats:
        """Of a row's loss about its mean: (series,), NaN without rows."""
        lean = self._score * (1 - self._score) * (1 - 2 * self._score)
        modelled = self._mean(self._support * lean * (self._of_positive - self._of_negative) ** 3)
        return self._drawn(self._moment(3), modelled)

    def _mean(self, sums: Floats) -> Floats:
        return ratio(np.bincount(self._series, weights=sums, minlength=len(self.rows)), self.rows)

    def _moment(self, power: int) -> Floats:
        negatives = self._support - self._positives
        mean = self._mean(self._positives * self._of_positive + negatives * self._of_negative)[self._series]
        above, below = (self._of_positive - mean) ** power, (self._of_negative - mean) ** power
        return self._mean(self._positives * above + negatives * below)

    def _drawn(self, observed: Floats, modelled: Floats) -> Floats:
        return np.asarray((self.rows * observed + ROWS_FOR_MODEL * modelled) / (self.rows + ROWS_FOR_MODEL))


def mean_score(bins: Bins) -> Floats:
    """Per bin, 0 where it is empty."""
    return np.nan_to_num(ratio(bins.score, bins.support))
