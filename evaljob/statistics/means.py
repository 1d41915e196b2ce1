"""Confidence intervals of means from sums and sums of squares, such as the revenue of a request: each (series,)."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from evaljob.statistics.arrays import Floats, ratio, unless
from evaljob.statistics.intervals import Interval, normal_quantile, positive_score

_ROWS_FOR_TAIL = 2


def mean_interval(count: ArrayLike, total: ArrayLike, squares: ArrayLike, confidence: float) -> Interval:
    """Student's interval of a mean: `m -+ t sqrt((sum x^2 / n - m^2) / (n - 1))`, NaN with fewer than two rows.

    Source: Student (1908). Right for values spread evenly about their mean; skewed ones are covered less often.
    """
    mean = ratio(total, count)
    reach = student_quantile(count, confidence) * np.sqrt(variance_of_mean(count, total, squares))
    return Interval(mean - reach, mean + reach)


def positive_mean_interval(count: ArrayLike, total: ArrayLike, squares: ArrayLike, confidence: float) -> Interval:
    """Of the mean of values that are never below 0, most of which may be 0: amounts, revenue, times.

    By way of the Poisson count k that is as uncertain (`intervals.positive_score`), so it is longer above than below
    and never reaches below 0. A handful of amounts seldom has the largest ones among them, so their variance is raised
    by the share 2 / k; coverage of what is nominally 95% is 93% or more but for heavy tails at few rows (tested). NaN
    with fewer than two rows, and where all are 0: nothing says how large one could be.
    """
    mean, variance = ratio(total, count), variance_of_mean(count, total, squares)
    variance = variance * (1 + _ROWS_FOR_TAIL * ratio(variance, mean**2))
    limits = positive_score(mean, mean, variance, student_quantile(count, confidence))
    unknown = np.isnan(variance) | (np.asarray(total) == 0)
    return Interval(*(unless(unknown, limit) for limit in limits))


def variance_of_mean(count: ArrayLike, total: ArrayLike, squares: ArrayLike) -> Floats:
    """Of the mean of independent rows: (series,), NaN with fewer than two."""
    n, mean = np.asarray(count, dtype=np.float64), ratio(total, count)
    return ratio(np.maximum(ratio(squares, n) - mean**2, 0.0), np.maximum(n - 1, 0))


def student_quantile(count: ArrayLike, confidence: float) -> Floats:
    """The t for which Student's variable of `count - 1` degrees of freedom lies in [-t, t]; NaN with none."""
    normal_quantile(confidence)  # refuses what is no confidence
    free = np.asarray(count, dtype=np.float64) - 1
    return np.where(free > 0, stdtrit(np.maximum(free, 1), (1 + confidence) / 2), np.nan)
