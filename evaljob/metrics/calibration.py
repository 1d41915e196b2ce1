"""Whether scores mean what they say: calibration, proper scores and ranking, from the score bins of every series."""

from typing import Any

import pandas as pd

from evaljob.metrics.results import Results
from evaljob.metrics.series import Counts, Series
from evaljob.statistics import calibration, ranking
from evaljob.statistics.bins import SCORE_BINS, SCORE_UNIT


def add(results: Results) -> None:
    """Calibration errors, Brier score and its parts, log loss; for binary tasks also ROC AUC and average precision."""
    series = results.series
    scored = series.outcomes["bucket"].to_numpy() >= 0
    cells, events = series.outcomes[scored], series.events[scored]
    binned = (cells["bucket"].to_numpy(), SCORE_BINS)
    count = _by_bin(series, cells, *binned)
    positives = _by_bin(series, cells[events], binned[0][events], SCORE_BINS)
    fine = calibration.Bins(count, positives, _by_bin(series, cells, *binned, "score") / SCORE_UNIT)
    support = count.sum(axis=1)
    _add_calibration(results, fine, support)
    sums = {name: series.total(cells, name) / SCORE_UNIT for name in ("squared_score", "log_loss")}
    positive_score = series.total(cells[events], "score") / SCORE_UNIT
    brier = calibration.brier_score(support, positives.sum(axis=1), positive_score, sums["squared_score"])
    results.measure("brier_score", brier, support=support)
    for name, part in calibration.corp(fine, brier)._asdict().items():
        results.measure(f"brier_{name}", part, support=support)
    results.measure("log_loss", calibration.mean_loss(support, sums["log_loss"]), support=support)
    if series.evaluation.task == "binary":
        negatives = count - positives
        results.measure("roc_auc", ranking.roc_auc(positives, negatives), support=support)
        results.measure("average_precision", ranking.average_precision(positives, negatives), support=support)


def _add_calibration(results: Results, fine: calibration.Bins, support: Counts) -> None:
    configured = results.series.evaluation.calibration
    merge = calibration.uniform_bins if configured.strategy == "uniform" else calibration.quantile_bins
    bins = merge(fine, configured.bins)
    results.measure("expected_calibration_error", calibration.expected_calibration_error(bins), support=support)
    results.measure("maximum_calibration_error", calibration.maximum_calibration_error(bins), support=support)
    results.measure("calibration_bias", calibration.calibration_bias(fine), support=support)
    diagram = calibration.reliability(bins)
    for i in range(configured.bins):
        shown: dict[str, Any] = {"support": bins.support[:, i], "where": results.series.overall, "bin": str(i)}
        results.count("reliability_support", bins.support[:, i], **shown)
        results.measure("reliability_mean_predicted", diagram.mean_predicted[:, i], **shown)
        results.measure("reliability_observed_ratio", diagram.observed_ratio[:, i], **shown)


def _by_bin(series: Series, cells: pd.DataFrame, bins: Counts, width: int, column: str = "n") -> Counts:
    return series.dense(cells, [bins], [width], column)
