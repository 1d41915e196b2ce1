"""Accuracy and its kin from the confusion matrix of every series."""

from functools import partial

import numpy as np

from evaljob.metrics.results import Mask, Results
from evaljob.metrics.series import Counts, Series
from evaljob.statistics import confusion
from evaljob.statistics import confusion_intervals as intervals
from evaljob.statistics.arrays import ratio
from evaljob.statistics.intervals import Interval, proportion

MACRO, WEIGHTED = "macro", "weighted"
AGREEMENT = {
    "balanced_accuracy_ratio": "balanced_accuracy",
    "matthews_correlation": "matthews_correlation",
    "cohen_kappa": "cohen_kappa",
}
_MACRO = {
    "precision": intervals.macro_precision,
    "recall": intervals.macro_recall,
    "specificity": intervals.macro_specificity,
}


def add(results: Results) -> None:
    """Agreement of the whole matrix, and precision, recall, F1, specificity and shares per class."""
    series, confidence = results.series, results.series.evaluation.confidence
    matrix, names = confusion_matrix(series)
    correct = np.trace(matrix, axis1=1, axis2=2)
    results.share("accuracy_ratio", correct, series.support)
    if series.evaluation.metrics.missing:
        _add_accuracy_with_failures(results, correct)
    for metric, name in AGREEMENT.items():
        results.measure(metric, getattr(confusion, name)(matrix), partial(getattr(intervals, name), matrix, confidence))
    outcomes = confusion.one_vs_rest(matrix)
    published = [len(names) - 1] if series.evaluation.task == "binary" else range(len(names))
    for k in published:
        _add_class(results, outcomes, k, names[k])
    if series.evaluation.task == "multiclass":
        _add_averages(results, matrix, outcomes)


def confusion_matrix(series: Series) -> tuple[Counts, list[str]]:
    """Counts of shape (series, K, K) [true class, predicted class], and the classes' names.

    Binary: the rest, the positive class.
    """
    cells = series.outcomes
    label, prediction = cells["label"].to_numpy(), cells["prediction"].to_numpy()
    if series.evaluation.task == "binary":
        said, names = (prediction == series.positive).astype("int64"), ["rest", str(series.evaluation.positive_label)]
        return series.dense(cells, [series.events.astype("int64"), said], [2, 2]), names
    used = np.unique(np.concatenate([label, prediction]))
    names = [_published(series.classes[code]) for code in used]
    return series.dense(
        cells, [np.searchsorted(used, label), np.searchsorted(used, prediction)], [len(used), len(used)]
    ), names


def _add_accuracy_with_failures(results: Results, correct: Counts) -> None:
    """A request that failed has got no right answer, and its label tells what it was; told also when all failed."""
    judged = results.series.labeled
    enough = judged >= results.series.evaluation.min_support
    value, confidence = np.where(enough, ratio(correct, judged), np.nan), results.series.evaluation.confidence
    interval = partial(_where, enough, correct, judged, confidence)
    results.count("accuracy_with_failures_ratio", value, interval, support=judged, where=results.series.overall)


def _where(enough: Mask, correct: Counts, judged: Counts, confidence: float) -> Interval:
    return Interval(*(np.where(enough, limit, np.nan) for limit in proportion(correct, judged, confidence)))


def _published(name: str) -> str:
    return f"__{name}__" if name in (MACRO, WEIGHTED) else name


def _add_class(results: Results, outcomes: confusion.Outcomes, k: int, name: str) -> None:
    tp, fp, fn, tn = (np.ascontiguousarray(counts[:, k]) for counts in outcomes)
    total = tp + fp + fn + tn
    results.share("precision_ratio", tp, tp + fp, class_=name)
    results.share("recall_ratio", tp, tp + fn, class_=name)
    one = confusion.Outcomes(*(counts[:, k : k + 1] for counts in outcomes))
    f1 = partial(intervals.f1, one, results.series.evaluation.confidence)
    results.each("f1_ratio", [name], confusion.f1(one), f1, label="class")
    results.share("specificity_ratio", tn, tn + fp, class_=name)
    results.share("prevalence_ratio", tp + fn, total, class_=name)
    results.share("predicted_ratio", tp + fp, total, class_=name)


def _add_averages(results: Results, matrix: Counts, outcomes: confusion.Outcomes) -> None:
    confidence = results.series.evaluation.confidence
    for name in ("precision", "recall", "f1", "specificity"):
        values = getattr(confusion, name)(outcomes)
        macro = partial(intervals.macro_f1, matrix) if name == "f1" else partial(_MACRO[name], outcomes)
        weighted = partial(getattr(intervals, f"weighted_{name}"), matrix)
        results.measure(f"{name}_ratio", confusion.macro(values), partial(macro, confidence), class_=MACRO)
        share = confusion.weighted(values, outcomes)
        results.measure(f"{name}_ratio", share, partial(weighted, confidence), class_=WEIGHTED)
