"""How far the cheapest threshold, and what it would have cost, may be off: the bootstrap over cells."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from evaljob.statistics.arrays import Floats, Integers, Numbers, ratio
from evaljob.statistics.costs import Cheapest, cheapest, curve
from evaljob.statistics.intervals import Interval
from evaljob.statistics.resampling import bootstrap_interval, resample

_REPLICATES = 200
_TOGETHER = 64  # series whose replicates are in memory at once, 300 kB each


class Decisions(NamedTuple):
    """Rows of negatives and of positives per fine bin, and what they cost in all when called positive and otherwise.

    Each of shape (2, series, bins).
    """

    rows: Numbers
    called: Floats
    left: Floats

    def cheapest(self) -> Cheapest:
        """The threshold that would have cost least, and what a row would have cost."""
        return cheapest(curve(self.called.sum(axis=0), self.left.sum(axis=0)), self.rows.sum(axis=(0, 2)))


class CheapestLimits(NamedTuple):
    """The interval of each part."""

    threshold: Interval
    cost: Interval


def cheapest_interval(decisions: Decisions, keys: Integers, seed: int, confidence: float) -> CheapestLimits:
    """Of `Decisions.cheapest`: between which thresholds, and costs, the choice falls on other samples like this one.

    Bias-corrected percentiles of 200 Poisson resamples of the cells, widened to hold the values. A series' draws depend
    on its key (any integer) and the seed alone. The threshold of least cost is no smooth function of the sample, and
    the bootstrap of such is not consistent (Abrevaya and Huang 2005, Econometrica 73(4)): take its interval as an
    indication.
    """
    value = decisions.cheapest()
    found = list(_replicates(decisions, keys, seed))
    limits = []
    for i, part in enumerate(value):
        drawn = np.concatenate([replicate[i] for replicate in found]) if found else np.zeros((0, _REPLICATES))
        lower, upper = bootstrap_interval(drawn, part, confidence)
        limits.append(Interval(np.minimum(lower, part), np.maximum(upper, part)))
    return CheapestLimits(*limits)


def _replicates(decisions: Decisions, keys: Integers, seed: int) -> Iterator[Cheapest]:
    """The cheapest thresholds of resamples, (series, B), some series at a time."""
    for start in range(0, len(keys), _TOGETHER):
        part = Decisions(*(numbers[:, start : start + _TOGETHER] for numbers in decisions))
        drawn = _drawn(part.rows, keys[start : start + _TOGETHER], seed)
        costs = [(drawn * np.nan_to_num(ratio(cost, part.rows))[..., None]).sum(axis=0) for cost in part[1:]]
        yield cheapest(curve(*costs), drawn.sum(axis=(0, 2)))


def _drawn(rows: Numbers, keys: Integers, seed: int) -> Integers:
    """Resampled rows, (2, series, bins, B)."""
    drawn = np.zeros((*rows.shape, _REPLICATES), dtype=np.int64)
    where = np.nonzero(rows)
    outcome, series, place = where
    with np.errstate(over="ignore"):  # keys are hashes
        cell = keys[series] * np.int64(1_000_003) + (2 * place + outcome)
    drawn[where] = resample(rows[where], cell, _REPLICATES, seed)
    return drawn
