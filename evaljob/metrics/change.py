"""Whether a window differs from its reference: itself one length earlier, a fixed number, or an offline metric.

The window one length earlier shares no row with this one, so the two are taken as independent; a fixed number and an
offline metric are taken as they are, without uncertainty of their own. Consecutive evaluations of overlapping windows
are not independent of each other: each is a test of its own, and an alert should ask for more than one of them.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np

from evaljob.metrics.past import Past, in_past
from evaljob.metrics.results import Known, Results
from evaljob.metrics.series import ALL, Values
from evaljob.statistics.differences import difference_interval, p_value, significant

PREVIOUS, FIXED, OFFLINE = "previous", "fixed", "offline"


def add(results: Results, past: Past) -> None:
    """Difference, p-value and significance, of the metrics that the configuration names, where there is a reference.

    With interval and p-value for the slice `overall`; of the other slices, of all versions together, the difference
    and whether it is significant, by Benjamini and Hochberg among all slices of the window.
    """
    evaluation = results.series.evaluation
    for of in evaluation.change.compared(evaluation.task):
        for class_, now in results.told(of):
            for reference, then in _references(results, past, of, class_):
                _add(results, of, class_, reference, now, then)


def _references(results: Results, past: Past, of: str, class_: str) -> Iterator[tuple[str, Known]]:
    change = results.series.evaluation.change
    if change.previous:
        yield PREVIOUS, in_past(results, past.previous, of, class_)
    if (number := change.fixed.get(of)) is not None:
        yield FIXED, Known.exactly(np.full(len(results.series), float(number)))
    if change.offline:
        yield OFFLINE, Known.exactly(_offline(results, past, of))


def _offline(results: Results, past: Past, of: str) -> Values:
    """The offline metric of a version, for all of its requests: under the metric's own name, or without `_ratio`."""
    found = {
        version: metrics.get(of, metrics.get(of.removesuffix("_ratio"), np.nan))
        for version, metrics in past.offline.items()
    }
    value = results.series.names["model_version"].map(found).to_numpy(dtype="float64")
    return np.where(results.series.overall, value, np.nan)


def _add(results: Results, of: str, class_: str, reference: str, now: Known, then: Known) -> None:
    series, confidence = results.series, results.series.evaluation.confidence
    difference = now.value - then.value
    interval = difference_interval(now.value, now.interval, then.value, then.interval)
    p = p_value(difference, interval, confidence)
    total = (series.names["model_version"] == ALL).to_numpy()
    told = ~np.isnan(then.value) & (series.overall | total)
    windows = np.unique(series.names["window"], return_inverse=True)[1]
    family = windows * 2 + series.overall
    found = significant(np.where(told, p, np.nan), family, 1 - confidence)
    tell = partial(results.count, of=of, reference=reference, class_=class_)
    overall, slices = told & series.overall, told & ~series.overall
    tell("change", difference, lambda: interval, where=overall)
    tell("change", difference, where=slices)
    tell("change_p_value", p, where=overall)
    tell("change_significant", found, where=told)
