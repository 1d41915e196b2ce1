"""Small array tools that every statistic shares."""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Integers: TypeAlias = NDArray[np.int64]
Flags: TypeAlias = NDArray[np.bool_]
Numbers: TypeAlias = NDArray[Any]


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """`numerator / denominator`, broadcast; NaN where the denominator is 0 or either is NaN."""
    above, below = np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(below == 0, np.nan, above / below), dtype=np.float64)


def mean_where_defined(values: Floats, weights: ArrayLike = 1.0, axis: int = 1) -> Floats:
    """The weighted mean along an axis over the entries that are not NaN; NaN where no entry has weight."""
    kept = ~np.isnan(values)
    shares = np.where(kept, np.asarray(weights, dtype=np.float64), 0.0)
    return ratio((np.where(kept, values, 0.0) * shares).sum(axis=axis), shares.sum(axis=axis))


def unless(undefined: NDArray[np.bool_], values: ArrayLike) -> Floats:
    """`values`, with NaN where `undefined`."""
    return np.asarray(np.where(undefined, np.nan, values), dtype=np.float64)
