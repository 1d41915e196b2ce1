"""Confidence intervals of the areas in `ranking`, each named as its area, from counts per bin (series, bins).

Both combine a variance that fits any scores but falls apart with few rows (from how the area changes with each bin)
with one that assumes a shape but holds down to a handful: their ratio is drawn towards 1 as if so many rows said so.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from evaljob.statistics.arrays import Floats, Numbers, ratio, unless
from evaljob.statistics.intervals import Interval, normal_quantile
from evaljob.statistics.solve import last_true

_ROWS_FOR_SHAPE_OF_AUC = 12
_ROWS_FOR_SHAPE_OF_PRECISION = 24


def roc_auc(value: Floats, positives: Numbers, negatives: Numbers, confidence: float) -> Interval:
    """All areas a with `|value - a| <= z sqrt(r V(a))`.

    V is the variance of Hanley and McNeil (1982) and r corrects it by the variance of DeLong, DeLong and Clarke-Pearson
    (1988) at the value. NaN where the value is. Source of the score form: Newcombe (2006), Statistics in Medicine 25,
    part 2, method 5.
    """
    z, p, n = normal_quantile(confidence), positives.sum(axis=1), negatives.sum(axis=1)
    free = (value * p * n + 0.5) / (p * n + 1)
    fewest = np.minimum(p, n)
    observed = ratio(_delong_variance(positives, negatives), _hanley_mcneil_variance(free, p, n))
    trust = (_ROWS_FOR_SHAPE_OF_AUC + fewest * observed) / (_ROWS_FOR_SHAPE_OF_AUC + fewest)

    def covers(area: Floats) -> NDArray[np.bool_]:
        return np.asarray(np.abs(value - area) <= z * np.sqrt(trust * _hanley_mcneil_variance(area, p, n)))

    lower, upper = (last_true(covers, value, np.full(value.shape, end)) for end in (0.0, 1.0))
    return Interval(unless(np.isnan(value), lower), unless(np.isnan(value), upper))


def average_precision(value: Floats, positives: Numbers, negatives: Numbers, confidence: float) -> Interval:
    """`logit(value) -+ z sqrt(r / (P a (1 - a)))`, with P positives and a the value kept off 1 by half a row.

    r corrects the binomial variance by that of the area's linear part. NaN where the value is. Source: Boyd, Eng and
    Page (2013), ECML, "logit interval".
    """
    z, p = normal_quantile(confidence), positives.sum(axis=1)
    kept = np.minimum(value, 1 - 0.5 / (p + 1))
    binomial = ratio(kept * (1 - kept), p)
    observed = p * ratio(_precision_variance(positives, negatives), binomial)
    trust = (_ROWS_FOR_SHAPE_OF_PRECISION + observed) / (_ROWS_FOR_SHAPE_OF_PRECISION + p)
    reach = z * np.sqrt(trust * binomial) / (kept * (1 - kept))
    lower, upper = expit(logit(kept) - reach), expit(logit(kept) + reach)
    return Interval(np.minimum(lower, value), np.maximum(upper, value))


def _hanley_mcneil_variance(area: Floats, p: Numbers, n: Numbers) -> Floats:
    """`a (1 - a) (1 + (P - 1) (1 - a) / (2 - a) + (N - 1) a / (1 + a)) / (P N)`: of exponential scores."""
    shared = 1 + (p - 1) * (1 - area) / (2 - area) + (n - 1) * area / (1 + area)
    return ratio(area * (1 - area) * shared, p * n)


def _delong_variance(positives: Numbers, negatives: Numbers) -> Floats:
    """From how much of the other class every row beats, ties counted half."""
    p, n = positives.sum(axis=1, keepdims=True), negatives.sum(axis=1, keepdims=True)
    beaten = ratio(np.cumsum(negatives, axis=1) - negatives / 2, n)
    beating = ratio(p - np.cumsum(positives, axis=1) + positives / 2, p)
    area = ratio((positives * beaten).sum(axis=1, keepdims=True), p)
    of_positives = (positives * (beaten - area) ** 2).sum(axis=1) / np.maximum(p * (p - 1), 1)[:, 0]
    of_negatives = (negatives * (beating - area) ** 2).sum(axis=1) / np.maximum(n * (n - 1), 1)[:, 0]
    return np.asarray(of_positives + of_negatives)


def _precision_variance(positives: Numbers, negatives: Numbers) -> Floats:
    """`sum C_b g_b^2` over both classes, where g_b says how the average precision changes with a row in bin b."""
    p = positives.sum(axis=1, keepdims=True)
    hits, rows = p - np.cumsum(positives, axis=1) + positives, positives + negatives
    said = np.maximum(rows.sum(axis=1, keepdims=True) - np.cumsum(rows, axis=1) + rows, 1)
    precision, share = hits / said, ratio(positives, p)
    area = (share * precision).sum(axis=1, keepdims=True)
    lift = np.cumsum(share * (1 - precision) / said, axis=1)
    drop = np.cumsum(share * precision / said, axis=1)
    of_positive = ratio(precision - area, p) + lift
    return np.asarray((positives * of_positive**2 + negatives * drop**2).sum(axis=1))
