"""What predictions cost, as they were made and at every other threshold of a binary score."""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from evaljob.statistics.arrays import Floats, Numbers, ratio, unless
from evaljob.statistics.bins import SCORE_UNIT, score_bin_edges
from evaljob.statistics.confusion import Outcomes
from evaljob.statistics.intervals import Interval, bounded_score


class Costs(NamedTuple):
    """What one row of each outcome costs, in any one unit; gains are below 0."""

    tp: float
    fp: float
    fn: float
    tn: float


class Cheapest(NamedTuple):
    """The threshold that would have cost least, and what it would have cost: each (series,), NaN without rows."""

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
    return np.append(score_bin_edges()[:-1] / SCORE_UNIT, np.nextafter(1.0, 2.0))


def outcomes_at(positives: Numbers, negatives: Numbers) -> Outcomes:
    """What would have come out had a row been called positive from each threshold up: (series, SCORE_BINS + 1).

    Exact, since thresholds are edges of bins. `confusion.precision` and `confusion.recall` of it are the curves.
    """
    tp, fp = _reached(positives), _reached(negatives)
    return Outcomes(tp, fp, positives.sum(axis=1, keepdims=True) - tp, negatives.sum(axis=1, keepdims=True) - fp)


def cost_at(outcomes: Outcomes, costs: Costs) -> Floats:
    """What each threshold would have cost in all: shaped as the outcomes."""
    return np.asarray(sum(count * price for count, price in zip(outcomes, costs, strict=True)), dtype=np.float64)


def cheapest(outcomes: Outcomes, costs: Costs) -> Cheapest:
    """The threshold that would have cost least; of several equally cheap ones the middle one.

    It is chosen on the very rows it is judged by, so on new rows it saves less than it says.
    """
    curve = cost_at(outcomes, costs)
    least = curve.min(axis=1, keepdims=True)
    rank = np.cumsum(curve == least, axis=1)
    middle = (rank >= (rank[:, -1:] + 1) // 2).argmax(axis=1)
    empty = (outcomes.tp + outcomes.fp + outcomes.fn + outcomes.tn)[:, 0] == 0
    return Cheapest(unless(empty, thresholds()[middle]), unless(empty, least[:, 0]))


def _reached(counts: Numbers) -> Numbers:
    """Rows from each threshold up."""
    below = np.cumsum(counts, axis=1)
    return np.asarray(counts.sum(axis=1, keepdims=True) - np.concatenate([np.zeros_like(below[:, :1]), below], axis=1))
