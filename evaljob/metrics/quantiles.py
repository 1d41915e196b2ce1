"""Percentiles of label lag, prediction latency and absolute error: never the mean alone."""

import pandas as pd

from evaljob.join.plan import LAG, LATENCY
from evaljob.metrics.results import Results
from evaljob.statistics.binning import duration_bucket_value
from evaljob.statistics.quantiles import Counted

QUANTILES = (0.5, 0.95, 0.99)


def add(results: Results) -> None:
    """p50, p95 and p99, each within 1%.

    Durations are told whatever their support, which is how many were measured; the absolute error of a regression is
    its quality, and undefined below `min_support`.
    """
    series = results.series
    _add(results, "label_lag_seconds", series.of_kind(LAG), quality=False)
    _add(results, "prediction_latency_seconds", series.of_kind(LATENCY), quality=False)
    if series.evaluation.task == "regression":
        _add(results, "absolute_error", series.outcomes, quality=True)


def _add(results: Results, metric: str, cells: pd.DataFrame, *, quality: bool) -> None:
    owner, bucket, n = (cells[name].to_numpy() for name in ("series", "bucket", "n"))
    counted = Counted(owner, duration_bucket_value(bucket), n, len(results.series))
    confidence = results.series.evaluation.confidence
    results.each(
        metric,
        [str(q) for q in QUANTILES],
        counted.quantile(QUANTILES),
        lambda: counted.interval(QUANTILES, confidence),
        label="quantile",
        quality=quality,
        support=counted.total,
    )
