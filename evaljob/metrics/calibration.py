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
    count, positives = _by_bin(series, cells), _by_bin(series, cells[events])
    score, positive_score, squared_score = (
        _by_bin(series, rows, column) / SCORE_UNIT
        for rows, column in ((cells, "score"), (cells[events], "score"), (cells, "squared_score"))
    )
    fine = calibration.Bins(count, positives, score)
    support = count.sum(axis=1)
    _add_calibration(results, fine, support)
    brier = calibration.brier_score(
        support, positives.sum(axis=1), positive_score.sum(axis=1), squared_score.sum(axis=1)
    )
    results.measure("brier_score", brier, support=support)
    for name, part in calibration.corp(fine, brier)._asdict().items():
        results.measure(f"brier_{name}", part, support=support)
    log_loss = series.total(cells, "log_loss") / SCORE_UNIT
    results.measure("log_loss", calibration.mean_loss(support, log_loss), support=support)
    if series.evaluation.task == "binary":
        sums = (positive_score, score - positive_score)
        negatives = count - positives
        results.measure("roc_auc", ranking.roc_auc(positives, negatives, *sums), support=support)
        precision = ranking.average_precision(positives, negatives, *sums, squared_score)
        results.measure("average_precision", precision, support=support)


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


def _by_bin(series: Series, cells: pd.DataFrame, column: str = "n") -> Counts:
    """A column of cells summed by score bin, (series, SCORE_BINS)."""
    return series.dense(cells, [cells["bucket"].to_numpy()], [SCORE_BINS], column)
