"""Whether a model treats slices alike: the largest gap and the smallest ratio between the values of a slice.

Of all versions together, for that is what those concerned met with. Slices with less than `min_support` behind a
proportion are left out, and so is `__other__`, which is no group.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np

from evaljob.metrics.classification import confusion_matrix
from evaljob.metrics.results import Results
from evaljob.metrics.series import ALL, OTHER, OVERALL, Counts, Series
from evaljob.statistics.gaps import Bounded, largest_gap, smallest_ratio
from evaljob.statistics.intervals import Interval

Proportion: TypeAlias = tuple[Counts, Counts]


def add(results: Results) -> None:
    """Gap and ratio of each proportion, by slice columns, where two slices have enough support for it."""
    series, evaluation = results.series, results.series.evaluation
    for columns in evaluation.slices:
        name = ",".join(columns)
        for of, (hits, rows) in _proportions(series).items():
            totals, members = _groups(series, name)
            groups = [m[rows[m] >= evaluation.min_support] for m in members]
            there = [(total, group) for total, group in zip(totals, groups, strict=True) if len(group) > 1]
            for metric, statistic in (("slice_gap", largest_gap), ("slice_ratio", smallest_ratio)):
                found = [statistic(hits[group], rows[group], evaluation.confidence) for _, group in there]
                tell = partial(results.count, metric, of=of, column=name)
                _tell(tell, len(series), [total for total, _ in there], found)


def _proportions(series: Series) -> Mapping[str, Proportion]:
    """Hits and rows of every series: accuracy and, of a binary task, what the notions of fairness are called after.

    Equal `predicted_ratio` is demographic parity, equal `recall_ratio` equal opportunity, equal `precision_ratio`
    predictive parity. Sources: Hardt, Price and Srebro (2016), NIPS 29; Chouldechova (2017), Big Data 5(2).
    """
    matrix, _ = confusion_matrix(series)
    found = {"accuracy_ratio": (np.trace(matrix, axis1=1, axis2=2), series.support)}
    if series.evaluation.task == "binary":
        hits, said, true = matrix[:, 1, 1], matrix[:, :, 1].sum(axis=1), matrix[:, 1, :].sum(axis=1)
        found |= {"predicted_ratio": (said, series.support), "recall_ratio": (hits, true)}
        found["precision_ratio"] = (hits, said)
    return found


def _groups(series: Series, slice_: str) -> tuple[list[int], list[Counts]]:
    """The total of each window, and the series of the slice's values there."""
    names = series.names
    total = (names["model_version"] == ALL).to_numpy()
    of_slice = total & (names["slice"] == slice_).to_numpy() & (names["slice_value"] != OTHER).to_numpy()
    totals = np.flatnonzero(total & (names["slice"] == OVERALL).to_numpy())
    windows = names["window"].to_numpy()
    return totals.tolist(), [np.flatnonzero(of_slice & (windows == windows[t])) for t in totals]


def _tell(tell: Callable[..., None], size: int, totals: Sequence[int], found: Sequence[Bounded]) -> None:
    value, lower, upper = np.array(found, dtype="float64").reshape(-1, 3).T
    where = np.zeros(size, dtype=bool)
    where[list(totals)] = True
    tell(value, lambda: Interval(lower, upper), where=where)
