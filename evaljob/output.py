"""Results as people and programs read them: a table, JSON, the Prometheus text format."""

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table

from evaljob import gauges

_PLAIN_WIDTH = 180
_TIMES = ("as_of", "window_start", "window_end")
_ALWAYS = (
    "model",
    "model_version",
    "window",
    "slice",
    "slice_value",
    "class",
    "metric",
    "value",
    "lower",
    "upper",
    "support",
    *_TIMES,
)


def as_json(results: pd.DataFrame) -> str:
    """One array with an object a result, a line each; an undefined value is null, times are ISO 8601 in UTC."""
    return "[\n" + ",\n".join(json.dumps(record, ensure_ascii=False) for record in records(results)) + "\n]"


def records(results: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each result as plain values. Further labels of a metric are there only where it has them."""
    texts = results.assign(**{name: results[name].map(lambda t: t.isoformat()) for name in _TIMES})
    for row in texts.to_dict("records"):
        record = {str(name): value for name, value in row.items() if name in _ALWAYS or value != ""}
        yield record | {name: _number(record[name]) for name in ("value", "lower", "upper")}


def as_prometheus(results: pd.DataFrame) -> str:
    """The Prometheus text format, with the model as a label, which a push has in its grouping key."""
    return gauges.text(gauges.results_registry(results, with_model=True))


def console() -> Console:
    """Standard output: colours and its own width on a terminal, plain and wide text elsewhere."""
    found = Console()
    return found if found.is_terminal else Console(width=_PLAIN_WIDTH)


def tables(results: pd.DataFrame) -> Iterator[Table]:
    """For each model: the overall numbers by window and version, and below them the slices that do worst."""
    for model, mine in results.groupby("model", sort=False, observed=True):
        as_of = mine["as_of"].iloc[0]
        overall = mine[mine["slice"] == "overall"]
        yield _table(f"{model} as of {as_of:%Y-%m-%d %H:%M:%S} UTC", overall, ("window", "model_version"))
        slices = _worst(mine[mine["slice"] != "overall"])
        if len(slices):
            yield _table(
                f"{model}: slices with the lowest accuracy or the largest error",
                slices,
                ("window", "model_version", "slice", "slice_value"),
            )


# The columns of the table: heading, metric, the metric's own label, and how it is written.
_COLUMNS: tuple[tuple[str, str, dict[str, str], str], ...] = (
    ("predictions", "predictions", {}, "{:,.0f}"),
    ("support", "support", {}, "{:,.0f}"),
    ("coverage", "label_coverage_ratio", {}, "{:.1%}"),
    ("failed", "prediction_failures_ratio", {}, "{:.1%}"),
    ("accuracy", "accuracy_ratio", {}, "{:.3f}"),
    ("balanced", "balanced_accuracy_ratio", {}, "{:.3f}"),
    ("precision", "precision_ratio", {}, "{:.3f}"),
    ("recall", "recall_ratio", {}, "{:.3f}"),
    ("MAE", "mean_absolute_error", {}, "{:.4g}"),
    ("RMSE", "root_mean_squared_error", {}, "{:.4g}"),
    ("ECE", "expected_calibration_error", {}, "{:.3f}"),
    ("AUC", "roc_auc", {}, "{:.3f}"),
    ("lag p50", "label_lag_seconds", {"quantile": "0.5"}, "duration"),
    ("lag p99", "label_lag_seconds", {"quantile": "0.99"}, "duration"),
    ("latency p50", "prediction_latency_seconds", {"quantile": "0.5"}, "duration"),
    ("latency p99", "prediction_latency_seconds", {"quantile": "0.99"}, "duration"),
    ("cost", "cost", {}, "{:,.0f}"),
    ("cost each", "cost_per_prediction", {}, "{:,.2f}"),
)


def _table(title: str, results: pd.DataFrame, keys: Sequence[str]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    shown = [column for column in _COLUMNS if len(_of(results, column))]
    for key in keys:
        table.add_column(key.replace("_", " "), no_wrap=True)
    for heading, *_ in shown:
        table.add_column(heading, justify="right", no_wrap=True)
    cells = {heading: _texts(_of(results, column), keys, column[3]) for column in shown for heading in column[:1]}
    for key in dict.fromkeys(results[list(keys)].astype(str).itertuples(index=False, name=None)):
        table.add_row(*key, *(cells[heading].get(key, "") for heading, *_ in shown))
    return table


def _of(results: pd.DataFrame, column: tuple[str, str, dict[str, str], str]) -> pd.DataFrame:
    """The results of one column. Of a metric per class: the positive class, or the macro average."""
    _, metric, labels, _ = column
    mine = results[results["metric"] == metric]
    for name, value in labels.items():
        mine = mine[mine[name] == value]
    return mine[mine["class"] == "macro"] if (mine["class"] == "macro").any() else mine


def _texts(results: pd.DataFrame, keys: Sequence[str], form: str) -> dict[tuple[str, ...], str]:
    named = zip(
        results[list(keys)].astype(str).itertuples(index=False, name=None),
        results["value"],
        results["lower"],
        results["upper"],
        strict=True,
    )
    return {key: _text(value, lower, upper, form) for key, value, lower, upper in named}


def _text(value: float, lower: float, upper: float, form: str) -> str:
    if math.isnan(value):
        return "-"
    if form == "duration":
        return duration(value)
    shown = form.format(value)
    return (
        shown
        if math.isnan(lower) or "%" in form
        else f"{shown} [{form.format(lower).lstrip('0')}, {form.format(upper).lstrip('0')}]"
    )


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds * 1000:.3g} ms"


def _worst(results: pd.DataFrame, rows: int = 8) -> pd.DataFrame:
    """The slices, over all versions together and each, in which the model does worst where its support suffices."""
    for metric, largest in (("accuracy_ratio", False), ("mean_absolute_error", True)):
        found = (
            results[(results["metric"] == metric) & results["value"].notna()]
            .sort_values("value", ascending=not largest)
            .head(rows)
        )
        if len(found):
            keys = ["window", "model_version", "slice", "slice_value"]
            return found[keys].astype(str).merge(results.assign(**{k: results[k].astype(str) for k in keys}), on=keys)
    return results.iloc[:0]


def _number(value: float) -> float | None:
    return None if math.isnan(value) else value
