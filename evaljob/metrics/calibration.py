"""Whether scores mean what they say: calibration and proper scores, from the score bins of every series."""

from functools import cache, partial

import numpy as np

from evaljob.metrics.results import Results
from evaljob.metrics.scores import Scores
from evaljob.metrics.series import Values
from evaljob.statistics import calibration, recalibration
from evaljob.statistics import calibration_intervals as intervals
from evaljob.statistics.calibration import Bins
from evaljob.statistics.calibration_error_interval import calibration_error_interval
from evaljob.statistics.corp_intervals import corp
from evaljob.statistics.intervals import Interval

MERGED = {"uniform": calibration.uniform_bins, "quantile": calibration.quantile_bins}


def add(results: Results, scores: Scores) -> None:
    """Calibration errors, slope and test, Brier score and its parts, log loss, and the reliability diagram."""
    configured = results.series.evaluation.calibration
    bins = MERGED[configured.strategy](scores.fine, configured.bins)
    _add_errors(results, bins, scores)
    _add_strategies(results, scores)
    _add_recalibration(results, scores)
    _add_losses(results, scores)
    _add_diagram(results, bins)


def _add_errors(results: Results, bins: Bins, scores: Scores) -> None:
    """Of the bins that are configured, for every series."""
    confidence, support = results.series.evaluation.confidence, scores.support
    plain, debiased, interval = _expected(bins, confidence)
    results.measure("expected_calibration_error", plain, interval, support=support)
    results.measure("expected_calibration_error_debiased", debiased, interval, support=support)
    largest, bias = calibration.maximum_calibration_error(bins), calibration.calibration_bias(scores.fine)
    limits = partial(intervals.maximum_calibration_error, largest, bins, confidence)
    results.measure("maximum_calibration_error", largest, limits, support=support)
    limits = partial(intervals.calibration_bias, bias, scores.fine, confidence)
    results.measure("calibration_bias", bias, limits, support=support)


def _add_strategies(results: Results, scores: Scores) -> None:
    """The calibration errors over both kinds of bins, for the slice `overall`."""
    series, where = results.series, np.flatnonzero(results.series.overall)
    part = Bins(*(counts[where] for counts in scores.fine))
    for strategy, merge in MERGED.items():
        plain, debiased, interval = _expected(merge(part, series.evaluation.calibration.bins), series.evaluation.confidence)
        limits = _spread_limits(interval, where, len(series))
        for metric, value in (("calibration_error", plain), ("calibration_error_debiased", debiased)):
            spread = _spread(value, where, len(series))
            shown = {"support": scores.support, "where": series.overall, "strategy": strategy}
            results.measure(metric, spread, limits, **shown)
