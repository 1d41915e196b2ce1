"""Confidence intervals: of proportions, of means of proportions, and of bounded scores with a known variance.

All are closed formulas of the counts: a rerun repeats them, and no series depends on another. How often they cover the
truth is checked by simulation in the tests.
"""

from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import bdtr, gammaincinv

from evaljob.statistics.arrays import Floats, Integers, Numbers, ratio


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
    hit, size = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    center = hit + z2 / 2
    half = np.sqrt(z2 * (np.maximum(ratio(hit * (size - hit), size), 0.0) + z2 / 4))
    lower, upper = np.where(hit <= 0, 0.0, center - half) / (size + z2), (center + half) / (size + z2)
    return Interval(np.where(size > 0, lower, np.nan), np.where(size > 0, np.where(hit >= size, 1.0, upper), np.nan))


def proportion(k: ArrayLike, n: ArrayLike, confidence: float) -> Interval:
    """The interval published for proportions: Wilson's, mended where few succeed or few fail.

    Wilson's interval covers only 84% instead of 95% when about 0.17 successes are expected, because its lower limit at
    one success is too high. Up to 2 (above n = 50: 3) successes the lower limit is therefore the Poisson limit
    `chi2(2k; 1 - confidence) / 2n`, and the upper limit mirrors it. Source: Brown, Cai and DasGupta (2001), Statistical
    Science 16(2), section 4.1.1.
    """
    plain = wilson(k, n, confidence)
    hit, size = np.broadcast_arrays(np.asarray(k, dtype=np.float64), np.asarray(n, dtype=np.float64))
    miss = size - hit
    lower = np.where(_few(hit, size), np.minimum(plain.lower, _poisson_limit(hit, size, confidence)), plain.lower)
    upper = np.where(_few(miss, size), np.maximum(plain.upper, 1 - _poisson_limit(miss, size, confidence)), plain.upper)
    return Interval(lower, upper)


def mean_of_proportions(values: Floats, limits: Interval, correlation: Floats | None = None) -> Interval:
    """The interval of the mean over classes (axis 1, undefined ones left out) from the interval of each.

    `mean -+ sqrt(sum_ij w_i w_j r_ij d_i d_j)`, with d the distances of the values to their own limits and r their
    correlation, of shape (series, K, K); independent when it is not given. Source: Zou, Huang and Zhang (2009),
    Computational Statistics and Data Analysis 53 ("MOVER").
    """
    share = ratio(~np.isnan(values), (~np.isnan(values)).sum(axis=1, keepdims=True))
    below, above = (np.nan_to_num(share * distance) for distance in (values - limits.lower, limits.upper - values))
    mean = np.where(np.isnan(values).all(axis=1), np.nan, np.nan_to_num(values * share).sum(axis=1))
    return Interval(mean - _length(below, correlation), mean + _length(above, correlation))


def bounded_score(
    value: Floats, smoothed: Floats, variance: Floats, count: Numbers, confidence: float, lowest: float = 0.0
) -> Interval:
    """The interval of a score between `lowest` and 1, by way of the proportion that is as uncertain.

    `smoothed` and `variance` are the score and its variance where a few rows of every outcome have been added, so that
    neither sits on an edge. They give an effective number of rows (`count` where there is no variance at all); with it,
    the outermost limits of the proportion's interval around the value and of the one around the smoothed value are
    taken: the first is right near the edges, the second with few rows.
    """
    width = 1 - lowest
    near, shrunk = (value - lowest) / width, (smoothed - lowest) / width
    rows = np.where(variance > 0, ratio(shrunk * (1 - shrunk) * width**2, variance), count)
    here, there = proportion(near * rows, rows, confidence), proportion(shrunk * rows, rows, confidence)
    lower, upper = np.minimum(here.lower, there.lower), np.maximum(here.upper, there.upper)
    return Interval(lowest + width * lower, lowest + width * upper)


def positive_score(value: Floats, smoothed: Floats, variance: Floats, quantile: Floats) -> Interval:
    """The interval of a score that has a lower bound of 0 only, by way of the Poisson count that is as uncertain.

    `smoothed` and `variance` as for `bounded_score`, `quantile` is a normal's or Student's. With the unit `u = variance
    / smoothed` in which the score is a count k, its limits are `u (k + q^2 / 2 -+ q sqrt(k + q^2 / 4))`. Source: Rao
    (1948), score interval.
    """
    unit = ratio(variance, smoothed)
    counts = [np.where(unit > 0, ratio(score, unit), 0.0) for score in (value, smoothed)]
    center, reach = zip(*((k + quantile**2 / 2, quantile * np.sqrt(k + quantile**2 / 4)) for k in counts), strict=True)
    lower, upper = np.minimum(*np.subtract(center, reach)), np.maximum(*np.add(center, reach))
    return Interval(np.where(unit > 0, unit * lower, value), np.where(unit > 0, unit * upper, value))


def binomial_quantile(probability: float, n: ArrayLike, p: ArrayLike) -> Integers:
    """The least k with `P(K <= k) >= probability`, of K successes in n trials with chance p; n and p broadcast.

    Found near Cornish and Fisher's expansion, which is mostly right and never far off.
    """
    size, chance = np.broadcast_arrays(np.asarray(n, dtype=np.int64), np.asarray(p, dtype=np.float64))
    z, variance = NormalDist().inv_cdf(probability), size * chance * (1 - chance)
    near = np.floor(size * chance + z * np.sqrt(variance) + (1 - 2 * chance) * (z * z - 1) / 6 + 0.5)
    k = np.clip(near, 0, size).astype(np.int64)
    while (low := (k < size) & (bdtr(k.astype(np.float64), size, chance) < probability)).any():
        k = k + low
    while (high := (k > 0) & (bdtr(k - 1.0, size, chance) >= probability)).any():
        k = k - high
    return np.asarray(k)


def _few(k: Floats, n: Floats) -> NDArray[np.bool_]:
    # 50, 3 and 2 are the source's; the half lets effective numbers count as the nearest whole one.
    return np.asarray((k > 0) & (k < np.where(n > 50, 3, 2) + 0.5) & (k < n))  # noqa: PLR2004


def _poisson_limit(k: Floats, n: Floats, confidence: float) -> Floats:
    """The `1 - confidence` quantile of a chi-squared variable with 2k degrees of freedom, over 2n."""
    return ratio(gammaincinv(np.maximum(k, 1e-12), 1 - confidence), n)


def _length(distance: Floats, correlation: Floats | None) -> Floats:
    if correlation is None:
        return np.asarray(np.sqrt((distance**2).sum(axis=1)))
    return np.asarray(np.sqrt(np.maximum(np.einsum("si,sij,sj->s", distance, correlation, distance), 0.0)))
