"""Scores of a confusion matrix: counts of shape (series, K, K[, B]), true class first, predicted class second.

B is an optional axis of bootstrap replicates; results have shape (series[, B]), or (series, K[, B]) per class. A matrix
of S series, K classes and B replicates takes 8 S K^2 B bytes: cut the replicates into runs where that is much.
"""

from typing import NamedTuple

import numpy as np

from evaljob.statistics.arrays import Floats, Numbers, mean_where_defined, ratio


class Outcomes(NamedTuple):
    """One class against the rest, integer counts of shape (series, K[, B]): true and false positives and negatives."""

    tp: Numbers
    fp: Numbers
    fn: Numbers
    tn: Numbers


def accuracy(matrix: Numbers) -> Floats:
    """The share of right predictions: `sum_k C_kk / n`. Range 0 to 1, perfect 1, undefined without rows."""
    return ratio(_right(matrix), matrix.sum(axis=(1, 2)))


def balanced_accuracy(matrix: Numbers) -> Floats:
    """The mean recall of the classes that occur in the truth. Range 0 to 1, perfect 1, undefined without rows.

    Source: Brodersen, Ong, Stephan and Buhmann (2010), ICPR; as scikit-learn's `balanced_accuracy_score`.
    """
    return macro(recall(one_vs_rest(matrix)))


def matthews_correlation(matrix: Numbers) -> Floats:
    """The correlation of truth and prediction, `(c n - sum t_k p_k) / sqrt((n^2 - sum p_k^2)(n^2 - sum t_k^2))`.

    c is the number of right predictions, t_k and p_k are how often class k occurs and is predicted. Range -1 (with more
    than two classes a number between -1 and 0) to 1, perfect 1, no skill 0. Undefined where truth or prediction is a
    single class (scikit-learn says 0 there). Source: Matthews (1975); Gorodkin (2004), R_K.
    """
    truth, predicted, n = _margins(matrix)
    covariance = _right(matrix) * n - (truth * predicted).sum(axis=1)
    spread = (n * n - (predicted * predicted).sum(axis=1)) * (n * n - (truth * truth).sum(axis=1))
    return ratio(covariance, np.sqrt(spread))


def cohen_kappa(matrix: Numbers) -> Floats:
    """Agreement beyond chance, `(p_o - p_e) / (1 - p_e)` with `p_o` the accuracy and `p_e = sum t_k p_k / n^2`.

    Range -1 to 1, perfect 1, no skill 0. Undefined where truth and prediction are one and the same single class.
    For two classes this is the Heidke skill score. Source: Cohen (1960).
    """
    truth, predicted, n = _margins(matrix)
    chance = (truth * predicted).sum(axis=1)
    return ratio(_right(matrix) * n - chance, n * n - chance)


def one_vs_rest(matrix: Numbers) -> Outcomes:
    """Each class against the rest: tp + fp + fn + tn is the number of rows, for every class."""
    tp = _diagonal(matrix)
    fp, fn = matrix.sum(axis=1) - tp, matrix.sum(axis=2) - tp
    return Outcomes(tp, fp, fn, matrix.sum(axis=(1, 2))[:, None] - tp - fp - fn)


def precision(outcomes: Outcomes) -> Floats:
    """How often the class is right when it is said: `tp / (tp + fp)`. Perfect 1, undefined where it is never said."""
    return ratio(outcomes.tp, outcomes.tp + outcomes.fp)


def recall(outcomes: Outcomes) -> Floats:
    """How much of the class is found: `tp / (tp + fn)`. Perfect 1, undefined where it never occurs."""
    return ratio(outcomes.tp, outcomes.tp + outcomes.fn)


def f1(outcomes: Outcomes) -> Floats:
    """The harmonic mean of precision and recall, `2 tp / (2 tp + fp + fn)`.

    Range 0 to 1, perfect 1, undefined where the class neither occurs nor is said. Source: van Rijsbergen (1979); Dice
    (1945).
    """
    return ratio(2 * outcomes.tp, 2 * outcomes.tp + outcomes.fp + outcomes.fn)


def specificity(outcomes: Outcomes) -> Floats:
    """How much of the rest is left alone: `tn / (tn + fp)`. Perfect 1, undefined where the rest never occurs."""
    return ratio(outcomes.tn, outcomes.tn + outcomes.fp)


def prevalence(outcomes: Outcomes) -> Floats:
    """The share of rows that are of the class: `(tp + fn) / n`. Range 0 to 1, undefined without rows."""
    return ratio(outcomes.tp + outcomes.fn, _rows(outcomes))


def predicted_share(outcomes: Outcomes) -> Floats:
    """The share of rows said to be of the class: `(tp + fp) / n`. Range 0 to 1, undefined without rows."""
    return ratio(outcomes.tp + outcomes.fp, _rows(outcomes))


def macro(values: Floats) -> Floats:
    """The plain mean over the classes for which the value is defined, as scikit-learn with `zero_division=nan`.

    A class that the score says nothing about (such as the precision of a class never predicted) is left out, not
    counted as 0. Undefined where no class is defined.
    """
    return mean_where_defined(values)


def weighted(values: Floats, outcomes: Outcomes) -> Floats:
    """The mean over the classes where it is defined, weighted by how often each occurs; otherwise as `macro`."""
    return mean_where_defined(values, outcomes.tp + outcomes.fn)


def _rows(outcomes: Outcomes) -> Numbers:
    return outcomes.tp + outcomes.fp + outcomes.fn + outcomes.tn


def _diagonal(matrix: Numbers) -> Numbers:
    k = np.arange(matrix.shape[1])
    diagonal: Numbers = matrix[:, k, k]
    return diagonal


def _right(matrix: Numbers) -> Numbers:
    return np.asarray(_diagonal(matrix).sum(axis=1))


def _margins(matrix: Numbers) -> tuple[Floats, Floats, Floats]:
    """Truth and prediction per class, and n: as floats, because n^4 leaves 64 bits at 55,000 rows."""
    return (
        matrix.sum(axis=2).astype(np.float64),
        matrix.sum(axis=1).astype(np.float64),
        matrix.sum(axis=(1, 2)).astype(np.float64),
    )
