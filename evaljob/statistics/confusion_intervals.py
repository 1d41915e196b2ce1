"""Confidence intervals of the scores in `confusion`, each named as its score.

Matrices have shape (series, K, K), outcomes (series, K).
Shares of rows are proportions; plain means over classes are means of proportions; the others have the variance of their
linear part (`confusion_variance`). `macro` and `weighted` means over classes carry that word in front.
"""

from collections.abc import Callable

import numpy as np

from evaljob.statistics import confusion, confusion_variance
from evaljob.statistics.arrays import Floats, Numbers
from evaljob.statistics.confusion import Outcomes
from evaljob.statistics.intervals import Interval, bounded_score, mean_of_proportions, proportion


def accuracy(matrix: Numbers, confidence: float) -> Interval:
    """Of a proportion."""
    return proportion(np.trace(matrix, axis1=1, axis2=2), matrix.sum(axis=(1, 2)), confidence)


def precision(outcomes: Outcomes, confidence: float) -> Interval:
    """Of a proportion."""
    return proportion(outcomes.tp, outcomes.tp + outcomes.fp, confidence)


def recall(outcomes: Outcomes, confidence: float) -> Interval:
    """Of a proportion."""
    return proportion(outcomes.tp, outcomes.tp + outcomes.fn, confidence)


def specificity(outcomes: Outcomes, confidence: float) -> Interval:
    """Of a proportion."""
    return proportion(outcomes.tn, outcomes.tn + outcomes.fp, confidence)


def prevalence(outcomes: Outcomes, confidence: float) -> Interval:
    """Of a proportion."""
    return proportion(outcomes.tp + outcomes.fn, _rows(outcomes), confidence)


def predicted_share(outcomes: Outcomes, confidence: float) -> Interval:
    """Of a proportion."""
    return proportion(outcomes.tp + outcomes.fp, _rows(outcomes), confidence)


def f1(outcomes: Outcomes, confidence: float) -> Interval:
    """Of the proportion `j = tp / (tp + fp + fn)`, since `f1 = 2 j / (1 + j)`.

    Source: Lam, Gopal and Qian (2023), arXiv 2309.14621, "Wilson indirect".
    """
    share = proportion(outcomes.tp, outcomes.tp + outcomes.fp + outcomes.fn, confidence)
    return Interval(*(2 * limit / (1 + limit) for limit in share))


def balanced_accuracy(matrix: Numbers, confidence: float) -> Interval:
    """Of the mean of independent proportions, given how often each class occurs."""
    return macro_recall(confusion.one_vs_rest(matrix), confidence)


def macro_recall(outcomes: Outcomes, confidence: float) -> Interval:
    """Of the mean of independent proportions, given how often each class occurs."""
    return mean_of_proportions(confusion.recall(outcomes), recall(outcomes, confidence))


def macro_precision(outcomes: Outcomes, confidence: float) -> Interval:
    """Of the mean of independent proportions, given how often each class is said."""
    return mean_of_proportions(confusion.precision(outcomes), precision(outcomes, confidence))


def macro_specificity(outcomes: Outcomes, confidence: float) -> Interval:
    """Of the mean of proportions, taken as independent: they hardly depend on each other where errors are few."""
    return mean_of_proportions(confusion.specificity(outcomes), specificity(outcomes, confidence))


def macro_f1(matrix: Numbers, confidence: float) -> Interval:
    """Of the mean of dependent scores: a row that one class misses is a false alarm of another."""
    outcomes = confusion.one_vs_rest(matrix)
    correlation = confusion_variance.f1_correlation(confusion_variance.smoothed(matrix))
    return mean_of_proportions(confusion.f1(outcomes), f1(outcomes, confidence), correlation)


def matthews_correlation(matrix: Numbers, confidence: float) -> Interval:
    """Of a score between -1 and 1."""
    score, variance = confusion.matthews_correlation, confusion_variance.matthews_correlation
    return _of_score(score, variance, matrix, confidence, lowest=-1.0)


def cohen_kappa(matrix: Numbers, confidence: float) -> Interval:
    """Of a score between -1 and 1."""
    return _of_score(confusion.cohen_kappa, confusion_variance.cohen_kappa, matrix, confidence, lowest=-1.0)


def weighted_recall(matrix: Numbers, confidence: float) -> Interval:
    """Of a proportion: weighted by how often each class occurs, recall is the accuracy."""
    return accuracy(matrix, confidence)


def weighted_precision(matrix: Numbers, confidence: float) -> Interval:
    """Of a score between 0 and 1."""
    return _of_score(_weighted(confusion.precision), confusion_variance.weighted_precision, matrix, confidence)


def weighted_f1(matrix: Numbers, confidence: float) -> Interval:
    """Of a score between 0 and 1."""
    return _of_score(_weighted(confusion.f1), confusion_variance.weighted_f1, matrix, confidence)


def weighted_specificity(matrix: Numbers, confidence: float) -> Interval:
    """Of a score between 0 and 1."""
    return _of_score(_weighted(confusion.specificity), confusion_variance.weighted_specificity, matrix, confidence)


def _of_score(
    score: Callable[[Numbers], Floats],
    variance: Callable[[Floats], Floats],
    matrix: Numbers,
    confidence: float,
    lowest: float = 0.0,
) -> Interval:
    counts = confusion_variance.smoothed(matrix)
    return bounded_score(score(matrix), score(counts), variance(counts), matrix.sum(axis=(1, 2)), confidence, lowest)


def _weighted(score: Callable[[Outcomes], Floats]) -> Callable[[Numbers], Floats]:
    def mean(matrix: Numbers) -> Floats:
        outcomes = confusion.one_vs_rest(matrix)
        return confusion.weighted(score(outcomes), outcomes)

    return mean


def _rows(outcomes: Outcomes) -> Numbers:
    return np.asarray(outcomes.tp + outcomes.fp + outcomes.fn + outcomes.tn)
