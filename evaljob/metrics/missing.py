"""What is missing: how many labels are still to come, and whether the requests that have theirs are like the others.

Of windows on `predicted_at`, of the slice `overall`. An age is that of the middle of a bucket (evaljob.ages), and so
off by up to half its width; a lag is within 1%.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cached_property, partial
from itertools import pairwise

import numpy as np

from evaljob import ages
from evaljob.join.plan import AGE, LAG
from evaljob.metrics import selection
from evaljob.metrics.results import Mask, Results
from evaljob.metrics.series import ALL, Counts, Series, Values
from evaljob.statistics.arrays import ratio
from evaljob.statistics.binning import duration_bucket_value
from evaljob.statistics.intervals import Interval
from evaljob.statistics.survival import Curve, arrived, arrived_interval, expected_coverage, kaplan_meier
from evaljob.window import Window

MATURE = 0.95  # of the labels that are to come, for a window to be called mature
EDGES = {
    "0": timedelta(0), "1h": timedelta(hours=1), "6h": timedelta(hours=6), "24h": timedelta(hours=24),
    "7d": timedelta(days=7), "30d": timedelta(days=30), "": timedelta(days=100_000),
}  # fmt: skip


def add(results: Results, as_of: datetime) -> None:
    """Coverage by age, how labels arrive, the coverage to expect, and how like the unlabeled the labeled are."""
    waiting = Waiting(results.series, as_of)
    if not waiting.windows:
        return
    for window in waiting.windows:
        _add_bands(results, waiting, window)
        _add_arrival(results, waiting, window)
    _add_expected(results, waiting)
    selection.add(results, waiting.told)


class Waiting:
    """The requests of the series that this is about (`told`), by age and whether they have a label."""

    def __init__(self, series: Series, as_of: datetime) -> None:
        self.series = series
        self.windows = [window for window in series.evaluation.windows if window.on == "predicted_at"]
        on = series.names["window"].isin([window.name for window in self.windows]).to_numpy()
        self.told: Mask = np.asarray(series.overall & on)
        cells = series.of_kind(AGE)
        served = ages.served(cells["bucket"].to_numpy())
        self.age = np.maximum(as_of.timestamp() - (served.start + served.end) / 2, 0.0)
        self.owner, self.n, self.labeled = cells["series"].to_numpy(), cells["n"].to_numpy(), served.labeled

    @property
    def horizon(self) -> float:
        """The lag in seconds beyond which no label counts."""
        bound = self.series.evaluation.max_lag
        return np.inf if bound is None else bound.total_seconds()

    @cached_property
    def total(self) -> Curve:
        """How labels arrive, of all versions, in the window that looks back furthest: it has seen most of it."""
        furthest = max(self.windows, key=lambda window: (window.maturity + window.length, window.length))
        names = self.series.names
        mine = self.told & (names["window"] == furthest.name) & (names["model_version"] == ALL)
        return self.curve(int(np.flatnonzero(mine)[0]))

    def curve(self, number: int) -> Curve:
        """How labels arrive in one series. A default label arrives at its age, where none came before."""
        cells = self.series.of_kind(LAG)
        mine = cells["series"].to_numpy() == number
        lag, came = duration_bucket_value(cells["bucket"].to_numpy()[mine]), cells["n"].to_numpy()[mine]
        if (default := self.series.evaluation.labels_default) is not None:
            after = default.after.total_seconds()
            implied = self.n[(self.owner == number) & self.labeled].sum() - came.sum()
            lag, came = np.append(np.minimum(lag, after), after), np.append(came, implied)
        return kaplan_meier(lag, came, *self.unlabeled(number))

    def unlabeled(self, number: int) -> tuple[Values, Counts]:
        """Ages of the requests of one series that wait for their label, and how many are as old."""
        mine = (self.owner == number) & ~self.labeled
        return self.age[mine], self.n[mine]

    def between(self, edges: tuple[timedelta, timedelta]) -> tuple[Counts, Counts]:
        """Labeled and all requests of ages between two edges, by series."""
        low, high = (edge.total_seconds() for edge in edges)
        inside = (self.age >= low) & (self.age < high)
        return self._counted(inside & self.labeled), self._counted(inside)

    def _counted(self, mask: Mask) -> Counts:
        counted = np.zeros(len(self.series), dtype="int64")
        np.add.at(counted, self.owner[mask], self.n[mask])
        return counted


def _add_bands(results: Results, waiting: Waiting, window: Window) -> None:
    """Coverage of the requests in each band of age that the window looks at."""
    mine = waiting.told & (results.series.names["window"] == window.name).to_numpy()
    names = list(EDGES)
    for low, high in pairwise(names):
        if EDGES[low] < window.maturity + window.length and EDGES[high] > window.maturity:
            labeled, of_age = waiting.between((EDGES[low], EDGES[high]))
            results.share(
                "label_coverage_by_age_ratio", labeled, of_age, needs_support=False, where=mine, age=f"{low}-{high}"
            )


def _add_arrival(results: Results, waiting: Waiting, window: Window) -> None:
    """The share of requests that have their label by an age, those that are younger counted as far as they go."""
    numbers = np.flatnonzero(waiting.told & (results.series.names["window"] == window.name).to_numpy())
    curves = [waiting.curve(int(number)) for number in numbers]
    for name, edge in EDGES.items():
        if timedelta(0) < edge <= window.maturity + window.length:
            age = edge.total_seconds()
            value = np.array([arrived(curve, age) for curve in curves])
            results.count(
                "label_arrival_ratio",
                value,
                partial(_arrival_limits, curves, age, results.series.evaluation.confidence),
                support=results.series.predictions[numbers],
                where=_mask(results.series, numbers),
                age=name,
            )


def _arrival_limits(curves: Sequence[Curve], age: float, confidence: float) -> Interval:
    limits = [arrived_interval(curve, age, confidence) for curve in curves]
    return Interval(np.array([lower for lower, _ in limits]), np.array([upper for _, upper in limits]))


def _add_expected(results: Results, waiting: Waiting) -> None:
    """The coverage that each window will have, and whether it lacks more than a few of the labels to come."""
    series, numbers = results.series, np.flatnonzero(waiting.told)
    labeled, confidence = waiting.between((EDGES["0"], EDGES[""]))[0], series.evaluation.confidence
    expected = np.array([
        expected_coverage(waiting.total, int(labeled[i]), *waiting.unlabeled(int(i)), waiting.horizon, confidence)
        for i in numbers
    ]).T  # fmt: skip
    of = series.predictions[numbers]
    tell = partial(results.count, support=of, where=waiting.told)
    tell("expected_coverage_ratio", expected[0], lambda: Interval(expected[1], expected[2]))
    covered = ratio(labeled[numbers], of)
    late = np.where(np.isnan(expected[0]), np.nan, covered < MATURE * expected[0])
    tell("immature", late)


def _mask(series: Series, numbers: Counts) -> Mask:
    mask = np.zeros(len(series), dtype=bool)
    mask[numbers] = True
    return mask
