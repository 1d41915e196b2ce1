"""Finding where functions of one number per series cross a level, all series at once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from evaljob.statistics.arrays import Floats

_HALVINGS = 26  # to 1e-8 of the distance


def last_true(holds: Callable[[Floats], NDArray[np.bool_]], start: Floats, end: Floats) -> Floats:
    """Per series, how far from `start` towards `end` a condition keeps holding, by bisection.

    `holds` maps one number per series to whether it holds there; it is taken to fail once and for all somewhere on the
    way, or at once: then the answer is `start`. Exact to 1e-8 of the distance.
    """
    inside, outside = start.astype(np.float64), end.astype(np.float64)
    for _ in range(_HALVINGS):
        middle = (inside + outside) / 2
        held = holds(middle)
        inside, outside = np.where(held, middle, inside), np.where(held, outside, middle)
    return inside
