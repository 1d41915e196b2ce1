"""What predictions cost, as they were made and at every other threshold of a binary score."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from evaljob.statistics.arrays import Floats, Numbers, ratio, unless
from evaljob.statistics.binning import score_edges
from evaljob.statistics.bins import SCORE_UNIT
from evaljob.statistics.confusion import Outcomes
from evaljob.statistics.intervals import Interval, bounded_score


class Cheapest(NamedTuple):
    """The threshold that would have cost least, and what a row would have cost: each (series[, B])."""

    threshold: Floats
    cost: Floats


def cost(counts: Numbers, costs: ArrayLike) -> Floats:
    """The sum over cells of count times cost: counts (series, cells), costs (cells,), to (series,)."""
    return np.asarray(counts @ np.asarray(costs, dtype=np.float64))


def cost_per_row(counts: Numbers, costs: ArrayLike) -> Floats:
    """The mean cost of a row: (series,), NaN without rows."""
    return ratio(cost(counts, costs), counts.sum(axis=1))


def cost_per_row_interval(counts: Numbers, costs: ArrayLike, confidence: float) -> Interval:
    """Of the mean of independent rows: of a score between the least and the largest cost.

    Cells are smoothed by one row, spread evenly. `cost` has this interval times the number of rows.
    """
    price = np.asarray(costs, dtype=np.float64)
    least, width = price.min(), np.ptp(price)
    if width == 0:
        sure = cost_per_row(counts, price)
        return Interval(sure, sure)
    share, n = (price - least) / width, counts.sum(axis=1)
    smoothed = counts + 1 / counts.shape[1]
    mean = cost_per_row(smoothed, share)
    variance = (smoothed * (share - mean[:, None]) ** 2).sum(axis=1) / (n + 1.0) ** 2
    limits = bounded_score(cost_per_row(counts, share), mean, variance, n, confidence)
    return Interval(*(least + width * limit for limit in limits))


def thresholds() -> Floats:
    """The thresholds of `outcomes_at`: the lower edges of the fine score bins, and one above 1 that nobody reaches."""
    return np.append(score_edges()[:-1] / SCORE_UNIT, np.nextafter(1.0, 2.0))


def outcomes_at(positives: Numbers, negatives: Numbers) -> Outcomes:
    """What would have come out had a row been called positive from each threshold up: (series, SCORE_BINS + 1).

    Exact, since thresholds are edges of bins. `confusion.precision` and `confusion.recall` of it are the curves.
    """
    tp, fp = _reached(positives), _reached(negatives)
    return Outcomes(tp, fp, positives.sum(axis=1, keepdims=True) - tp, negatives.sum(axis=1, keepdims=True) - fp)


def curve(called: Numbers, left: Numbers) -> Floats:
    """What each threshold would have cost in all: (series, SCORE_BINS[, B]) to (series, SCORE_BINS + 1[, B]).

    `called` is what the rows of each fine bin cost when they are called positive, `left` what they cost otherwise.
    """
    return np.asarray(_reached(called) + left.sum(axis=1, keepdims=True) - _reached(left), dtype=np.float64)


def cheapest(cost: Floats, rows: Numbers) -> Cheapest:
    """The threshold of `curve` that would have cost least, and its cost for a row; of equally cheap ones the middle.

    It is chosen on the very rows it is judged by, so on new rows it saves less than it says. `rows` has shape
    (series[, B]); undefined without any.
    """
    least = cost.min(axis=1, keepdims=True)
    # Sums of amounts are off in their last digits.
    cheap = cost <= least + 1e-12 * np.abs(cost).max(axis=1, keepdims=True)
    rank = np.cumsum(cheap, axis=1)
    middle = (rank >= (rank[:, -1:] + 1) // 2).argmax(axis=1)
    return Cheapest(unless(rows == 0, thresholds()[middle]), ratio(least[:, 0], rows))


def _reached(counts: Numbers) -> Numbers:
    """Rows from each threshold up."""
    below = np.cumsum(counts, axis=1)
    return np.asarray(counts.sum(axis=1, keepdims=True) - np.concatenate([np.zeros_like(below[:, :1]), below], axis=1))
