"""How far apart groups are: the largest gap and the smallest ratio of their proportions, and intervals for both.

The largest of many gaps is large by chance alone. So the limits hold all gaps of two groups at once, as Tukey's do, and
the largest gap among them. Counts have the shape (groups,).
"""

from functools import cache

import numpy as np
from scipy.special import ndtr

from evaljob.statistics.arrays import Floats, Numbers, ratio
from evaljob.statistics.intervals import Interval, proportion

Bounded = tuple[float, float, float]

UNDEFINED: Bounded = (np.nan, np.nan, np.nan)


@cache
def range_quantile(groups: int, confidence: float) -> float:
    """The q for which the range of so many independent standard normals is at most q with that probability.

    Of `groups ∫ phi(x) (Phi(x + q) - Phi(x))^(groups - 1) dx`, the studentized range with its variance known. Source:
    Tukey (1953).
    """
    from scipy.optimize import brentq  # noqa: PLC0415  (slow to import)

    x = np.linspace(-9.0, 9.0, 1801)
    density = np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi) * (x[1] - x[0])
    return float(
        brentq(lambda q: groups * (density * (ndtr(x + q) - ndtr(x)) ** (groups - 1)).sum() - confidence, 0.0, 20.0)
    )


def largest_gap(k: Numbers, n: Numbers, confidence: float) -> Bounded:
    """`max p - min p` of the proportions `k / n`, and its limits.

    Range 0 to 1, 0 for equal groups; NaN of fewer than two. Of every two groups the limits of the difference as
    `differences.difference_interval` has them, with Tukey's quantile of the range in the place of the normal one; of
    the largest gap, the largest limits. Of two groups it is Newcombe's interval.
    """
    if len(n) < 2:  # noqa: PLR2004
        return UNDEFINED
    p, limits = _limits(k, n, confidence)
    lower, upper = _of_pairs(p, limits)
    return float(np.ptp(p)), max(0.0, lower), min(1.0, upper)


def smallest_ratio(k: Numbers, n: Numbers, confidence: float) -> Bounded:
    """`min p / max p`, and its limits. Range 0 to 1, 1 for equal groups; NaN of fewer than 2 and where all are 0.

    Limits as of the gap, of the logarithms. Four fifths are a custom of American labour law.
    """
    if len(n) < 2 or not np.any(k):  # noqa: PLR2004
        return UNDEFINED
    p, limits = _limits(k, n, confidence)
    with np.errstate(divide="ignore"):
        lower, upper = _of_pairs(np.log(p), Interval(np.log(limits.lower), np.log(limits.upper)))
    return float(p.min() / p.max()), float(np.exp(-upper)), min(1.0, float(np.exp(-lower)))


def _limits(k: Numbers, n: Numbers, confidence: float) -> tuple[Floats, Interval]:
    wide = 2 * ndtr(range_quantile(len(n), confidence) / np.sqrt(2)) - 1
    return ratio(k, n), proportion(k, n, float(wide))


def _of_pairs(value: Floats, limits: Interval) -> tuple[float, float]:
    """The largest lower and the largest upper limit among the differences of every two values.

    Where a distance is infinite (of the logarithm of 0), the difference of the limits themselves.
    """
    with np.errstate(invalid="ignore"):
        below, above = value - limits.lower, limits.upper - value
        lower = value[:, None] - value - np.hypot(below[:, None], above)
        upper = value[:, None] - value + np.hypot(above[:, None], below)
        lower = np.where(np.isfinite(lower), lower, limits.lower[:, None] - limits.upper)
        upper = np.where(np.isfinite(upper), upper, limits.upper[:, None] - limits.lower)
    apart = ~np.eye(len(value), dtype=bool)
    return float(lower[apart].max()), float(upper[apart].max())
