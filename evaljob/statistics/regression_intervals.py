"""Confidence intervals of the errors in `regression`, each named as its error, from sums over rows of shape (series,).

Sums carry no fourth moment of the errors, so their kurtosis is read off the ratio of mean absolute to root mean squared
error, as it is in the family of generalized normal distributions, which has the uniform, the normal and the Laplace
among its members (Mallat 1989). Undefined (NaN) with fewer than two rows.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammaln

from evaljob.statistics.arrays import Floats, ratio
from evaljob.statistics.intervals import Interval
from evaljob.statistics.means import mean_interval, student_quantile, variance_of_mean

_ROWS_FOR_KURTOSIS = 10  # a sample's kurtosis falls short by about so many rows over n


class ErrorSums(NamedTuple):
    """Sums over rows, each of shape (series,); `label_error` sums label times error."""

    rows: ArrayLike
    error: ArrayLike
    absolute_error: ArrayLike
    squared_error: ArrayLike
    label: ArrayLike
    squared_label: ArrayLike
    label_error: ArrayLike


def mean_error(count: ArrayLike, error: ArrayLike, squared_error: ArrayLike, confidence: float) -> Interval:
    """Student's interval of a mean."""
    return mean_interval(count, error, squared_error, confidence)


def mean_absolute_error(
    count: ArrayLike, absolute_error: ArrayLike, squared_error: ArrayLike, confidence: float
) -> Interval:
    """Student's interval of a positive mean, on the scale of its logarithm."""
    mean = ratio(absolute_error, count)
    reach = student_quantile(count, confidence) * np.sqrt(variance_of_mean(count, absolute_error, squared_error))
    return _around(mean, np.where(mean == 0, 0.0, ratio(reach, mean)))


def root_mean_squared_error(
    count: ArrayLike, absolute_error: ArrayLike, squared_error: ArrayLike, confidence: float
) -> Interval:
    """`value exp(-+ t sqrt((k - 1) / n) / 2)`, with k the kurtosis of the errors about 0.

    Tails heavier than Laplace's are covered less often than said (95% becomes about 90% for Student's t with five
    degrees of freedom).
    """
    spread = np.sqrt(ratio(_kurtosis(count, absolute_error, squared_error) - 1, count))
    return _around(np.sqrt(ratio(squared_error, count)), student_quantile(count, confidence) * spread / 2)


def r2_score(sums: ErrorSums, confidence: float) -> Interval:
    """`1 - (1 - value) exp(-+ t sqrt(v / n))`, v the variance of the logarithm of mean squared error over variance.

    v is that of jointly normal labels and errors, the errors' share of it scaled to their kurtosis. NaN where all
    labels are equal.
    """
    n, mean = np.asarray(sums.rows, dtype=np.float64), ratio(sums.label, sums.rows)
    bias, square, power = ratio(sums.error, n), ratio(sums.squared_error, n), ratio(sums.squared_label, n)
    spread = np.where(power - mean**2 <= 1e-12 * power, np.nan, power - mean**2)
    shared = ratio((ratio(sums.label_error, n) - bias * mean) ** 2, square * spread)
    tails = (_kurtosis(n, sums.absolute_error, sums.squared_error) - 1) / 2
    scatter = np.maximum(square - bias**2, 0)
    of_errors = 2 * ratio(scatter**2 + 2 * bias**2 * scatter, square**2)
    variance = of_errors * tails + 2 - 4 * shared * np.minimum(tails, 1) + ratio(2, n)
    unexplained = _around(
        ratio(square, spread), student_quantile(n, confidence) * np.sqrt(ratio(np.maximum(variance, 0), n))
    )
    return Interval(1 - unexplained.upper, 1 - unexplained.lower)


def _around(value: Floats, reach: Floats) -> Interval:
    """An interval symmetric for the logarithm."""
    return Interval(value * np.exp(-reach), value * np.exp(reach))


def _kurtosis(count: ArrayLike, absolute_error: ArrayLike, squared_error: ArrayLike) -> Floats:
    """`E e^4 / (E e^2)^2`, a little more for few rows; 3 where there is no error at all."""
    n = np.maximum(np.asarray(count, dtype=np.float64), 1)
    flatness = ratio(ratio(absolute_error, n), np.sqrt(ratio(squared_error, n)))
    ratios, kurtoses = _generalized_normal()
    return np.where(np.isnan(flatness), 3.0, np.interp(flatness, ratios, kurtoses)) * (1 + _ROWS_FOR_KURTOSIS / n)


@cache
def _generalized_normal() -> tuple[Floats, Floats]:
    """Mean absolute over root mean squared value, and kurtosis, of densities `exp(-|x|^b)` for b from 0.15 to 20."""
    b = np.geomspace(0.15, 20, 4000)
    first, second, fourth = (gammaln(moment / b) for moment in (2, 3, 5))
    return np.exp(first - (gammaln(1 / b) + second) / 2), np.exp(fourth + gammaln(1 / b) - 2 * second)
