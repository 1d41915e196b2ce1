"""Confidence intervals of proportions."""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from evaljob.statistics.arrays import Floats, ratio


class Interval(NamedTuple):
    """Lower and upper limits, shaped as the value; NaN where the value is undefined."""

    lower: Floats
    upper: Floats


def normal_quantile(confidence: float) -> float:
    """The z for which a standard normal lies in [-z, z] with probability `confidence`. ValueError outside (0, 1)."""
    if not 0 < confidence < 1:
        msg = f"confidence must lie between 0 and 1, such as 0.95, not {confidence}"
        raise ValueError(msg)
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson(k: ArrayLike, n: ArrayLike, confidence: float) -> Interval:
    """The score interval of a proportion `k / n`: all p with `|k/n - p| <= z sqrt(p (1 - p) / n)`.

    `k` and `n` broadcast and need not be whole (an effective sample size will do). The lower limit is exactly 0 at k =
    0, the upper exactly 1 at k = n; NaN at n = 0. Source: Wilson (1927).
    """
    z2 = normal_quantile(confidence) ** 2
    hit, size = np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64)
    center = hit + z2 / 2
    half = np.sqrt(z2 * (np.maximum(ratio(hit * (size - hit), size), 0.0) + z2 / 4))
    lower, upper = ratio(np.where(hit <= 0, 0.0, center - half), size + z2), ratio(center + half, size + z2)
    return Interval(np.where(size == 0, np.nan, lower), np.where(size == 0, np.nan, np.where(hit >= size, 1.0, upper)))


def proportion(k: ArrayLike, n: ArrayLike, confidence: float) -> Interval:
    """The interval published for proportions: Wilson's, mended where few succeed or few fail.

    Wilson's interval covers only 84% instead of 95% when the expected number of successes is about 0.17, because its
    lower limit at one success is too high. At 1, 2 and (above n = 50) 3 successes the lower limit is therefore the
    Poisson limit `chi2(2k; 1 - confidence) / 2n`, and the upper limit mirrors it. Source: Brown, Cai and DasGupta
    (2001), Statistical Science 16(2), section 4.1.1.
    """
    plain = wilson(k, n, confidence)
    hit, size = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    miss = size - hit
    lower = np.where(_few(hit, size), np.minimum(plain.lower, _poisson_limit(hit, size, confidence)), plain.lower)
    upper = np.where(_few(miss, size), np.maximum(plain.upper, 1 - _poisson_limit(miss, size, confidence)), plain.upper)
    return Interval(lower, upper)


def _few(k: Floats, n: Floats) -> Floats:
    return np.asarray((k > 0) & (k <= np.where(n > 50, 3, 2)) & (k < n))  # noqa: PLR2004  (50, 3 and 2 are the source's)


def _poisson_limit(k: Floats, n: Floats, confidence: float) -> Floats:
    """The `1 - confidence` quantile of a chi-squared variable with 2k degrees of freedom, over 2n."""
    from scipy.special import gammaincinv  # noqa: PLC0415

    return ratio(gammaincinv(np.maximum(k, 1.0), 1 - confidence), n)
