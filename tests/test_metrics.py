"""From logs to published metrics, on cases that a person can redo; and what can be switched off."""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.metrics import WINDOWS, Log
from benchmarks.metrics import evaluation as benchmark
from evaljob.cells import KEY, Cells
from evaljob.config import Costs, Evaluation, Metrics
from evaljob.database import connect
from evaljob.gauges import METRICS
from evaljob.metrics import evaluate
from evaljob.metrics.confusion_counts import MOST_CLASSES
from evaljob.statistics.costs import cost_per_row_interval
from evaljob.statistics.intervals import proportion
from evaljob.statistics.means import positive_mean_interval
from tests.logs import Results, Row, at, create, drop, evaluation, full, label, plan, prediction, results, utc

Requests: TypeAlias = Sequence[tuple[Any, Any, float | None]]  # prediction, label, score

GROUPS = {
    "calibration": {
        "brier_score",
        "log_loss",
        "calibration_slope",
        "expected_calibration_error",
        "reliability_support",
    },
    "ranking": {"roc_auc", "average_precision"},
    "thresholds": {"threshold_precision_ratio", "cheapest_threshold"},
    "confusion": {"confusion"},
    "quantiles": {"label_lag_seconds", "prediction_latency_seconds"},
    "business": {"cost", "cost_per_prediction", "value_sum", "value_per_prediction"},
}
COSTS: dict[str, Any] = {"outcomes": {"tp": 0, "fp": 4, "fn": "amount", "tn": 0}}
FREE = {"tp": 0, "fp": 0, "fn": 0, "tn": 0}


@pytest.fixture(scope="module")
def sqlite() -> Iterator[sa.Engine]:
    """A database in memory."""
    engine = connect("sqlite://", read_only=False)
    yield engine
    engine.dispose()


class Told:
    """What is published of some requests."""

    def __init__(self, engine: sa.Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder

    def of(self, rows: Requests, amounts: Sequence[float | None] = (), **keys: Any) -> Results:
        """Requests as (prediction, label, score), each labeled with its amount."""
        drop(self.engine)
        amounts = amounts or [None] * len(rows)
        predictions = [prediction(f"r{i}", "12:10", said, score) for i, (said, _, score) in enumerate(rows)]
        labels: list[Row] = [
            label(f"r{i}", "12:20", truth, amount=amount)
            for i, ((_, truth, _), amount) in enumerate(zip(rows, amounts, strict=True))
        ]
        create(self.engine, "predictions", predictions)
        create(self.engine, "labels", labels, {"amount": sa.Double()})
        with self.engine.connect() as connection:
            return results(connection, evaluation(self.folder, **keys), at("13:00"))


@pytest.fixture
def told(sqlite: sa.Engine, tmp_path: Path) -> Told:
    """Ready to be asked."""
    return Told(sqlite, tmp_path)


def bounds(found: Results, metric: str, **labels: str) -> tuple[float, float]:
    """The interval of a metric of the total."""
    (row,) = found.rows(metric, **labels).to_dict("records")
    return row["lower"], row["upper"]


# Six scored requests: 0.9 and 0.6 of positives, 0.6 and 0.2 of negatives called positive from 0.5 up; 0.4 is missed.
SCORED = [(1, 1, 0.9), (1, 1, 0.6), (1, 0, 0.6), (0, 0, 0.2), (0, 1, 0.4), (0, 0, 0.1)]
AMOUNTS: Sequence[float | None] = [50.0, 30.0, None, None, 20.0, None]


def test_confusion_counts_by_hand(told: Told) -> None:
    """Two positives found, one missed, one false alarm, two negatives left alone; both classes by their names."""
    found = told.of(SCORED)
    counts = {(r["class"], r["predicted"]): r["value"] for r in confusion(found)}
    assert counts == {("1", "1"): 2, ("1", "0"): 1, ("0", "1"): 1, ("0", "0"): 2}


def confusion(found: Results) -> list[dict[Any, Any]]:
    """The matrix of the total."""
    rows = found.frame[(found.frame["metric"] == "confusion") & (found.frame["model_version"] == "all")]
    return rows.to_dict("records")


def test_the_rest_of_a_binary_task_has_several_classes(told: Told) -> None:
    """Labels 0 and 2 beside the positive 1 are counted as one."""
    counts = {(r["class"], r["predicted"]): r["value"] for r in confusion(told.of([(1, 1, None), (0, 2, None)]))}
    assert counts == {("1", "1"): 1, ("1", "__rest__"): 0, ("__rest__", "1"): 0, ("__rest__", "__rest__"): 1}


def test_rare_classes_share_a_row_of_the_matrix(told: Told) -> None:
    """Of twelve classes the two rarest are counted together: eleven names, and every request is in the matrix."""
    rows = [(k, k, None) for k in range(12) for _ in range(3 if k < MOST_CLASSES else 1)]
    found = confusion(told.of(rows, task="multiclass"))
    assert len(found) == (MOST_CLASSES + 1) ** 2
    assert sum(r["value"] for r in found) == len(rows)
    assert {r["value"] for r in found if (r["class"], r["predicted"]) == ("__other__", "__other__")} == {2}


def test_thresholds_by_hand(told: Told) -> None:
    """From 0.5 up two of three called are right; from 0.3 up three of four; from 0.7 up one of one, of three."""
    found = told.of(SCORED, thresholds=(0.3, 0.5, 0.7))
    for threshold, (right, said) in {"0.3": (3, 4), "0.5": (2, 3), "0.7": (1, 1)}.items():
        assert found.value("threshold_precision_ratio", threshold=threshold) == right / said
        assert found.value("threshold_recall_ratio", threshold=threshold) == pytest.approx(right / 3)
        limits = proportion(right, 3, 0.95)
        assert bounds(found, "threshold_recall_ratio", threshold=threshold) == pytest.approx(
            (float(limits.lower), float(limits.upper))
        )
    assert found.rows("cheapest_threshold").empty  # nothing says what an error costs


def test_costs_of_amounts_by_hand(told: Told) -> None:
    """A missed positive costs its amount of 20, a false alarm 4: 24 in all, 4 a request, of squares 400 + 16."""
    found = told.of(SCORED, AMOUNTS, values=("amount",), costs=Costs.model_validate(COSTS))
    assert found.values("cost", "cost_per_prediction") == (24, 4)
    limits = positive_mean_interval(6, 24.0, 416.0, 0.95)
    assert bounds(found, "cost_per_prediction") == pytest.approx((float(limits.lower), float(limits.upper)))
    assert bounds(found, "cost") == pytest.approx((6 * float(limits.lower), 6 * float(limits.upper)))
    assert found.value("value_sum", column="amount") == 100


def test_costs_at_thresholds_by_hand(told: Told) -> None:
    """At 0.3 only the false alarm remains: 4. At 0.7 there is none, but 30 and 20 are missed; at 0.5 it is 24."""
    costs = Costs.model_validate(COSTS)
    found = told.of(SCORED, AMOUNTS, values=("amount",), costs=costs, thresholds=(0.3, 0.5, 0.7))
    for threshold, cost in {"0.3": 4, "0.5": 24, "0.7": 50}.items():
        assert found.value("threshold_cost_per_prediction", threshold=threshold) == pytest.approx(cost / 6)
    # From above 0.2 up to 0.4 nothing is missed; the middle of the bins' edges in between is taken.
    assert found.value("cheapest_threshold") == pytest.approx(0.31, abs=0.011)
    assert found.value("cheapest_threshold_cost_per_prediction") == pytest.approx(4 / 6)
    lower, upper = bounds(found, "cheapest_threshold_cost_per_prediction")
    assert 0 <= lower <= 4 / 6 <= upper


def test_fixed_costs_by_hand(told: Told) -> None:
    """Two hits at -1, a false alarm at 4, a miss at 10: 12, with the interval of four known prices."""
    costs = Costs.model_validate({"outcomes": {"tp": -1, "fp": 4, "fn": 10, "tn": 0}})
    found = told.of(SCORED, costs=costs, thresholds=(0.5,))
    limits = cost_per_row_interval(np.array([[2, 1, 1, 2]]), [0, 4, 10, -1], 0.95)
    assert found.values("cost", "cost_per_prediction") == (12, 2)
    assert bounds(found, "cost_per_prediction") == pytest.approx((limits.lower[0], limits.upper[0]))
    assert bounds(found, "threshold_cost_per_prediction", threshold="0.5") == pytest.approx(
        (limits.lower[0], limits.upper[0])
    )


def test_costs_of_pairs_by_hand(told: Told) -> None:
    """A cat taken for a dog costs 2, a dog for a cat half its amount of 7, all else nothing: 2 + 2 + 3.5."""
    costs = Costs.model_validate({
        "matrix": [
            {"label": "cat", "prediction": "dog", "cost": 2},
            {"label": "dog", "prediction": "cat", "cost": {"column": "amount", "factor": 0.5}},
            {"label": "cow", "prediction": "cat", "cost": 100},
        ]
    })  # fmt: skip
    rows: Requests = [
        ("dog", "cat", None), ("dog", "cat", None), ("cat", "dog", None), ("cat", "cat", None),
    ]  # fmt: skip
    found = told.of(rows, [1.0, None, 7.0, 9.0], task="multiclass", values=("amount",), costs=costs)
    assert found.values("cost", "cost_per_prediction") == (7.5, 7.5 / 4)


def test_clicks_are_a_proportion(told: Told) -> None:
    """A column of zeros and ones has the interval of a proportion: 2 clicks of 6 requests."""
    found = told.of(SCORED, [1.0, 0.0, 0.0, 1.0, 0.0, None], values=("amount",))
    limits = proportion(2, 6, 0.95)
    assert found.value("value_per_prediction", column="amount") == pytest.approx(1 / 3)
    assert bounds(found, "value_per_prediction", column="amount") == pytest.approx(
        (float(limits.lower), float(limits.upper))
    )


def test_gains_and_losses_may_be_below_zero(told: Told) -> None:
    """Values of 5, 3 and -6 among six requests: the interval reaches to both sides of 1/3."""
    found = told.of(SCORED, [5.0, 3.0, -6.0, None, None, None], values=("amount",))
    lower, upper = bounds(found, "value_per_prediction", column="amount")
    assert lower < 0 < upper
    assert (lower + upper) / 2 == pytest.approx(1 / 3)


def test_error_percentiles_are_within_one_percent(told: Told) -> None:
    """Errors of 1 to 9: the median is 5, the 95th and 99th percentiles 9; of nine errors no upper limit is known."""
    rows: Requests = [(100.0 + error, 100.0, None) for error in range(1, 10)]
    found = told.of(rows, task="regression")
    for quantile, error in {"0.5": 5, "0.95": 9, "0.99": 9}.items():
        assert found.value("absolute_error", quantile=quantile) == pytest.approx(error, rel=0.01)
    assert bounds(found, "absolute_error", quantile="0.5") == pytest.approx((2, 8), rel=0.01)
    assert all(math.isnan(limit) for limit in bounds(found, "absolute_error", quantile="0.99"))
    for metric in ("mean_absolute_error", "root_mean_squared_error", "mean_error"):
        lower, upper = bounds(found, metric)
        assert lower < (found.value(metric) or 0) < upper


@pytest.mark.parametrize("group", GROUPS)
def test_groups_are_switched_off(told: Told, group: str) -> None:
    """What a group publishes is there by default and gone without it; nothing else changes."""
    keys: dict[str, Any] = {"values": ("amount",), "costs": Costs.model_validate(COSTS)}
    on = told.of(SCORED, AMOUNTS, **keys).frame
    off = told.of(SCORED, AMOUNTS, metrics=Metrics(**{group: False}), **keys).frame
    assert set(on["metric"]) >= GROUPS[group]
    assert not GROUPS[group] & set(off["metric"])
    kept = on[on["metric"].isin(off["metric"].unique())].reset_index(drop=True)
    assert kept["value"].equals(off["value"])
    assert kept["lower"].equals(off["lower"])


def test_intervals_are_switched_off(told: Told) -> None:
    """The values stay what they are, without bounds."""
    on, off = told.of(SCORED).frame, told.of(SCORED, metrics=Metrics(intervals=False)).frame
    assert on["value"].equals(off["value"])
    assert on["lower"].notna().any()
    assert off[["lower", "upper"]].isna().all(axis=None)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_every_quality_has_an_interval(sqlite: sa.Engine, tmp_path: Path, told: Told, task: str) -> None:
    """With 400 requests every value that METRICS promises bounds of has them, and they hold it."""
    rng = np.random.default_rng(3)
    score = np.round(rng.beta(2, 2, 400), 3)
    truth = rng.binomial(1, score)
    rows = [
        (float(s * 10), float(t), None) if task == "regression" else (int(s > 0.5), int(t), float(s))
        for s, t in zip(score, truth, strict=True)
    ]
    keys: dict[str, Any] = {"task": "binary", "positive_label": 1} if task == "binary" else {"task": task}
    costs = Costs.model_validate({"outcomes": FREE | {"fn": 10, "fp": 1}}) if task == "binary" else None
    told.of(rows, [float(x) for x in rng.lognormal(size=400)], values=("amount",), costs=costs, **keys)
    again = Evaluation(**dict(evaluation(tmp_path, values=("amount",), costs=costs, **keys)))
    with sqlite.connect() as connection:
        cells = full(connection, plan(connection, again), utc(at("13:00")))
    frame = evaluate(again, cells, utc(at("13:00")), {})
    frame = frame[(frame["model_version"] == "all") & frame["value"].notna() & (frame["support"] > 0)]
    for row in frame.to_dict("records"):
        if not METRICS[row["metric"]].interval or row["metric"] == "reliability_mean_predicted":
            continue
        assert row["lower"] <= row["value"] + 1e-12, row
        assert row["value"] <= row["upper"] + 1e-12, row


def test_a_rerun_repeats_the_resampling(told: Told) -> None:
    """The bootstrap is seeded by the model and the instant: the same bounds again, to the bit."""
    keys: dict[str, Any] = {"values": ("amount",), "costs": Costs.model_validate(COSTS)}
    one, other = (told.of(SCORED, AMOUNTS, **keys).frame for _ in range(2))
    assert one["lower"].equals(other["lower"])
    assert one["upper"].equals(other["upper"])


@pytest.fixture(scope="module")
def counted(sqlite: sa.Engine, tmp_path_factory: pytest.TempPathFactory) -> tuple[Evaluation, Cells]:
    """300 scored requests of three classes, one of them positive, with amounts, and the cells they are counted in."""
    rng = np.random.default_rng(8)
    score = np.round(rng.beta(1, 1, 300), 4)
    truth = np.where(rng.random(300) < score, 1, rng.choice([0, 2], 300))
    rows = [(int(s > 0.5), int(t), float(s)) for s, t in zip(score, truth, strict=True)]
    folder = tmp_path_factory.mktemp("counted")
    keys: dict[str, Any] = {"values": ("amount",), "costs": Costs.model_validate(COSTS)}
    Told(sqlite, folder).of(rows, [float(x) for x in rng.lognormal(size=300).round(2)], **keys)
    of = evaluation(folder, **keys)
    with sqlite.connect() as connection:
        return of, full(connection, plan(connection, of), utc(at("13:00")))


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_splitting_and_shuffling_cells_changes_nothing(counted: tuple[Evaluation, Cells], seed: int) -> None:
    """Each cell cut in two at a random place, the halves in random order: the same results, resampled ones too."""
    of, cells = counted
    rng, frame = np.random.default_rng(seed), cells.frame
    amounts = frame.columns.difference(list(KEY))
    taken = (frame[amounts] * rng.random((len(frame), 1))).astype("int64")
    halves = [frame.assign(**taken), frame.assign(**(frame[amounts] - taken))]
    shuffled = pd.concat(halves, ignore_index=True).sample(frac=1, random_state=seed, ignore_index=True)
    whole, split = (evaluate(of, c, utc(at("13:00")), {}) for c in (cells, Cells(shuffled, cells.levels)))
    for name in ("value", "lower", "upper"):
        np.testing.assert_allclose(split[name], whole[name], rtol=1e-9, atol=1e-12, err_msg=name)
    assert split["support"].equals(whole["support"])


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_parts_add_up(counted: tuple[Evaluation, Cells], seed: int) -> None:
    """Of any part of the cells: score = miscalibration - discrimination + uncertainty; the matrix sums to support."""
    of, cells = counted
    kept = cells.frame[np.random.default_rng(seed).random(len(cells.frame)) < 0.5]
    found = Results(evaluate(of, Cells(kept.reset_index(drop=True), cells.levels), utc(at("13:00")), {}))
    score, *parts = found.values("brier_score", "brier_miscalibration", "brier_discrimination", "brier_uncertainty")
    assert None not in (score, *parts)
    assert score == pytest.approx(parts[0] - parts[1] + parts[2], abs=1e-12)  # type: ignore[operator]
    assert sum(row["value"] for row in confusion(found)) == found.value("support")


def test_a_thousand_series_are_quick() -> None:
    """Everything for 1,000 series takes 0.3 s of a processor that has nothing else to do; within 2 s on a slow one."""
    slices = 1000 // len(WINDOWS) // 2
    cells = Log.draw(slices * len(WINDOWS), 100).cells(slices)
    start = time.process_time()
    found = Results(evaluate(benchmark(Metrics(), slices), cells, utc(at("13:00")), {}))
    assert time.process_time() - start < 2
    assert len(found.frame.drop_duplicates(["window", "model_version", "slice", "slice_value"])) == 1000
