"""Percentiles of label lag and prediction latency: never the mean alone."""

from evaljob.join.plan import LAG, LATENCY
from evaljob.metrics.results import Results
from evaljob.statistics.bins import duration_bucket_value, quantile

QUANTILES = (0.5, 0.95, 0.99)


def add(results: Results) -> None:
    """p50, p95 and p99, told whatever their support, which is how many durations were measured."""
    for kind, metric in ((LAG, "label_lag_seconds"), (LATENCY, "prediction_latency_seconds")):
        cells = results.series.of_kind(kind)
        measured = results.series.total(cells)
        seconds = duration_bucket_value(cells["bucket"].to_numpy())
        found = quantile(cells["series"].to_numpy(), seconds, cells["n"].to_numpy(), len(results.series), QUANTILES)
        for i, q in enumerate(QUANTILES):
            results.count(metric, found[:, i], support=measured, quantile=str(q))
