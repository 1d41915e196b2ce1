"""Accuracy and its kin from the confusion matrix of every series."""

import numpy as np
import numpy.typing as npt

from evaljob.metrics.results import Results
from evaljob.metrics.series import Counts, Series
from evaljob.statistics import confusion

MACRO, WEIGHTED = "macro", "weighted"


def add(results: Results) -> None:
    """Agreement of the whole matrix, and precision, recall, F1, specificity and shares per class."""
    series = results.series
    matrix, names = confusion_matrix(series)
    correct = np.trace(matrix, axis1=1, axis2=2)
    results.share("accuracy_ratio", correct, series.support)
    results.measure("balanced_accuracy_ratio", confusion.balanced_accuracy(matrix))
    results.measure("matthews_correlation", confusion.matthews_correlation(matrix))
    results.measure("cohen_kappa", confusion.cohen_kappa(matrix))
    outcomes = confusion.one_vs_rest(matrix)
    published = [len(names) - 1] if series.evaluation.task == "binary" else range(len(names))
    for k in published:
        _add_class(results, outcomes, k, names[k])
    if series.evaluation.task == "multiclass":
        _add_averages(results, outcomes)


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


def _published(name: str) -> str:
    return f"__{name}__" if name in (MACRO, WEIGHTED) else name


def _add_class(results: Results, outcomes: confusion.Outcomes, k: int, name: str) -> None:
    tp, fp, fn, tn = (np.ascontiguousarray(counts[:, k]) for counts in outcomes)
    total = tp + fp + fn + tn
    results.share("precision_ratio", tp, tp + fp, class_=name)
    results.share("recall_ratio", tp, tp + fn, class_=name)
    results.measure("f1_ratio", confusion.f1(outcomes)[:, k], class_=name)
    results.share("specificity_ratio", tn, tn + fp, class_=name)
    results.share("prevalence_ratio", tp + fn, total, class_=name)
    results.share("predicted_ratio", tp + fp, total, class_=name)


def _add_averages(results: Results, outcomes: confusion.Outcomes) -> None:
    for metric, function in (
        ("precision", confusion.precision),
        ("recall", confusion.recall),
        ("f1", confusion.f1),
        ("specificity", confusion.specificity),
    ):
        values: npt.NDArray[np.float64] = function(outcomes)
        results.measure(f"{metric}_ratio", confusion.macro(values), class_=MACRO)
        results.measure(f"{metric}_ratio", confusion.weighted(values, outcomes), class_=WEIGHTED)
