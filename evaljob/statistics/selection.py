"""Whether the labeled requests are like the others, by their scores: counts by score bin, (series, bins)."""

import numpy as np
from scipy.special import kolmogorov

from evaljob.statistics.arrays import Floats, Numbers, ratio

GROUPS = 10
_FEW = 0.5  # what each group is given, so that an empty one does not make the index infinite


def kolmogorov_smirnov(one: Numbers, other: Numbers) -> Floats:
    """`max |F1(s) - F2(s)|` over the edges of the bins: 0 for equal distributions, 1 for ones that do not overlap.

    At most what the scores themselves would give, for inside a bin nothing is seen. NaN where either is empty.
    """
    shares = [ratio(np.cumsum(counts, axis=1), counts.sum(axis=1, keepdims=True)) for counts in (one, other)]
    return np.asarray(np.abs(shares[0] - shares[1]).max(axis=1))


def kolmogorov_smirnov_p_value(distance: Floats, one: Numbers, other: Numbers) -> Floats:
    """How often samples of one source would be as far apart; too large rather than too small, because of the bins.

    Kolmogorov's distribution at `(sqrt(m) + 0.12 + 0.11 / sqrt(m)) D` with `m = n1 n2 / (n1 + n2)`. Source: Stephens
    (1970), Journal of the Royal Statistical Society B 32(1).
    """
    n, m = one.sum(axis=1), other.sum(axis=1)
    size = np.sqrt(ratio(n * m, n + m))
    return np.asarray(kolmogorov((size + 0.12 + ratio(0.11, size)) * distance), dtype=np.float64)


def population_stability_index(one: Numbers, other: Numbers) -> Floats:
    """`sum (p - q) ln(p / q)` over ten groups of bins with about equally many requests of both together.

    Range 0 up, 0 for equal distributions; by custom 0.1 is little and 0.25 much. Each group is given half a request, so
    that none is empty. Two samples of one source have about `9 (1 / n1 + 1 / n2)`. NaN where either is empty. Sources:
    Siddiqi (2006), Credit Risk Scorecards; Yurdakul and Naranjo (2020), Journal of Risk Model Validation 14(4).
    """
    both = one + other
    middle = ratio(np.cumsum(both, axis=1) - both / 2, both.sum(axis=1, keepdims=True))
    group = np.clip(np.nan_to_num(middle) * GROUPS, 0, GROUPS - 1).astype(np.int64)
    p, q = (_shares(counts, group) for counts in (one, other))
    empty = (one.sum(axis=1) == 0) | (other.sum(axis=1) == 0)
    return np.where(empty, np.nan, ((p - q) * np.log(p / q)).sum(axis=1))


def _shares(counts: Numbers, group: Numbers) -> Floats:
    grouped = np.stack([np.where(group == g, counts, 0).sum(axis=1) for g in range(GROUPS)], axis=1) + _FEW
    return ratio(grouped, grouped.sum(axis=1, keepdims=True))
