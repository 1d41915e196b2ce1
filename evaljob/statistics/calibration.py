"""Calibration from binned scores: calibration error, bias, Brier score and its decomposition.

Sums of scores are in units of probability. For multiclass the score is that of the predicted class and a row is
positive when the prediction was right: calibration of the top label.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from evaljob.statistics.arrays import Floats, Integers, Numbers, ratio, unless
from evaljob.statistics.binning import uniform_bin_of


class Bins(NamedTuple):
    """Rows, positives and the sum of scores per bin, each of shape (series, bins), bins in ascending order of score."""

    support: Numbers
    positives: Numbers
    score: Floats


class Reliability(NamedTuple):
    """The reliability diagram, each of shape (series, bins): NaN in empty bins. The support is the bin's."""

    mean_predicted: Floats
    observed_ratio: Floats


class Decomposition(NamedTuple):
    """`score = miscalibration - discrimination + uncertainty`, each of shape (series,)."""

    miscalibration: Floats
    discrimination: Floats
    uncertainty: Floats


def uniform_bins(fine: Bins, bins: int) -> Bins:
    """Fine bins (series, SCORE_BINS) merged into `bins` of equal width; exact where 100 is a multiple of `bins`."""
    return _merged(fine, uniform_bin_of(bins, ratio(fine.score, fine.support)), bins)


def quantile_bins(fine: Bins, bins: int) -> Bins:
    """Fine bins merged into `bins` of about equal mass: (series, bins).

    A fine bin goes as a whole to the coarse bin in which the middle of its rows lies, so a heavy fine bin makes its
    coarse bin heavier and may leave others empty.
    """
    total = fine.support.sum(axis=1, keepdims=True)
    middle = 2 * np.cumsum(fine.support, axis=1) - fine.support
    return _merged(fine, np.minimum(middle * bins // np.maximum(2 * total, 1), bins - 1), bins)


def reliability(bins: Bins) -> Reliability:
    """Mean score and share of positives per bin. Calibrated: the two are equal."""
    return Reliability(ratio(bins.score, bins.support), ratio(bins.positives, bins.support))


def expected_calibration_error(bins: Bins) -> Floats:
    """`sum_b n_b / n |mean score_b - share of positives_b|`. Range 0 to 1, perfect 0, undefined without rows.

    Biased upward where bins are small: see `debiased_calibration_error`. Source: Naeini, Cooper and Hauskrecht (2015),
    AAAI.
    """
    return ratio(np.abs(bins.score - bins.positives).sum(axis=1), bins.support.sum(axis=1))


def maximum_calibration_error(bins: Bins) -> Floats:
    """`max_b |mean score_b - share of positives_b|` over bins with rows.

    Range 0 to 1, perfect 0, undefined without rows. Source: Naeini, Cooper and Hauskrecht (2015), AAAI.
    """
    gap = np.abs(ratio(bins.score - bins.positives, bins.support))
    return unless(bins.support.sum(axis=1) == 0, np.nan_to_num(gap).max(axis=1))


def calibration_bias(fine: Bins) -> Floats:
    """Mean score minus the share of positives.

    Range -1 to 1, perfect 0 (above: scores too high), undefined without rows. Known as calibration in the large.
    Source: Murphy (1973).
    """
    return ratio(fine.score.sum(axis=1) - fine.positives.sum(axis=1), fine.support.sum(axis=1))


def brier_score(count: ArrayLike, positives: ArrayLike, positive_score: ArrayLike, squared_score: ArrayLike) -> Floats:
    """The mean of `(score - y)^2` from sums over rows: `(sum s^2 - 2 sum_{y=1} s + sum y) / n`.

    Range 0 to 1, perfect 0, undefined without rows. Source: Brier (1950), in the one-class form of scikit-learn's
    `brier_score_loss`.
    """
    return ratio(np.asarray(squared_score) - 2 * np.asarray(positive_score) + np.asarray(positives), count)


def mean_loss(count: ArrayLike, loss: ArrayLike) -> Floats:
    """A sum of losses per row, such as the log loss. Undefined without rows."""
    return ratio(loss, count)


def corp(fine: Bins, brier: Floats) -> Decomposition:
    """The Brier score as miscalibration - discrimination + uncertainty, by isotonic recalibration of the fine bins.

    With c the isotonic fit of the outcomes to the scores: uncertainty is `p (1 - p)` of the prevalence p, the
    recalibrated score is the mean of `c (1 - c)`, miscalibration (0 or more, perfect 0) is the Brier score of the bins'
    mean scores minus the recalibrated one, and discrimination is what remains so that the three add up to `brier`. The
    part of the Brier score that lies inside fine bins therefore counts as discrimination: mostly less than 1e-4, never
    more than 0.0051, half a bin's width and a little. Undefined without rows. Source: Dimitriadis, Gneiting and Jordan
    (2021), PNAS 118(8); the parts inside bins: Stephenson, Coelho and Jolliffe (2008).
    """
    n = fine.support.sum(axis=1)
    prevalence = ratio(fine.positives.sum(axis=1), n)
    uncertainty = prevalence * (1 - prevalence)
    forecast, fitted = np.nan_to_num(ratio(fine.score, fine.support)), isotonic(fine)
    # sum (s - y)^2 - (c - y)^2, factored: a difference of the two sums would lose the digits of a small miscalibration.
    excess = (forecast - fitted) * (fine.support * (forecast + fitted) - 2 * fine.positives)
    miscalibration = np.maximum(ratio(excess.sum(axis=1), n), 0.0)
    return Decomposition(miscalibration, miscalibration + uncertainty - brier, uncertainty)


def isotonic(bins: Bins) -> Floats:
    """The non-decreasing least-squares fit of the outcomes to the scores: (series, bins), 0 in empty bins.

    One call of the pool-adjacent-violators algorithm for all series: each is lifted by 2 above the one before, which
    keeps their blocks apart since outcomes lie between 0 and 1. Only the blocks are taken from it; their levels are
    ratios of exact counts. Source: Ayer et al. (1955), as scikit-learn's `isotonic_regression`.
    """
    from scipy.optimize import isotonic_regression  # noqa: PLC0415  (slow to import)

    fitted = np.zeros(bins.support.shape)
    row, column = np.nonzero(bins.support)
    if len(row) == 0:
        return fitted
    count, positives = bins.support[row, column], bins.positives[row, column]
    starts = isotonic_regression(2.0 * row + positives / count, weights=count).blocks[:-1]
    level = np.add.reduceat(positives, starts) / np.add.reduceat(count, starts)
    fitted[row, column] = np.repeat(level, np.diff([*starts, len(row)]))
    return fitted


def debiased_calibration_error(bins: Bins) -> Floats:
    """The expected calibration error less its estimated upward bias: `2 ECE - E[ECE*]`, at least 0.

    ECE* is the error that would be seen if each bin's share of positives were drawn from a normal distribution around
    the observed one with its variance `o (1 - o) / n_b`; its expectation is the mean of a folded normal distribution.
    Range 0 to 1, perfect 0, undefined without rows. Source: Kumar, Liang and Ma (2019), NeurIPS: the debiased estimator
    for the L1 error, in closed form.
    """
    error = expected_calibration_error(bins)
    observed = ratio(bins.positives, bins.support)
    gap = np.nan_to_num(ratio(bins.score, bins.support) - observed)
    deviation = np.nan_to_num(np.sqrt(ratio(observed * (1 - observed), bins.support)))
    expected = ratio((bins.support * folded_normal_mean(gap, deviation)).sum(axis=1), bins.support.sum(axis=1))
    return np.maximum(2 * error - expected, 0.0)


def folded_normal_mean(mean: Floats, deviation: Floats) -> Floats:
    """E|X| of a normal X: `s sqrt(2 / pi) exp(-m^2 / 2 s^2) + m erf(m / s sqrt 2)`, |m| where s is 0.

    Source: Leone, Nelson and Nottingham (1961), Technometrics 3(4).
    """
    from scipy.special import erf  # noqa: PLC0415

    standard = ratio(mean, deviation)
    spread = deviation * np.sqrt(2 / np.pi) * np.exp(-(standard**2) / 2) + mean * erf(standard / np.sqrt(2))
    return np.asarray(np.where(deviation == 0, np.abs(mean), spread), dtype=np.float64)


def _merged(fine: Bins, coarse: Integers, bins: int) -> Bins:
    """The sums of fine bins per coarse bin."""
    series = len(fine.support)
    place = (np.arange(series)[:, None] * bins + coarse).ravel()

    def total(values: Numbers) -> Numbers:
        sums = np.bincount(place, weights=values.ravel(), minlength=series * bins).reshape(series, bins)
        return sums.astype(values.dtype)  # counts come back whole: float64 is exact up to 2^53

    return Bins(total(fine.support), total(fine.positives), total(fine.score))
