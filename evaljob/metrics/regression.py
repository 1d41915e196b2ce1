"""Errors of predicted numbers, from exact sums."""

from evaljob.join.plan import ERROR_SUMS
from evaljob.metrics.results import Results
from evaljob.statistics import regression


def add(results: Results) -> None:
    """MAE, RMSE, mean error (prediction - label) and R^2."""
    series = results.series
    sums = {name: series.real(series.outcomes, name) for name in ERROR_SUMS}
    n = series.support
    results.measure("mean_absolute_error", regression.mean_absolute_error(n, sums["absolute_error"]))
    results.measure("root_mean_squared_error", regression.root_mean_squared_error(n, sums["squared_error"]))
    results.measure("mean_error", regression.mean_error(n, sums["error"]))
    results.measure("r2_score", regression.r2_score(n, sums["squared_error"], sums["label"], sums["squared_label"]))
