"""How well scores rank positives above negatives, from counts of both per fine score bin.

Counts have shape (series, SCORE_BINS), bins in ascending order of score. Given the sums of scores as well, the order
inside a bin is estimated from how far the mean scores of its positives and negatives lie apart: on a million rows both
areas are then within 0.001 of their value over the single scores, for ordinary and for rare-event scores (tested;
without the sums average precision is off by up to 0.03). Scores that all crowd into one or two bins lie outside that
promise.
"""

import numpy as np
from numpy.typing import NDArray

from evaljob.statistics.arrays import Floats, Numbers, ratio
from evaljob.statistics.binning import score_edges
from evaljob.statistics.bins import SCORE_UNIT

_TIED_MEANS = 1e-12
_TIED_VARIANCE = 2e-9  # squares of scores are summed on a grid of 1e-9
_LARGEST_LEAD = 0.499


def roc_auc(
    positives: Numbers, negatives: Numbers, positive_score: Floats | None = None, negative_score: Floats | None = None
) -> Floats:
    """The chance that a positive scores higher than a negative, ties counted half: shape (series,).

    `sum_b pos_b (neg_<b + (1/2 + lead_b) neg_b) / (P N)`, where the lead is the distance of the mean scores of a bin's
    positives and negatives in units of the bin's width: exact where densities inside the bin are straight lines.
    Without sums of scores it is 0. Range 0 to 1, perfect 1, no skill 0.5, undefined without positives or without
    negatives. Source: Hanley and McNeil (1982); as scikit-learn's `roc_auc_score`.
    """
    lead = _lead(_distance(positives, negatives, positive_score, negative_score))
    below = np.cumsum(negatives, axis=1) - (0.5 - lead) * negatives
    pairs = positives.sum(axis=1).astype(np.float64) * negatives.sum(axis=1)
    return ratio((positives * below).sum(axis=1), pairs)


def average_precision(
    positives: Numbers,
    negatives: Numbers,
    positive_score: Floats | None = None,
    negative_score: Floats | None = None,
    squared_score: Floats | None = None,
) -> Floats:
    """The mean over positives of the precision at their own score as the threshold: shape (series,).

    Range 0 to 1, perfect 1, no skill the prevalence, undefined without positives (scikit-learn says 0 there). Without
    sums of scores (`squared_score` is that of all rows) every bin is one tie. With them a bin is a tie only where its
    scores are equal; elsewhere the fraction of its negatives above the fraction t of its positives is modelled as
    `t^k`, with k such that the bin's share of the area under the ROC curve is kept (Lehmann 1953), and the precisions
    of its positives are summed by Gauss quadrature. Source: as scikit-learn's `average_precision_score`, without
    interpolation between scores.
    """
    distance = _distance(positives, negatives, positive_score, negative_score)
    tied = _tied(positives, negatives, positive_score, negative_score, squared_score) & (
        np.abs(distance) <= _TIED_MEANS
    )
    # Only bins with positives take part: most bins of most series have none.
    where = np.nonzero(positives)
    p, n, hits, misses = (x[where] for x in (positives, negatives, _above(positives), _above(negatives)))
    precisions = p * ratio(hits + p, hits + p + misses + n)
    apart = ~tied[where]
    lead = _lead(distance)[where][apart]
    counts = np.array([x[apart] for x in (p, n, hits, misses)], dtype=np.float64)
    precisions[apart] = _sum_of_precisions(counts, (0.5 + lead) / (0.5 - lead))
    total = np.bincount(where[0], weights=precisions, minlength=len(positives))
    return ratio(total, positives.sum(axis=1))


def _distance(p: Numbers, n: Numbers, p_score: Floats | None, n_score: Floats | None) -> Floats:
    """Mean score of a bin's positives minus that of its negatives; 0 where one is missing."""
    if p_score is None or n_score is None:
        return np.zeros(p.shape)
    return np.nan_to_num(ratio(p_score, p) - ratio(n_score, n))


def _lead(distance: Floats) -> Floats:
    """How much more often than half a bin's positives score above its negatives."""
    if not distance.any():
        return distance
    width = np.diff(score_edges()) / SCORE_UNIT
    return np.clip(distance / width, -_LARGEST_LEAD, _LARGEST_LEAD)


def _tied(
    p: Numbers, n: Numbers, p_score: Floats | None, n_score: Floats | None, squared_score: Floats | None
) -> NDArray[np.bool_]:
    """Whether all scores of a bin are equal, as far as their variance tells."""
    if p_score is None or n_score is None or squared_score is None:
        return np.ones(p.shape, dtype=np.bool_)
    rows = np.maximum(p + n, 1)
    return np.asarray(np.abs(squared_score / rows - ((p_score + n_score) / rows) ** 2) <= _TIED_VARIANCE)


def _above(counts: Numbers) -> Numbers:
    """Counts in the bins of higher score."""
    return np.asarray(counts.sum(axis=1, keepdims=True) - np.cumsum(counts, axis=1))


def _sum_of_precisions(counts: Floats, k: Floats) -> Floats:
    """The precisions at each of a bin's p positives in turn, summed.

    `counts` are p, the bin's negatives, and both in the bins above. Three nodes: the Gauss quadrature for sums over
    1..p, exact for p up to 3 and for polynomials up to the fifth degree.
    """
    p, n, hits, misses = counts
    reach = np.sqrt(np.maximum(3 * p * p - 7, 1) / 20)
    outer = p * (p * p - 1) / (24 * reach**2)
    total = np.zeros(p.shape)
    for offset, weight in ((-reach, outer), (0.0, p - 2 * outer), (reach, outer)):
        place = (p + 1) / 2 + offset
        fraction = np.clip((place - 0.5) / p, 0, 1)
        total += weight * (hits + place) / (hits + place + misses + n * fraction**k)
    return total
