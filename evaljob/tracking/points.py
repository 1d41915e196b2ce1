"""Results as MLflow keeps them: points of metrics with plain names, by model version. Pure."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from evaljob.config import Evaluation
from evaljob.gauges import METRICS
from evaljob.metrics.classification import MACRO
from evaljob.metrics.series import ALL, OVERALL

LATENCY = "prediction_latency_seconds"
# MLflow is for people who compare versions, not a database of time series: what they look at, and no more.
LOGGED = (
    "predictions", "support", "label_coverage_ratio", "accuracy_ratio", "balanced_accuracy_ratio", "precision_ratio",
    "recall_ratio", "f1_ratio", "roc_auc", "average_precision", "expected_calibration_error", "brier_score", "log_loss",
    "mean_absolute_error", "root_mean_squared_error", "mean_error", "r2_score", "label_lag_seconds", "cost",
    "cost_per_prediction", "value_sum", "value_per_prediction",
)  # fmt: skip
_LONGEST = 250
_REFUSED = re.compile(r"[^\w.\- :]")  # the slash is allowed, but only where it makes no other path


@dataclass(frozen=True)
class Point:
    """One value of a metric, at the end of its window in milliseconds since 1970. NaN is undefined."""

    key: str
    value: float
    timestamp: int


def points(evaluation: Evaluation, results: pd.DataFrame) -> dict[str, list[Point]]:
    """The points of each model version, of all its rows: `rolling_accuracy_7d`, `online_p95_ms`.

    `rolling_` + metric without `_ratio` + what it is of + window; `_lower` and `_upper` for its interval. Of classes
    there is the positive one of binary tasks, and the mean over all. `online_` is of the shortest window.
    """
    shortest = min(evaluation.windows, key=lambda window: window.length).name
    mine = results[(results["slice"] == OVERALL) & (results["model_version"] != ALL)]
    mine = mine[mine["metric"].isin(LOGGED) | ((mine["metric"] == LATENCY) & (mine["window"] == shortest))]
    if evaluation.task == "multiclass":
        mine = mine[mine["class"].isin(("", MACRO))]
    found: dict[str, list[Point]] = {}
    for row in mine.to_dict("records"):
        found.setdefault(str(row["model_version"]), []).extend(_points(evaluation, row))
    return found


def _points(evaluation: Evaluation, row: Mapping[Any, Any]) -> Iterator[Point]:
    at = int(row["window_end"].timestamp() * 1000)
    if row["metric"] == LATENCY:
        yield Point(f"online_{_percentile(row)}_ms", row["value"] * 1000, at)
        return
    name = _name(evaluation, row)
    yield Point(_key(name), row["value"], at)
    if METRICS[row["metric"]].interval:
        yield from (Point(_key(f"{name}_{bound}"), row[bound], at) for bound in ("lower", "upper"))


def _name(evaluation: Evaluation, row: Mapping[Any, Any]) -> str:
    class_ = row["class"] if evaluation.task == "multiclass" else ""
    of = [class_, _percentile(row) if row["quantile"] else "", row["column"]]
    return "_".join(["rolling", row["metric"].removesuffix("_ratio"), *filter(None, of), row["window"]])


def _percentile(row: Mapping[Any, Any]) -> str:
    return f"p{float(row['quantile']) * 100:g}"


def _key(name: str) -> str:
    """The name with what MLflow refuses written as numbers, and not longer than it allows."""
    key = _REFUSED.sub(lambda found: f"_{ord(found[0]):x}_", name)
    if len(key) <= _LONGEST:
        return key
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return f"{key[: _LONGEST - len(digest) - 1]}_{digest}"
