"""Errors of numeric predictions from sums over rows, each of shape (series,). The error is prediction minus label."""

import numpy as np
from numpy.typing import ArrayLike

from evaljob.statistics.arrays import Floats, ratio


def mean_absolute_error(count: ArrayLike, absolute_error: ArrayLike) -> Floats:
    """`sum |e| / n`. Range 0 up, perfect 0, in the label's unit, undefined without rows."""
    return ratio(absolute_error, count)


def mean_error(count: ArrayLike, error: ArrayLike) -> Floats:
    """`sum e / n`, the bias, in the label's unit.

    Perfect 0, above 0 where predictions are too high, undefined without rows.
    """
    return ratio(error, count)


def root_mean_squared_error(count: ArrayLike, squared_error: ArrayLike) -> Floats:
    """`sqrt(sum e^2 / n)`. Range 0 up, perfect 0, in the label's unit, undefined without rows."""
    return np.sqrt(ratio(squared_error, count))


def r2_score(count: ArrayLike, squared_error: ArrayLike, label: ArrayLike, squared_label: ArrayLike) -> Floats:
    """The share of the labels' variance that is explained, `1 - sum e^2 / (sum y^2 - (sum y)^2 / n)`.

    Range below 1, perfect 1, 0 for always predicting the mean label. Undefined where all labels are equal: scikit-learn
    says 1 or 0 there. Labels that vary by less than their rounding (1e-12 of their mean square) count as equal.
    """
    square = np.asarray(squared_label, dtype=np.float64)
    spread = square - np.asarray(label, dtype=np.float64) * ratio(label, count)
    return 1 - ratio(squared_error, np.where(spread <= 1e-12 * square, 0.0, spread))
