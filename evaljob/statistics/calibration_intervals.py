"""Confidence intervals of what `calibration` computes, each named as its value.

Bins have shape (series, bins). Rows of one bin are taken to have its mean score, which moves no variance that matters.
"""

import numpy as np
from scipy.special import stdtrit

from evaljob.statistics.arrays import Floats, ratio
from evaljob.statistics.calibration import Bins
from evaljob.statistics.intervals import (
    Interval,
    binomial_quantile,
    bounded_score,
    normal_quantile,
    positive_score,
    proportion,
)
from evaljob.statistics.loss import Loss, mean_score

_LOWEST_SCORE = 1e-6


def observed_ratio(bins: Bins, confidence: float) -> Interval:
    """Of the share of positives in each bin (series, bins): of a proportion."""
    return proportion(bins.positives, bins.support, confidence)


def consistency_band(bins: Bins, confidence: float) -> Interval:
    """Where the share of positives of each bin would lie if its mean score were right.

    Shape (series, bins), NaN in empty bins. Binomial quantiles over n. A point outside its band speaks against
    calibration. Source: Broecker and Smith (2007), Weather and Forecasting 22(3), "consistency bars".
    """
    score, n = np.clip(mean_score(bins), 0, 1), bins.support
    return Interval(
        *(ratio(binomial_quantile(tail, n, score), n) for tail in ((1 - confidence) / 2, (1 + confidence) / 2))
    )


def maximum_calibration_error(value: Floats, bins: Bins, confidence: float) -> Interval:
    """The least and the largest maximum that all bins' intervals together allow, each at `1 - (1 - confidence) / bins`.

    Covers at least as often as it says (Bonferroni), and more widely the more nearly empty bins there are.
    """
    share = observed_ratio(bins, 1 - (1 - confidence) / bins.support.shape[1])
    score, empty = mean_score(bins), bins.support == 0
    least = np.where(empty, 0.0, np.maximum(np.maximum(share.lower - score, score - share.upper), 0.0))
    most = np.where(empty, 0.0, np.maximum(score - share.lower, share.upper - score))
    return Interval(np.minimum(least.max(axis=1), value), np.maximum(most.max(axis=1), value))


def brier_score(value: Floats, fine: Bins, confidence: float) -> Interval:
    """Of a score between 0 and 1."""
    score = mean_score(fine)
    loss, n = Loss(fine, (1 - score) ** 2, score**2), fine.support.sum(axis=1)
    variance = loss.variance()
    limits = bounded_score(value, loss.mean(), variance, n, confidence)
    return Interval(*(np.where(variance > 0, limit, value) for limit in limits))


def log_loss(value: Floats, fine: Bins, confidence: float) -> Interval:
    """Of a positive score."""
    score = np.clip(mean_score(fine), _LOWEST_SCORE, 1 - _LOWEST_SCORE)
    loss = Loss(fine, -np.log(score), -np.log1p(-score))
    return positive_score(value, loss.mean(), loss.variance(), _student_quantile(fine, confidence))


def calibration_bias(value: Floats, fine: Bins, confidence: float) -> Interval:
    """Of a mean between -1 and 1: Student's interval, widened to the one that allows for skewness.

    The latter inverts the cubic transformation of Hall (1992), Journal of the Royal Statistical Society B 54(1).
    """
    score, n = mean_score(fine), fine.support.sum(axis=1)
    loss = Loss(fine, score - 1, score)
    deviation, t = np.sqrt(loss.variance() * n), _student_quantile(fine, confidence)
    skewness = np.nan_to_num(ratio(loss.third_moment(), deviation**3))
    plain = ratio(t, np.sqrt(n))
    below = deviation * np.maximum(_hall(t, skewness, n), plain)
    above = deviation * np.maximum(-_hall(-t, skewness, n), plain)
    return Interval(np.maximum(value - below, -1.0), np.minimum(value + above, 1.0))


def _student_quantile(bins: Bins, confidence: float) -> Floats:
    normal_quantile(confidence)  # refuses what is no confidence
    return np.asarray(stdtrit(np.maximum(bins.support.sum(axis=1) - 1, 1), (1 + confidence) / 2))


def _hall(t: Floats, skewness: Floats, n: Floats) -> Floats:
    """The distance that a skewed mean of n rows keeps with the probability of t, in units of its rows' deviation."""
    standard = ratio(t, np.sqrt(n))
    bent = 3 * ratio(np.cbrt(1 + skewness * (standard - ratio(skewness, 6 * n))) - 1, skewness)
    return np.where(np.abs(skewness) < 1e-6, standard, bent)  # noqa: PLR2004
