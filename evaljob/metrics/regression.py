"""Errors of predicted numbers, from exact sums."""

from evaljob.join.plan import ERROR_SUMS
from evaljob.metrics.results import Results
from evaljob.statistics import regression
from evaljob.statistics import regression_intervals as intervals
from evaljob.statistics.regression_intervals import ErrorSums


def add(results: Results) -> None:
    """MAE, RMSE, mean error (prediction - label) and R^2."""
    series, confidence = results.series, results.series.evaluation.confidence
    sums = ErrorSums(rows=series.support, **{name: series.real(series.outcomes, name) for name in ERROR_SUMS})
    n, absolute, squared = sums.rows, sums.absolute_error, sums.squared_error
    results.measure(
        "mean_absolute_error",
        regression.mean_absolute_error(n, absolute),
        lambda: intervals.mean_absolute_error(n, absolute, squared, confidence),
    )
    results.measure(
        "root_mean_squared_error",
        regression.root_mean_squared_error(n, squared),
        lambda: intervals.root_mean_squared_error(n, absolute, squared, confidence),
    )
    results.measure(
        "mean_error",
        regression.mean_error(n, sums.error),
        lambda: intervals.mean_error(n, sums.error, squared, confidence),
    )
    results.measure(
        "r2_score",
        regression.r2_score(n, squared, sums.label, sums.squared_label),
        lambda: intervals.r2_score(sums, confidence),
    )
