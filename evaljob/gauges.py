"""Results and run status as Prometheus metrics: the only place that knows metric names, labels and HELP texts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version

import pandas as pd
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, UnknownMetricFamily
from prometheus_client.registry import Collector

PREFIX = "evaljob_"
SERIES = ("model_version", "window", "slice", "slice_value")
# Names that the Prometheus conventions keep for histograms and summaries, which rolling windows are not: their counts
# go down again, so rate() over them would lie. As untyped metrics they promise nothing and break no convention.
_RESERVED = ("_sum", "_count", "_bucket")

Family = GaugeMetricFamily | UnknownMetricFamily


@dataclass(frozen=True)
class Metric:
    """What is published under one name: HELP text, labels of its own, whether it has bounds even when undefined.

    Bounds that were computed are published whether or not `interval` is set.
    """

    help: str
    labels: tuple[str, ...] = ()
    interval: bool = False


METRICS: Mapping[str, Metric] = {
    "predictions": Metric("Requests predicted in the window; on labeled_at, those whose label fell into it"),
    "support": Metric("Requests that are labeled and did not fail: what the quality metrics rest on"),
    "label_coverage_ratio": Metric("Labeled requests by predicted requests", interval=True),
    "label_coverage_by_age_ratio": Metric("Labeled requests by requests of an age", ("age",), interval=True),
    "label_arrival_ratio": Metric("Requests labeled by an age, by Kaplan and Meier", ("age",), interval=True),
    "expected_coverage_ratio": Metric("Coverage when all labels that are to come have come", interval=True),
    "immature": Metric("1 while less than 95% of the labels that are to come have come, else 0"),
    "label_selection_ks": Metric("Kolmogorov-Smirnov distance of the scores of labeled and unlabeled requests"),
    "label_selection_p_value": Metric("How often chance makes that distance; small: the labeled are no fair sample"),
    "label_selection_psi": Metric("Population stability index of the same; 0.1 is little, 0.25 much"),
    "prediction_failures_ratio": Metric("Failed predictions by predicted requests", interval=True),
    "orphan_labels": Metric("Labels whose request has no prediction"),
    "duplicate_predictions": Metric("Later predictions of a request that already had one; the first one counts"),
    "corrected_labels": Metric("Earlier labels of a request that got another one; the latest one counts"),
    "rejected_rows": Metric("Rows that could not be used, by reason", ("reason",)),
    "other_slice_values": Metric("Slice values counted together as __other__, beyond max_slice_values", ("column",)),
    "accuracy_ratio": Metric("Correct predictions by support", interval=True),
    "accuracy_with_failures_ratio": Metric(
        "Correct predictions by labeled requests, failed ones included", interval=True
    ),
    "balanced_accuracy_ratio": Metric("Mean recall of the classes that occurred", interval=True),
    "matthews_correlation": Metric("Matthews correlation coefficient, from -1 to 1", interval=True),
    "cohen_kappa": Metric("Cohen's kappa: agreement beyond chance, at most 1", interval=True),
    "precision_ratio": Metric("True positives by predicted positives of the class", ("class",), interval=True),
    "recall_ratio": Metric("True positives by actual positives of the class", ("class",), interval=True),
    "f1_ratio": Metric("Harmonic mean of precision and recall of the class", ("class",), interval=True),
    "specificity_ratio": Metric("True negatives by actual negatives of the class", ("class",), interval=True),
    "prevalence_ratio": Metric("Requests labeled as the class by support", ("class",), interval=True),
    "predicted_ratio": Metric("Requests predicted as the class by support", ("class",), interval=True),
    "confusion": Metric("Requests labeled as the class by the predicted class, overall", ("class", "predicted")),
    "roc_auc": Metric("Area under the ROC curve, at the resolution of the score bins", interval=True),
    "average_precision": Metric("Average precision, at the resolution of the score bins", interval=True),
    "expected_calibration_error": Metric("Mean distance of score and observed frequency over the bins", interval=True),
    "expected_calibration_error_debiased": Metric("The same less its upward bias where bins are small", interval=True),
    "calibration_error": Metric("Expected calibration error over either kind of bins", ("strategy",), interval=True),
    "calibration_error_debiased": Metric("The same less its upward bias", ("strategy",), interval=True),
    "maximum_calibration_error": Metric("Largest distance of score and observed frequency of a bin", interval=True),
    "calibration_bias": Metric("Mean score minus observed frequency; above 0 is overconfident", interval=True),
    "calibration_slope": Metric("Slope of logistic recalibration, overall; below 1: scores too extreme", interval=True),
    "calibration_intercept": Metric("Intercept of logistic recalibration, overall; 0 when calibrated", interval=True),
    "calibration_p_value": Metric("Chance of slope and intercept as far from 1 and 0, were the scores calibrated"),
    "brier_score": Metric("Mean squared distance of score and outcome; 0 is perfect", interval=True),
    "brier_miscalibration": Metric("Part of the Brier score that recalibration would remove", interval=True),
    "brier_discrimination": Metric("Part of the uncertainty that the scores resolve", interval=True),
    "brier_uncertainty": Metric("Brier score of always predicting the observed frequency", interval=True),
    "log_loss": Metric("Mean logarithmic loss in nats, of scores clipped to [1e-6, 1 - 1e-6]", interval=True),
    "reliability_support": Metric("Requests in a bin of the reliability diagram, overall", ("bin",)),
    "reliability_mean_predicted": Metric(
        "Mean score in a bin of the diagram; bounds of the observed frequency were it right", ("bin",), interval=True
    ),
    "reliability_observed_ratio": Metric("Observed frequency in a bin of the diagram", ("bin",), interval=True),
    "threshold_precision_ratio": Metric("Precision, were this the threshold, overall", ("threshold",), interval=True),
    "threshold_recall_ratio": Metric("Recall, were this the threshold, overall", ("threshold",), interval=True),
    "threshold_cost_per_prediction": Metric("Cost, were this the threshold, overall", ("threshold",), interval=True),
    "cheapest_threshold": Metric("Threshold that would have cost least, overall; a hint", interval=True),
    "cheapest_threshold_cost_per_prediction": Metric(
        "Cost at the cheapest threshold, by scored support", interval=True
    ),
    "label_lag_seconds": Metric(
        "Time from prediction to label; 0 when the label came first", ("quantile",), interval=True
    ),
    "prediction_latency_seconds": Metric("Time a prediction took, as logged", ("quantile",), interval=True),
    "cost": Metric("Cost of the outcomes, in the configured currency", interval=True),
    "cost_per_prediction": Metric("Cost of the outcomes by support, in the configured currency", interval=True),
    "value_sum": Metric("Sum of a value column of the labels", ("column",), interval=True),
    "value_per_prediction": Metric("Sum of a value column of the labels by predictions", ("column",), interval=True),
    "slice_gap": Metric("Largest difference of a metric between values of a slice", ("of", "column"), interval=True),
    "slice_ratio": Metric("Smallest ratio of a metric of two values of a slice", ("of", "column"), interval=True),
    "revision": Metric("A metric less what an earlier window said of the same time", ("of", "reference", "class")),
    "change": Metric("A metric less its reference", ("of", "reference", "class"), interval=True),
    "change_p_value": Metric("How often chance makes that difference", ("of", "reference", "class")),
    "change_significant": Metric(
        "1 when that difference is no chance, looking at all slices; else 0", ("of", "reference", "class")
    ),
    "mean_absolute_error": Metric("Mean distance of prediction and label", interval=True),
    "root_mean_squared_error": Metric("Root of the mean squared distance of prediction and label", interval=True),
    "mean_error": Metric("Mean of prediction minus label; above 0 is too high", interval=True),
    "absolute_error": Metric("Distance of prediction and label, by quantile", ("quantile",), interval=True),
    "r2_score": Metric("Share of the labels' variance that the predictions explain, at most 1", interval=True),
}
OFFLINE: Mapping[str, Metric] = {
    "offline_metric": Metric("What MLflow holds of a version's quality before deployment", ("model_version", "name")),
}
INSTANTS: Mapping[str, Metric] = {
    "as_of_timestamp_seconds": Metric("Instant that the results speak for"),
    "window_start_timestamp_seconds": Metric("Start of the window, inclusive", ("window",)),
    "window_end_timestamp_seconds": Metric("End of the window, exclusive", ("window",)),
}
STATUS: Mapping[str, Metric] = {
    "last_success_timestamp_seconds": Metric("When a run last evaluated and published everything"),
    "last_completion_timestamp_seconds": Metric("When a run last ended, well or badly"),
    "last_run_success": Metric("1 when the last run succeeded, 0 when it failed"),
    "run_duration_seconds": Metric("Time that each stage of the last run took", ("stage",)),
    "rows_read": Metric("Rows that the last run read"),
    "full_recounts": Metric("Full recounts since the state was made: first run, changed configuration, repair"),
    "mlflow_failures": Metric("Runs before the last one that could not log everything to MLflow"),
    "state_drift_cells": Metric("Cells in which the last reconciliation found the state to differ"),
    "build_info": Metric("Always 1, with the version that ran", ("version",)),
}


@dataclass(frozen=True)
class Status:
    """How a run ended. `None` is unknown: what is unknown is not published and does not replace what was.

    `completed` is timezone-aware; `durations` are seconds by stage; `full_recounts` counts since the state was made.
    """

    success: bool
    completed: datetime
    durations: Mapping[str, float] = field(default_factory=dict)
    rows_read: int | None = None
    full_recounts: int | None = None
    state_drift_cells: int | None = None
    mlflow_failures: int | None = None

    @property
    def complete(self) -> bool:
        """Whether everything is known, so that the status may replace all of the last one."""
        return self.success and None not in (self.rows_read, self.full_recounts, self.state_drift_cells)


class _Collected(Collector):
    """Families that are there already, all of one moment."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Family]:
        return self._families


def results_registry(
    results: pd.DataFrame, offline: Mapping[str, Mapping[str, float]] | None = None, *, with_model: bool = False
) -> CollectorRegistry:
    """The results as gauges named `evaljob_` + metric, with `_lower` and `_upper` where the metric has an interval.

    `offline` are the offline metrics of each version. Undefined values are NaN samples. `model` is the grouping key of
    a push and so no label, and all rows must be of one model; `with_model` makes it a label, for several models.
    Raises KeyError with the name of a metric that is not in METRICS.
    """
    unknown = set(results["metric"].unique()) - METRICS.keys()
    if unknown:
        raise KeyError(min(unknown))
    if not with_model and len(results["model"].unique()) > 1:
        raise ValueError("results of several models cannot share a group")
    return _registry([*_families(results, ("model",) * with_model), *_offline(offline or {})])


def status_registry(status: Status) -> CollectorRegistry:
    """The run's status as gauges; a failed run says nothing of the last success."""
    instant = status.completed.timestamp()
    single = {
        "last_success_timestamp_seconds": instant if status.success else None,
        "last_completion_timestamp_seconds": instant,
        "last_run_success": float(status.success),
        "rows_read": status.rows_read,
        "full_recounts": status.full_recounts,
        "state_drift_cells": status.state_drift_cells,
        "mlflow_failures": status.mlflow_failures,
    }
    families = [_family(name, STATUS[name], [{}], [value]) for name, value in single.items() if value is not None]
    stages = [{"stage": stage} for stage in status.durations]
    seconds = list(status.durations.values())
    families.append(_family("run_duration_seconds", STATUS["run_duration_seconds"], stages, seconds))
    families.append(_family("build_info", STATUS["build_info"], [{"version": release()}], [1]))
    return _registry(families)


def text(registry: CollectorRegistry) -> str:
    """The registry in the Prometheus text format."""
    return generate_latest(registry).decode()


def metric_table() -> list[tuple[str, tuple[str, ...], bool, str]]:
    """Every metric for the documentation: full name, labels besides the grouping key, whether it has bounds, HELP."""
    results = [(PREFIX + name, SERIES + m.labels, m.interval, m.help) for name, m in METRICS.items()]
    further = [*OFFLINE.items(), *INSTANTS.items(), *STATUS.items()]
    others = [(PREFIX + name, m.labels, False, m.help) for name, m in further]
    return results + others


def _registry(families: Iterable[Family]) -> CollectorRegistry:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected(families))
    return registry


def _families(results: pd.DataFrame, key: tuple[str, ...]) -> Iterator[Family]:
    # Where nothing at all has bounds, intervals are switched off.
    bounded = bool(results[["lower", "upper"]].notna().to_numpy().any())
    groups = {str(name): rows for name, rows in results.groupby("metric", sort=False, observed=True)}
    for name, metric in METRICS.items():
        if name in groups:
            always = replace(metric, interval=metric.interval and bounded)
            yield from _with_bounds(name, always, groups[name], key + SERIES + metric.labels)
    yield from _instants(results, key)


def _with_bounds(name: str, metric: Metric, rows: pd.DataFrame, names: tuple[str, ...]) -> Iterator[Family]:
    labels = _labels(rows, names)
    yield _family(name, metric, labels, rows["value"].tolist())
    if metric.interval or rows[["lower", "upper"]].notna().to_numpy().any():
        for bound in ("lower", "upper"):
            about = Metric(f"{bound.capitalize()} bound of the confidence interval of {PREFIX}{name}", metric.labels)
            yield _family(f"{name}_{bound}", about, labels, rows[bound].tolist())


def _offline(offline: Mapping[str, Mapping[str, float]]) -> Iterator[Family]:
    values = [((version, name), value) for version, metrics in offline.items() for name, value in metrics.items()]
    for metric, about in OFFLINE.items() if values else ():
        labels = [dict(zip(about.labels, map(_encodable, key), strict=True)) for key, _ in values]
        yield _family(metric, about, labels, [value for _, value in values])


def _instants(results: pd.DataFrame, key: tuple[str, ...]) -> Iterator[Family]:
    for name, metric in INSTANTS.items():
        names = key + metric.labels
        once = results.drop_duplicates([*names]) if names else results.head(1)
        if len(once):
            seconds = [instant.timestamp() for instant in once[name.removesuffix("_timestamp_seconds")]]
            yield _family(name, metric, _labels(once, names), seconds)


def _family(name: str, metric: Metric, labels: Sequence[dict[str, str]], values: Sequence[float]) -> Family:
    untyped = "quantile" in metric.labels or name.endswith(_RESERVED)
    family = (UnknownMetricFamily if untyped else GaugeMetricFamily)(PREFIX + name, metric.help)
    for sample_labels, value in zip(labels, values, strict=True):
        family.add_sample(PREFIX + name, sample_labels, value)
    return family


def _labels(rows: pd.DataFrame, names: tuple[str, ...]) -> list[dict[str, str]]:
    """The labels of every row; made a column at a time, which is several times faster than a row at a time."""
    if not names:
        return [{}] * len(rows)
    columns = [_texts(rows[name]) for name in names]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _texts(column: pd.Series) -> list[str]:
    codes, values = pd.factorize(column)
    texts = [_encodable(str(value)) for value in values]
    return [texts[code] if code >= 0 else "" for code in codes.tolist()]


def _encodable(value: str) -> str:
    """The value with lone surrogates, which UTF-8 does not have, as escapes."""
    return value.encode("utf-8", "backslashreplace").decode()


def release() -> str:
    """The version of evaljob that runs."""
    try:
        return version("evaljob")
    except PackageNotFoundError:  # run from a checkout
        return "unknown"
