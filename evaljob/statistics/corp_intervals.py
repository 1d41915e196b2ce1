"""Confidence intervals of the parts of `calibration.corp`, each of shape (series,)."""

from typing import NamedTuple

import numpy as np

from evaljob.statistics.arrays import Floats, ratio, unless
from evaljob.statistics.calibration import Bins, Decomposition, isotonic
from evaljob.statistics.intervals import Interval, proportion
from evaljob.statistics.loss import ROWS_FOR_MODEL, Loss, mean_score
from evaljob.statistics.means import student_quantile

_LARGEST_UNCERTAINTY = 0.25
_SURPLUS = 1.5


class DecompositionLimits(NamedTuple):
    """The interval of each part."""

    miscalibration: Interval
    discrimination: Interval
    uncertainty: Interval


def corp(fine: Bins, parts: Decomposition, confidence: float) -> DecompositionLimits:
    """Of miscalibration, discrimination and uncertainty; NaN where the part is.

    Miscalibration and discrimination are means of a row's gain, `(s - y)^2 - (c - y)^2` and `(p - y)^2 - (c - y)^2`;
    since the fit c and the prevalence p are where those losses are least, estimating them moves neither mean to first
    order, and the variance is that of the gain (of a fit drawn towards the scores as `Loss` draws moments). The fit
    follows the rows it was made from, so both are too large, by one to two times the variance of a row over n for each
    level of the fit (Meyer and Woodroofe 2000, Annals of Statistics 28(4): a monotone fit spends as many degrees of
    freedom as it has levels): the lower limits lie one and a half of that further down, but not below 0. Uncertainty
    `p (1 - p)` has the interval of the proportion p. Coverage is tested by simulation.
    """
    rows, score = fine.support.sum(axis=1), mean_score(fine)
    fitted, t = isotonic(fine), student_quantile(rows, confidence)
    surplus = _SURPLUS * ratio(_levels(fine, fitted), rows)
    n = rows[:, None]
    drawn = (n * fitted + ROWS_FOR_MODEL * score) / (n + ROWS_FOR_MODEL)
    prevalence = np.broadcast_to((fine.positives.sum(axis=1)[:, None] + 0.5) / (n + 1), score.shape)
    gains = ((parts.miscalibration, score), (parts.discrimination, prevalence))
    first, second = (_around(part, surplus, t * _error(fine, forecast, drawn)) for part, forecast in gains)
    return DecompositionLimits(first, second, _uncertainty(fine, parts.uncertainty, confidence))


def _levels(fine: Bins, fitted: Floats) -> Floats:
    """The variances of a row at each level of the fit, summed; rows are added to each level so that none is sure."""
    row, column = np.nonzero(fine.support)
    level = fitted[row, column]
    first = np.append(True, (np.diff(row) != 0) | (np.diff(level) > 0))[: len(row)]
    size = np.add.reduceat(fine.support[row, column], np.flatnonzero(first)) if len(row) else np.zeros(0)
    share = (level[first] * size + 0.5) / (size + 1)
    return np.bincount(row[first], weights=share * (1 - share), minlength=len(fitted)).astype(np.float64)


def _error(fine: Bins, forecast: Floats, fitted: Floats) -> Floats:
    """The standard error of the mean gain of the fit over a forecast."""
    gain = Loss(fine, (forecast - 1) ** 2 - (fitted - 1) ** 2, forecast**2 - fitted**2)
    return np.sqrt(gain.variance())


def _around(value: Floats, surplus: Floats, reach: Floats) -> Interval:
    lower = np.minimum(np.maximum(value - surplus - reach, 0.0), value)
    return Interval(*(unless(np.isnan(reach), limit) for limit in (lower, value + reach)))


def _uncertainty(fine: Bins, value: Floats, confidence: float) -> Interval:
    share = proportion(fine.positives.sum(axis=1), fine.support.sum(axis=1), confidence)
    ends = np.stack([limit * (1 - limit) for limit in share])
    around_half = (share.lower <= 0.5) & (share.upper >= 0.5)  # noqa: PLR2004
    upper = np.where(around_half, _LARGEST_UNCERTAINTY, ends.max(axis=0))
    return Interval(*(unless(np.isnan(value), limit) for limit in (ends.min(axis=0), upper)))
