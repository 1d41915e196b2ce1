"""How often intervals hold the truth: what every simulation of this folder asks."""

import numpy as np
from numpy.typing import NDArray

from evaljob.statistics.intervals import Interval

Floats = NDArray[np.float64]

LEVEL = 0.95


def covered(limits: Interval, truth: float, value: Floats) -> float:
    """The share of defined values whose interval holds the truth. Every interval must hold its own value."""
    defined = ~np.isnan(value)
    lower, upper, own = limits.lower[defined], limits.upper[defined], value[defined]
    assert (lower <= own + 1e-9).all()
    assert (own <= upper + 1e-9).all()
    assert np.isnan(limits.lower[~defined]).all()
    return float(np.mean((lower <= truth + 1e-9) & (truth <= upper + 1e-9)))
