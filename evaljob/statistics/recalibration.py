"""Calibration slope and intercept, and tests of whether scores are calibrated, from fine score bins (series, bins).

Rows of one bin are taken to have its mean score.
"""

from copy import copy
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, expit, log_expit, logit, ndtr

from evaljob.statistics.arrays import Floats, ratio, unless
from evaljob.statistics.calibration import Bins
from evaljob.statistics.intervals import Interval, normal_quantile

_LOWEST_SCORE = 1e-6
_STEPS = 25
_SMALLEST_STEP = 1e-9
_LARGEST_STEP = 10.0
_HALVINGS = 5


class Recalibration(NamedTuple):
    """The fit of `logit(p) = intercept + slope logit(score)`: each of shape (series,), NaN without a fit.

    Calibrated: intercept 0 and slope 1. A slope below 1 says that scores are too extreme, one above 1 that they are too
    timid. `likelihood_gain` is twice the gain in log likelihood over intercept 0 and slope 1.
    """

    intercept: Floats
    slope: Floats
    intercept_error: Floats
    slope_error: Floats
    likelihood_gain: Floats


class Verdict(NamedTuple):
    """A test's statistic, and the probability of one at least as extreme were the scores calibrated: each (series,)."""

    statistic: Floats
    p_value: Floats


def recalibrate(fine: Bins) -> Recalibration:
    """The logistic regression of outcomes on the logit of the score, by Newton's method for all series at once.

    Intercept and slope are undefined where a score separates the outcomes, or there is but one outcome or one score: no
    finite fit exists. The gain in likelihood is defined wherever there are rows: it is then that of the best limit.
    Source: Cox (1958), Biometrika 45(3/4); Miller, Hui and Tierney (1991), Statistics in Medicine 10(8).
    """
    model = _Model(fine)
    beta = np.tile([0.0, 1.0], (len(fine.support), 1))
    start = model.log_likelihood(beta)
    reached = start.copy()
    moving = np.arange(len(beta))
    for _ in range(_STEPS):
        part = model.of(moving)
        there, gained = _climb(part, beta[moving], _solve(*part.derivatives(beta[moving])), reached[moving])
        settled = np.abs(there - beta[moving]).max(axis=1, initial=0.0) < _SMALLEST_STEP
        beta[moving], reached[moving] = there, gained
        moving = moving[~settled]
        if len(moving) == 0:
            break
    gradient, information = model.derivatives(beta)
    lost = _separated(fine) | (np.abs(gradient).max(axis=1) > 1e-6 * fine.support.sum(axis=1))
    errors = np.sqrt(ratio(information[:, ::-1], _determinant(information)[:, None])[:, [0, 2]])
    gain = unless(fine.support.sum(axis=1) == 0, 2 * (reached - start))
    intercept, slope, intercept_error, slope_error = (
        unless(lost | np.isnan(errors[:, 0]), part) for part in (*beta.T, *errors.T)
    )
    return Recalibration(intercept, slope, intercept_error, slope_error, gain)


def interval(value: Floats, standard_error: Floats, confidence: float) -> Interval:
    """Wald's interval of an intercept or a slope: `value -+ z error`."""
    reach = normal_quantile(confidence) * standard_error
    return Interval(value - reach, value + reach)


def likelihood_ratio_test(fine: Bins, fit: Recalibration) -> Verdict:
    """Whether intercept 0 and slope 1 fit as well as the best ones: chi-squared with two degrees of freedom.

    With a single score there is but an intercept: one degree. Undefined without rows. Source: Miller, Hui and Tierney
    (1991); Wilks (1938).
    """
    gain, free = np.maximum(fit.likelihood_gain, 0.0), np.minimum((fine.support > 0).sum(axis=1), 2)
    return Verdict(fit.likelihood_gain, unless(free == 0, chdtrc(np.maximum(free, 1), gain)))


def spiegelhalter_test(fine: Bins) -> Verdict:
    """Whether the Brier score is that of calibrated scores: `sum (y - s)(1 - 2s)` over its deviation is normal.

    Above 0 where outcomes are more surprising than the scores admit. Undefined where all scores are 0, 1/2 or 1.
    Source: Spiegelhalter (1986), Statistics in Medicine 5(5).
    """
    score = np.nan_to_num(ratio(fine.score, fine.support))
    surplus = ((fine.positives - fine.score) * (1 - 2 * score)).sum(axis=1)
    variance = (fine.support * (1 - 2 * score) ** 2 * score * (1 - score)).sum(axis=1)
    z = ratio(surplus, np.sqrt(variance))
    return Verdict(z, 2 * ndtr(-np.abs(z)))


class _Model:
    """The bins with rows, one after the other: most bins of most series have none."""

    def __init__(self, fine: Bins) -> None:
        where = np.nonzero(fine.support)
        self.series, self.n_series = where[0], len(fine.support)
        self.rows, self.positives = fine.support[where], fine.positives[where]
        self.x = logit(np.clip(fine.score[where] / self.rows, _LOWEST_SCORE, 1 - _LOWEST_SCORE))

    def of(self, some: NDArray[np.int64]) -> "_Model":
        """The model of some of the series."""
        if len(some) == self.n_series:
            return self
        part = copy(self)
        place = np.full(self.n_series, -1)
        place[some] = np.arange(len(some))
        kept = place[self.series] >= 0
        part.series, part.n_series = place[self.series[kept]], len(some)
        part.rows, part.positives, part.x = self.rows[kept], self.positives[kept], self.x[kept]
        return part

    def log_likelihood(self, beta: Floats) -> Floats:
        eta = self._eta(beta)
        return self._sum(self.positives * log_expit(eta) + (self.rows - self.positives) * log_expit(-eta))

    def derivatives(self, beta: Floats) -> tuple[Floats, Floats]:
        """The gradient (series, 2) and the information (series, 3): both intercept's, mixed, both slope's."""
        p = expit(self._eta(beta))
        residual, weight = self.positives - self.rows * p, self.rows * p * (1 - p)
        gradient = [self._sum(residual * self.x**power) for power in range(2)]
        return np.stack(gradient, axis=1), np.stack([self._sum(weight * self.x**power) for power in range(3)], axis=1)

    def _eta(self, beta: Floats) -> Floats:
        return np.asarray(beta[self.series, 0] + beta[self.series, 1] * self.x)

    def _sum(self, values: Floats) -> Floats:
        return np.bincount(self.series, weights=values, minlength=self.n_series).astype(np.float64)


def _solve(gradient: Floats, information: Floats) -> Floats:
    """Newton's step; of the intercept alone where the information is singular, as with a single score."""
    determinant = _determinant(information)
    first = information[:, 2] * gradient[:, 0] - information[:, 1] * gradient[:, 1]
    second = information[:, 0] * gradient[:, 1] - information[:, 1] * gradient[:, 0]
    alone = ratio(gradient[:, 0], information[:, 0])
    steps = [np.where(np.isnan(determinant), alone, first / determinant), second / determinant]
    return np.asarray(np.clip(np.nan_to_num(np.stack(steps, axis=1)), -_LARGEST_STEP, _LARGEST_STEP))


def _climb(model: _Model, beta: Floats, step: Floats, reached: Floats) -> tuple[Floats, Floats]:
    """Beta after the step, halved where it leads down."""
    for _ in range(_HALVINGS):
        there = model.log_likelihood(beta + step)
        down = ~(there >= reached - 1e-12 * np.abs(reached))
        if not down.any():
            break
        step = np.where(down[:, None], step / 2, step)
    return beta + np.where(down[:, None], 0.0, step), np.where(down, reached, there)


def _determinant(information: Floats) -> Floats:
    determinant = information[:, 0] * information[:, 2] - information[:, 1] ** 2
    return np.where(determinant > 1e-12 * information[:, 0] * information[:, 2], determinant, np.nan)


def _separated(fine: Bins) -> NDArray[np.bool_]:
    """Whether no positive lies below a negative, or no negative below a positive."""
    (first_p, last_p), (first_n, last_n) = (_ends(c) for c in (fine.positives, fine.support - fine.positives))
    return np.asarray((last_n <= first_p) | (last_p <= first_n))


def _ends(counts: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the last bin with rows: (bins, -1) without any."""
    some, bins = counts > 0, counts.shape[1]
    none = ~some.any(axis=1)
    return np.where(none, bins, some.argmax(axis=1)), np.where(none, -1, bins - 1 - some[:, ::-1].argmax(axis=1))
