"""Differences of independent values from the intervals of each, and which of many differences are no chance."""

import numpy as np
from scipy.special import ndtr

from evaljob.statistics.arrays import Floats, Numbers, ratio
from evaljob.statistics.intervals import Interval, normal_quantile


def difference_interval(one: Floats, of_one: Interval, other: Floats, of_other: Interval) -> Interval:
    """The limits of `one - other` of independent values: the distances of each to its own limits, as a hypotenuse.

    For proportions with Wilson's limits it is Newcombe's interval, of his ten the best. A value that is known exactly
    has itself as limits. Sources: Newcombe (1998), Statistics in Medicine 17, method 10; Zou and Donner (2008), there
    27 ("MOVER").
    """
    below = np.hypot(one - of_one.lower, of_other.upper - other)
    above = np.hypot(of_one.upper - one, other - of_other.lower)
    return Interval(one - other - below, one - other + above)


def p_value(difference: Floats, interval: Interval, confidence: float) -> Floats:
    """How often chance alone makes a difference at least as large, two-sided, from the interval of that confidence.

    As of a normal variable with the spread that the interval has towards 0: at most `1 - confidence` where the interval
    leaves 0 out. NaN where the interval is.
    """
    towards = np.where(difference > 0, difference - interval.lower, interval.upper - difference)
    distance = np.where(difference == 0, 0.0 * towards, ratio(np.abs(difference), towards))
    certain = (towards == 0) & (difference != 0)
    return np.where(certain, 0.0, 2 * ndtr(-normal_quantile(confidence) * distance))


def significant(p: Floats, family: Numbers, rate: float) -> Floats:
    """Which differences are significant, 1 or 0, when all of a family are looked at. NaN where p is.

    Of those called so, at most a share of `rate` is chance. Source: Benjamini and Hochberg (1995), Journal of the Royal
    Statistical Society B 57(1), by scipy; it holds as well for differences that depend on each other positively, as
    those of slices that share rows do: Benjamini and Yekutieli (2001), Annals of Statistics 29(4).
    """
    found = np.full(len(p), np.nan)
    if np.isnan(p).all():
        return found
    from scipy.stats import false_discovery_control  # noqa: PLC0415  (slow to import)

    for number in np.unique(family):
        mine = (family == number) & ~np.isnan(p)
        if mine.any():
            found[mine] = false_discovery_control(p[mine]) <= rate
    return found
