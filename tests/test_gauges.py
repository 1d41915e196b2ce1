"""Results and run status as Prometheus metrics."""

import math
import subprocess
import time
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.parser import text_string_to_metric_families

from evaljob import gauges
from tests import servers

AS_OF = pd.Timestamp("2026-03-01 12:00", tz="UTC")
TOTAL = {"model_version": "all", "window": "24h", "slice": "overall", "slice_value": ""}
POSITIVE: dict[str, Any] = {"class": "1"}
OWN_LABELS = (
    "class",
    "predicted",
    "quantile",
    "bin",
    "threshold",
    "strategy",
    "reason",
    "column",
    "age",
    "of",
    "reference",
)


def result(
    metric: str, value: float = math.nan, lower: float = math.nan, upper: float = math.nan, **series: str
) -> Any:
    """One row of results of the model fraud over [12:00 of the day before, 12:00)."""
    keys = {"model": "fraud"} | TOTAL | dict.fromkeys(OWN_LABELS, "") | series
    instants = {"as_of": AS_OF, "window_start": AS_OF - pd.Timedelta(hours=24), "window_end": AS_OF}
    return keys | {"metric": metric, "value": value, "lower": lower, "upper": upper, "support": 100} | instants


def registry(*rows: Any, with_model: bool = False) -> CollectorRegistry:
    """The registry of these rows."""
    return gauges.results_registry(pd.DataFrame(rows), with_model=with_model)


def value(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """The one sample with exactly these labels, None when there is none."""
    return registry.get_sample_value(f"evaljob_{name}", labels)


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """The samples of an exposition by name and labels; a series that comes twice is an error."""
    found = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    by_series = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in found}
    assert len(by_series) == len(found)
    return by_series


def promtool(text: str) -> subprocess.CompletedProcess[str]:
    """What `promtool check metrics` says of an exposition."""
    return subprocess.run(
        [servers.program("promtool"), "check", "metrics"], input=text, text=True, capture_output=True, check=False
    )


def test_a_result_is_a_gauge_with_its_interval() -> None:
    """90 of 100 correct, between 0.83 and 0.94: three samples with the labels of the series and no others."""
    made = registry(result("accuracy_ratio", 0.90, 0.83, 0.94))
    assert value(made, "accuracy_ratio", **TOTAL) == 0.90
    assert value(made, "accuracy_ratio_lower", **TOTAL) == 0.83
    assert value(made, "accuracy_ratio_upper", **TOTAL) == 0.94


def test_a_metric_has_its_own_labels_and_no_empty_ones() -> None:
    """Precision has a class; the quantile, bin, reason and column that every row carries do not appear."""
    made = registry(result("precision_ratio", 0.5, **POSITIVE), result("rejected_rows", 3, reason="score"))
    assert value(made, "precision_ratio", **TOTAL, **POSITIVE) == 0.5
    assert value(made, "rejected_rows", **TOTAL, reason="score") == 3


def test_undefined_is_nan_and_its_interval_too() -> None:
    """0 of 0 correct: the series stays, so that a query sees that there is no answer, and never sees 0."""
    made = registry(result("accuracy_ratio"), result("label_coverage_ratio", 0.5, 0.4, 0.6))
    for name in ("accuracy_ratio", "accuracy_ratio_lower", "accuracy_ratio_upper"):
        sample = value(made, name, **TOTAL)
        assert sample is not None
        assert math.isnan(sample)


def test_without_intervals_there_are_no_bounds() -> None:
    """Where nothing has bounds, for intervals are switched off, there are no series of them."""
    made = registry(result("accuracy_ratio", 0.9), result("label_coverage_ratio", 0.5))
    assert value(made, "accuracy_ratio", **TOTAL) == 0.9
    assert value(made, "accuracy_ratio_lower", **TOTAL) is None


def test_a_count_has_no_interval() -> None:
    """Predictions are counted, not estimated."""
    made = registry(result("predictions", 100))
    assert value(made, "predictions", **TOTAL) == 100
    assert value(made, "predictions_lower", **TOTAL) is None


def test_an_interval_that_was_computed_is_published() -> None:
    """Whether or not the table knows that the metric has one."""
    assert value(registry(result("support", 100, 80, 120)), "support_lower", **TOTAL) == 80


def test_the_results_say_of_which_instants_they_speak() -> None:
    """2026-03-01 12:00 UTC is 1772366400 s after the epoch, and the 24h window starts 86400 s before."""
    made = registry(result("support", 100), result("support", 9, window="1h"))
    assert value(made, "as_of_timestamp_seconds") == 1772366400
    assert value(made, "window_start_timestamp_seconds", window="24h") == 1772366400 - 86400
    assert value(made, "window_end_timestamp_seconds", window="24h") == 1772366400
    assert value(made, "window_end_timestamp_seconds", window="1h") == 1772366400


def test_no_results_are_no_metrics() -> None:
    """An evaluation without any window leaves an empty exposition, not an error."""
    assert gauges.text(gauges.results_registry(pd.DataFrame([result("support")]).head(0))) == ""


def test_an_unknown_metric_is_a_programming_error() -> None:
    """A metric without name and HELP here is not published under a guessed one."""
    with pytest.raises(KeyError, match="acuracy"):
        registry(result("acuracy", 0.9))


def test_models_do_not_share_a_group() -> None:
    """Without the model as a label the series of two models would be the same."""
    rows = [result("support", 1, model="fraud"), result("support", 2, model="churn")]
    with pytest.raises(ValueError, match="several models"):
        registry(*rows)
    made = registry(*rows, with_model=True)
    assert value(made, "support", model="churn", **TOTAL) == 2
    assert value(made, "as_of_timestamp_seconds", model="churn") == 1772366400


@pytest.mark.parametrize(
    "name", ["a/b", "..", "", "é", "two\nlines", '"quoted\\"', "x" * 10_000, "' OR 1=1 --", "\0\r"]
)
def test_awkward_slice_values_come_back_as_they_were(name: str) -> None:
    """Whatever stands in a slice's column stands in the label, next to a neighbour that keeps its own number."""
    made = registry(result("support", 7, slice_value=name), result("support", 8, slice_value="neighbour"))
    found = samples(gauges.text(made))
    assert found["evaljob_support", frozenset((TOTAL | {"slice_value": name}).items())] == 7
    assert found["evaljob_support", frozenset((TOTAL | {"slice_value": "neighbour"}).items())] == 8


def test_a_lone_surrogate_is_escaped() -> None:
    """UTF-8 has no lone surrogates: the label shows which one it was instead of breaking the whole exposition."""
    # As an object: pandas' own texts may be Arrow's, which have no lone surrogates either.
    rows = pd.DataFrame([result("support", 7)]).assign(slice_value=pd.Series(["a\ud800"], dtype=object))
    found = samples(gauges.text(gauges.results_registry(rows)))
    assert found["evaljob_support", frozenset((TOTAL | {"slice_value": "a\\ud800"}).items())] == 7


def test_columns_of_categories() -> None:
    """The labels of a series may be categories, as the metrics make them, unused ones and all."""
    rows = pd.DataFrame([result("support", 1, window="1h"), result("support", 2)])
    categories = pd.CategoricalDtype(["24h", "1h", "7d"])
    made = gauges.results_registry(rows.astype({"window": categories, "slice": "category"}))
    assert value(made, "support", **TOTAL | {"window": "1h"}) == 1
    assert value(made, "support", **TOTAL) == 2
    assert value(made, "window_end_timestamp_seconds", window="1h") == 1772366400
    assert value(made, "window_end_timestamp_seconds", window="7d") is None


def test_a_slice_value_that_is_no_text() -> None:
    """NULL becomes the empty label, a number its digits."""
    rows = pd.DataFrame([result("support", 1), result("support", 2)]).assign(
        slice_value=pd.Series([None, 7], dtype=object)
    )
    made = gauges.results_registry(rows)
    assert value(made, "support", **TOTAL) == 1
    assert value(made, "support", **TOTAL | {"slice_value": "7"}) == 2


def test_promtool_accepts_every_metric() -> None:
    """All names, HELP texts, types and labels at once, of results and status: no objection from promtool."""
    rows = [
        result(name, 1.0, 0.5, 1.5, **dict[str, Any].fromkeys(metric.labels, "0.5"))
        for name, metric in gauges.METRICS.items()
    ]
    status = gauges.Status(
        success=True,
        completed=datetime(2026, 3, 1, tzinfo=UTC),
        durations={"push": 0.1},
        rows_read=5,
        full_recounts=1,
        state_drift_cells=0,
        mlflow_failures=0,
    )
    results = gauges.results_registry(pd.DataFrame(rows), {"v1": {"accuracy": 0.9}}, with_model=True)
    both = gauges.text(results) + gauges.text(gauges.status_registry(status))
    checked = promtool(both)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    names = {family.name for family in text_string_to_metric_families(both)}
    assert {name for name, *_ in gauges.metric_table()} <= names


def test_the_table_for_the_documentation() -> None:
    """A row says the full name, the labels besides the grouping key, whether there are bounds, and the HELP text."""
    table = {name: rest for name, *rest in gauges.metric_table()}
    assert table["evaljob_recall_ratio"] == [
        ("model_version", "window", "slice", "slice_value", "class"),
        True,
        "True positives by actual positives of the class",
    ]
    assert len(table) == len(gauges.metric_table())


def test_the_status_of_a_success() -> None:
    """A run that ended at second 1000 succeeded at second 1000."""
    status = gauges.Status(
        success=True,
        completed=datetime.fromtimestamp(1000, UTC),
        durations={"join": 2.5, "push": 0.5},
        rows_read=40,
        full_recounts=2,
        state_drift_cells=0,
    )
    made = gauges.status_registry(status)
    assert status.complete
    assert value(made, "last_success_timestamp_seconds") == 1000
    assert value(made, "last_completion_timestamp_seconds") == 1000
    assert value(made, "last_run_success") == 1
    assert value(made, "run_duration_seconds", stage="join") == 2.5
    assert value(made, "run_duration_seconds", stage="push") == 0.5
    assert value(made, "rows_read") == 40
    assert value(made, "full_recounts") == 2
    assert value(made, "state_drift_cells") == 0
    assert "evaljob_build_info{version=" in gauges.text(made)


def test_the_status_of_a_failure_is_silent_about_what_it_does_not_know() -> None:
    """No success time, no rows: the gateway keeps those of the last success."""
    status = gauges.Status(success=False, completed=datetime.fromtimestamp(2000, UTC))
    made = gauges.status_registry(status)
    assert not status.complete
    assert value(made, "last_completion_timestamp_seconds") == 2000
    assert value(made, "last_run_success") == 0
    for unknown in ("last_success_timestamp_seconds", "rows_read", "full_recounts", "state_drift_cells"):
        assert value(made, unknown) is None


def test_ten_thousand_series_are_quick() -> None:
    """10,000 series are built and encoded in about 0.15 s. In time of the processor: others may run beside it."""
    rows = [result("support", i, window=f"{i % 10}h", slice="user", slice_value=str(i // 10)) for i in range(10_000)]
    results = pd.DataFrame(rows)
    started = time.process_time()
    text = gauges.text(gauges.results_registry(results))
    assert time.process_time() - started < 1.0
    assert text.count("evaljob_support{") == 10_000
