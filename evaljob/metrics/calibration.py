"""Whether scores mean what they say: calibration, proper scores and ranking, from the score bins of every series."""

from typing import Any

import pandas as pd

from evaljob.metrics.results import Results
from evaljob.metrics.series import Counts, Series
from evaljob.statistics import calibration, ranking, ranking_intervals
from evaljob.statistics import calibration_intervals as intervals
from evaljob.statistics.bins import SCORE_BINS, SCORE_UNIT
from evaljob.statistics.calibration_error_interval import calibration_error_interval
from evaljob.statistics.intervals import Interval


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
    confidence = series.evaluation.confidence
    results.measure("brier_score", brier, intervals.brier_score(brier, fine, confidence), support=support)
    for name, part in calibration.corp(fine, brier)._asdict().items():
        results.measure(f"brier_{name}", part, support=support)
    log_loss = calibration.mean_loss(support, series.total(cells, "log_loss") / SCORE_UNIT)
    results.measure("log_loss", log_loss, intervals.log_loss(log_loss, fine, confidence), support=support)
    if series.evaluation.task == "binary":
        sums = (positive_score, score - positive_score)
        negatives = count - positives
        area = ranking.roc_auc(positives, negatives, *sums)
        interval = ranking_intervals.roc_auc(area, positives, negatives, confidence)
        results.measure("roc_auc", area, interval, support=support)
        precision = ranking.average_precision(positives, negatives, *sums, squared_score)
        interval = ranking_intervals.average_precision(precision, positives, negatives, confidence)
        results.measure("average_precision", precision, interval, support=support)


def _add_calibration(results: Results, fine: calibration.Bins, support: Counts) -> None:
    configured = results.series.evaluation.calibration
    merge = calibration.uniform_bins if configured.strategy == "uniform" else calibration.quantile_bins
    bins = merge(fine, configured.bins)
    confidence = results.series.evaluation.confidence
    expected = calibration.expected_calibration_error(bins)
    interval = calibration_error_interval(expected, bins, confidence)
    results.measure("expected_calibration_error", expected, interval, support=support)
    largest = calibration.maximum_calibration_error(bins)
    interval = intervals.maximum_calibration_error(largest, bins, confidence)
    results.measure("maximum_calibration_error", largest, interval, support=support)
    bias = calibration.calibration_bias(fine)
    results.measure("calibration_bias", bias, intervals.calibration_bias(bias, fine, confidence), support=support)
    _add_diagram(results, bins)


def _add_diagram(results: Results, bins: calibration.Bins) -> None:
    """The reliability diagram, of the slice `overall`."""
    diagram = calibration.reliability(bins)
    observed = intervals.observed_ratio(bins, results.series.evaluation.confidence)
    for i in range(bins.support.shape[1]):
        shown: dict[str, Any] = {"support": bins.support[:, i], "where": results.series.overall, "bin": str(i)}
        interval = Interval(observed.lower[:, i], observed.upper[:, i])
        results.count("reliability_support", bins.support[:, i], **shown)
        results.measure("reliability_mean_predicted", diagram.mean_predicted[:, i], **shown)
        results.measure("reliability_observed_ratio", diagram.observed_ratio[:, i], interval, **shown)


def _by_bin(series: Series, cells: pd.DataFrame, column: str = "n") -> Counts:
    """A column of cells summed by score bin, (series, SCORE_BINS)."""
    return series.dense(cells, [cells["bucket"].to_numpy()], [SCORE_BINS], column)
