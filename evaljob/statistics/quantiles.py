"""Quantiles of counted values, and their confidence intervals, for all series at once.

Values are counted: one entry for each (series, value) pair, in any order.
"""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evaljob.statistics.arrays import Floats, Integers
from evaljob.statistics.intervals import Interval, binomial_quantile, normal_quantile


class Counted:
    """How often which values occur in `n_series` series: the series' number from 0, the value, its count."""

    def __init__(self, series: ArrayLike, values: ArrayLike, counts: ArrayLike, n_series: int) -> None:
        order = np.lexsort((np.asarray(values), np.asarray(series)))
        self._values = np.append(np.asarray(values, dtype=np.float64)[order], np.nan)
        self._reached = np.cumsum(np.asarray(counts, dtype=np.int64)[order])
        ends = np.searchsorted(np.asarray(series)[order], np.arange(n_series), side="right")
        self._last = np.concatenate([[0], self._reached])[ends]

    @cached_property
    def total(self) -> Integers:
        """Occurrences in each series."""
        return np.diff(self._last, prepend=0)

    def quantile(self, q: Sequence[float]) -> Floats:
        """Nearest-rank quantiles, shape (series, len(q)); NaN for a series without any.

        The q-quantile is the smallest value that at least `ceil(q n)` occurrences do not exceed (numpy's
        "inverted_cdf").
        """
        # The tolerance keeps 0.07 * 100 = 7.000000000000001 from asking for the eighth of a hundred.
        rank = np.ceil(np.multiply.outer(self.total, np.asarray(q)) * (1 - 1e-12))
        return self._at(np.maximum(rank, 1).astype(np.int64))

    def interval(self, q: Sequence[float], confidence: float) -> Interval:
        """Order statistics that hold the quantiles of the source, whatever its distribution: (series, len(q)).

        How many of n values lie below the q-quantile is binomial; the limits are the values whose ranks are its
        quantiles. With so few values that even the largest may lie below, there is no upper limit: NaN (95% and the
        99th percentile: fewer than 368 values; the 95th: 72; the median: 6); likewise the lower one. Values that were
        counted in buckets are as exact as their buckets. Source: Thompson (1936), Annals of Mathematical Statistics
        7(3); David and Nagaraja (2003), Order Statistics, section 7.1.
        """
        normal_quantile(confidence)  # refuses what is no confidence
        n = self.total[:, None]
        tail = (1 - confidence) / 2
        lower, upper = (binomial_quantile(p, n, np.asarray(q)) for p in (tail, 1 - tail))
        return Interval(self._at(lower), self._at(upper + 1))

    def _at(self, rank: Integers) -> Floats:
        """The values at ranks, from 1, of shape (series, any); NaN at those that do not exist."""
        exists: NDArray[np.bool_] = (rank >= 1) & (rank <= self.total[:, None])
        place = np.searchsorted(self._reached, (self._last - self.total)[:, None] + rank)
        return np.where(exists, self._values[np.minimum(place, len(self._reached))], np.nan)
