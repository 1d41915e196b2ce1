"""The confusion matrix as counts, of the slice `overall`."""

import numpy as np

from evaljob.metrics.results import Results
from evaljob.metrics.series import OTHER, Counts, Series

REST = "__rest__"
MOST_CLASSES = 10  # the others are counted together as __other__: a matrix has a series for each pair


def add(results: Results) -> None:
    """How often each class was predicted as each; exact counts of the window, which have no interval."""
    series = results.series
    label, prediction, names = _coded(series)
    matrix = series.dense(series.outcomes, [label, prediction], [len(names), len(names)])
    for i, true in enumerate(names):
        for j, said in enumerate(names):
            results.count("confusion", matrix[:, i, j], where=series.overall, class_=true, predicted=said)


def _coded(series: Series) -> tuple[Counts, Counts, list[str]]:
    """Labels and predictions of the outcome cells as numbers of classes, and the names of these, sorted.

    Binary: the positive class, and the other one by its name, or as `__rest__` where there are more. Multiclass: the
    MOST_CLASSES that occur or are predicted most.
    """
    cells = series.outcomes
    label, prediction = cells["label"].to_numpy(), cells["prediction"].to_numpy()
    used, place = np.unique(np.concatenate([label, prediction]), return_inverse=True)
    weight = np.bincount(place, weights=np.tile(cells["n"].to_numpy(), 2), minlength=len(used))
    if series.evaluation.task == "binary":
        others = [series.classes[code] for code in used if code != series.positive]
        told = {series.positive: str(series.evaluation.positive_label)}
        rest = others[0] if len(others) == 1 else REST
    else:
        most = used[np.lexsort((used, -weight))[:MOST_CLASSES]]
        told, rest = {int(code): series.classes[code] for code in most}, OTHER
    published = [told.get(int(code), rest) for code in used]
    names = sorted(set(published))
    codes = np.array([names.index(name) for name in published], dtype="int64")[place]
    return codes[: len(label)], codes[len(label) :], names
