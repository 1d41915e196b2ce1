"""Laws that hold for all logs: of the results against a naive join, and of the cells with themselves."""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

import numpy as np
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaljob.ages import served
from evaljob.cells import MISSING, NONE, Cells
from evaljob.config import Costs, Outcomes
from evaljob.database import connect
from evaljob.join.plan import AGE, OUTCOME
from evaljob.metrics import evaluate
from evaljob.window import Timestamp, Window
from tests.logs import STAMP, TEXT, Row, create, drop, evaluation, full, plan, utc, window
from tests.naive import Naive, Series
from tests.worlds import CLASSES, DELAYS, WINDOWS, World, worlds

Values: TypeAlias = dict[tuple[str, ...], float]

OF_CLASS: dict[str, sa.types.TypeEngine[Any]] = {
    "binary": sa.BigInteger(), "multiclass": TEXT, "regression": sa.Double(),
}  # fmt: skip
SERIES = ("window", "model_version", "slice", "slice_value")
EXACT, PERCENT = 1e-6, 0.01 * (1 + 1e-9)
TASKS = pytest.mark.parametrize("task", CLASSES)


class Bench:
    """A database in memory whose logs are made anew for every example."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.engine = connect("sqlite://", read_only=False)

    def cells(self, world: World, predictions: str = "SELECT * FROM predictions", **keys: Any) -> Cells:
        """The cells of a full count of a world at its later instant, of its evaluation but for `keys`."""
        self._write(world)
        evaluated = evaluation(self.folder, predictions, **world.keys | keys)
        with self.engine.connect() as connection:
            return full(connection, plan(connection, evaluated), utc(world.after))

    def results(self, world: World, **keys: Any) -> Values:
        """The results likewise, by metric, window, version, slice, its value, class, quantile, reason and bin."""
        cells = self.cells(world, **keys)
        frame = evaluate(evaluation(self.folder, **world.keys | keys), cells, utc(world.after), {})
        names = frame[["metric", *SERIES, "class", "quantile", "reason", "bin"]].astype(str)
        return dict(zip(map(tuple, names.to_numpy().tolist()), frame["value"].astype(float).tolist(), strict=True))

    def _write(self, world: World) -> None:
        drop(self.engine)
        of_class = OF_CLASS[world.keys["task"]]
        create(self.engine, "predictions", world.predictions, {"prediction": of_class, "country": TEXT})
        create(self.engine, "labels", world.labels, {"label": of_class, "labeled_at": STAMP, "paid": sa.Double()})


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """One database for all examples."""
    made = Bench(tmp_path_factory.mktemp("laws"))
    yield made
    made.engine.dispose()


def some(examples: int) -> settings:
    """How many examples a law is tried on."""
    return settings(max_examples=examples, suppress_health_check=list(HealthCheck))


@TASKS
def test_counts_are_those_of_a_naive_join(bench: Bench, task: str) -> None:
    """Books, percentiles of durations and value sums of every series."""

    @some(15)
    @given(world=worlds((task,)))
    def holds(world: World) -> None:
        found = bench.results(world)
        naive = Naive(evaluation(bench.folder, **world.keys), world.predictions, world.labels, world.after)
        for series in _series(found):
            for metric, value in naive.books(series).items():
                assert _same(_value(found, metric, series), value), (metric, series)
            assert _same(_value(found, "value_sum", series), naive.value_sum(series, "paid"), EXACT), series
            for (metric, q), seconds in _percentiles(naive, series).items():
                assert _same(_value(found, metric, series, quantile=q), seconds, PERCENT * seconds), (metric, q, series)
        for window_ in WINDOWS:
            assert _rejected(found, window_) == naive.rejected(window_)
            assert _value(found, "orphan_labels", Series(window_)) == naive.orphans_in(window_)

    holds()


@TASKS
def test_qualities_are_those_of_scikit_learn(bench: Bench, task: str) -> None:
    """Agreement, classes, ranking, scores and errors of every series of a window."""

    @some(15)
    @given(world=worlds((task,)), window_=st.sampled_from(WINDOWS))
    def holds(world: World, window_: Window) -> None:
        found = bench.results(world)
        naive = Naive(evaluation(bench.folder, **world.keys), world.predictions, world.labels, world.after)
        for series in _series(found):
            if series.window == window_:
                for metric, class_, value in naive.quality(series):
                    assert _same(_value(found, metric, series, class_=class_), value, EXACT), (metric, class_, series)

    holds()


@some(15)
@given(world=worlds(), chance=st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing(bench: Bench, world: World, chance: Random) -> None:
    """Logs have no order: the same rows written in another one give the same cells."""
    shuffled = [chance.sample(rows, len(rows)) for rows in (world.predictions, world.labels)]
    assert bench.cells(world).identical(bench.cells(_with(world, *shuffled)))


@some(15)
@given(world=worlds())
def test_rows_that_are_not_known_yet_change_nothing(bench: Bench, world: World) -> None:
    """The cells are those of the logs that end at `as_of`: a past evaluation can be repeated exactly."""
    known = [
        [row for row in rows if row["ingested_at" if "ingested_at" in row else stamp] < world.after]
        for rows, stamp in ((world.predictions, "predicted_at"), (world.labels, "labeled_at"))
    ]
    assert bench.cells(world).identical(bench.cells(_with(world, *known)))


@pytest.mark.parametrize("on", ["predicted_at", "labeled_at"])
def test_adjacent_windows_tile(bench: Bench, on: Timestamp) -> None:
    """The last two hours are the hour before and the last hour: no row is lost and none is shared."""
    tiles = (window("1h", on), window("1h", on, maturity="1h", name="before"), window("2h", on))

    @some(10)
    @given(world=worlds())
    def holds(world: World) -> None:
        cells = bench.cells(world, windows=tiles)
        last, before, both = (_part(cells, window=w) for w in range(len(tiles)))
        assert (last + before).identical(both)

    holds()


@TASKS
def test_counts_add_up(bench: Bench, task: str) -> None:
    """Versions to the total, classes and reliability bins to what they are classes and bins of, outcomes to support."""
    ones = Costs(outcomes=Outcomes(tp=1, fp=1, fn=1, tn=1)) if task == "binary" else None

    @some(15)
    @given(world=worlds((task,)))
    def holds(world: World) -> None:
        found = bench.results(world, costs=ones)
        for series in _series(found):
            support = _value(found, "support", series)
            if series.version == "all":
                _versions_add_up(found, series)
            if ones is not None:
                assert _value(found, "cost", series) == support
            if task == "multiclass":
                for metric in ("prevalence_ratio", "predicted_ratio"):
                    assert _classes(found, metric, series) == pytest.approx(1 if support else 0)
            if task != "regression" and series.slice == "overall":
                bins = sum(_value(found, "reliability_support", series, bin_=str(i)) for i in range(10))
                assert bins <= support

    holds()


@some(15)
@given(world=worlds())
def test_slices_add_up(bench: Bench, world: World) -> None:
    """The values of a slice sum to all rows, and the values of a pair of columns to those of one of them."""
    query = "SELECT *, CASE WHEN latency_seconds > 0 THEN 'slow, ' ELSE 'quick' END AS pace FROM predictions"
    cells = bench.cells(world, query, slices=(("country",), ("country", "pace")))
    cells = Cells(cells.frame[cells.frame["kind"] != AGE], cells.levels)  # of the slice `overall` alone
    overall, country, pair = (_part(cells, slice=s) for s in range(3))
    assert _renamed(country, lambda _: "").identical(overall)
    assert _renamed(pair, lambda value: value.partition(",")[0]).identical(country)


@some(15)
@given(world=worlds())
def test_ages_are_those_of_the_requests_that_count(bench: Bench, world: World) -> None:
    """In every window on `predicted_at` as many of each version, labeled or not, as there are outcomes."""
    cells = bench.cells(world).frame
    mine = cells["window"].isin([i for i, w in enumerate(WINDOWS) if w.on == "predicted_at"]) & (cells["slice"] == 0)
    outcomes, aged = (cells[mine & (cells["kind"] == kind)] for kind in (OUTCOME, AGE))
    labeled = (outcomes["label"] != NONE).to_numpy(), served(aged["bucket"].to_numpy()).labeled
    counted = [
        part.groupby(["window", "model_version", has])["n"].sum().to_dict()
        for part, has in zip((outcomes, aged), labeled, strict=True)
    ]
    assert counted[0] == counted[1]


@some(15)
@given(world=worlds())
def test_merged_slices_are_the_sum_of_what_was_merged(bench: Bench, world: World) -> None:
    """Where the user's SQL makes one value of two, the cells are theirs together, and all others stay as they are."""
    split = _part(bench.cells(world), slice=1)
    query = "SELECT *, upper(country) AS place FROM predictions"
    merged = _part(bench.cells(world, query, slices=(("place",),)), slice=1)
    assert merged.identical(_renamed(split, lambda value: value if value == MISSING else value.upper()))


def _with(world: World, predictions: list[Row], labels: list[Row]) -> World:
    """The world with other logs, whose tables keep the columns that they had."""
    unused = world.after + max(DELAYS)  # a row of the future, where there is none to tell the columns by
    return World(
        predictions or [world.predictions[0] | {"predicted_at": unused, "ingested_at": unused}],
        labels or [world.labels[0] | {"labeled_at": unused, "ingested_at": unused}],
        world.keys, world.before, world.after,
    )  # fmt: skip


def _series(found: Values) -> list[Series]:
    """Every series that there is a result for."""
    windows = {window_.name: window_ for window_ in WINDOWS}
    return [Series(windows[name], *rest) for name, *rest in dict.fromkeys(key[1:5] for key in found)]


def _value(found: Values, metric: str, series: Series, class_: str = "", quantile: str = "", bin_: str = "") -> float:
    return found[metric, series.window.name, series.version, series.slice, series.value, class_, quantile, "", bin_]


def _rejected(found: Values, window_: Window) -> dict[str, float]:
    """Rejected rows of all versions by reason, without zeros."""
    of_total = ("rejected_rows", window_.name, "all", "overall", "")
    return {key[7]: value for key, value in found.items() if key[:5] == of_total and value}


def _classes(found: Values, metric: str, series: Series) -> float:
    own = (metric, series.window.name, series.version, series.slice, series.value)
    return sum(value for key, value in found.items() if key[:5] == own and not math.isnan(value))


def _versions_add_up(found: Values, total: Series) -> None:
    place = (total.window, total.slice, total.value)
    versions = [
        series
        for series in _series(found)
        if series.version != "all" and (series.window, series.slice, series.value) == place
    ]
    for metric in ("predictions", "support", "duplicate_predictions", "corrected_labels", "value_sum"):
        assert sum(_value(found, metric, series) for series in versions) == _value(found, metric, total), metric


def _percentiles(naive: Naive, series: Series) -> dict[tuple[str, str], float]:
    return {
        (metric, str(q)): np.quantile(seconds, q, method="inverted_cdf") if len(seconds) else math.nan
        for metric, seconds in naive.durations(series).items()
        for q in (0.5, 0.95, 0.99)
    }


def _same(found: float, expected: float | None, tolerance: float = 0.0) -> bool:
    if expected is None or math.isnan(expected):
        return math.isnan(found)
    return abs(found - expected) <= tolerance


def _part(cells: Cells, **codes: int) -> Cells:
    """The cells of one window or of one slice, as if there were no other."""
    (name, code), *_ = codes.items()
    return Cells(cells.frame[cells.frame[name] == code].assign(**{name: 0}), cells.levels)


def _renamed(cells: Cells, rename: Callable[[str], str]) -> Cells:
    """The cells with other slice values; those that become one are added up."""
    values = tuple(map(rename, cells.levels["slice_value"]))
    nothing = Cells(cells.frame.iloc[:0], cells.levels)
    return nothing + Cells(cells.frame, {**cells.levels, "slice_value": values})
