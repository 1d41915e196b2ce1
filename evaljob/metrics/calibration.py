"""Whether scores mean what they say: calibration and proper scores, from the score bins of every series."""

from collections.abc import Callable
from functools import cache, partial

import numpy as np

from evaljob.metrics.results import Limits, Results
from evaljob.metrics.scores import Scores
from evaljob.metrics.series import Values
from evaljob.statistics import calibration, recalibration
from evaljob.statistics import calibration_intervals as intervals
from evaljob.statistics.calibration import Bins
from evaljob.statistics.calibration_error_interval import calibration_error_interval
from evaljob.statistics.corp_intervals import DecompositionLimits, corp
from evaljob.statistics.intervals import Interval

MERGED = {"uniform": calibration.uniform_bins, "quantile": calibration.quantile_bins}


def add(results: Results, scores: Scores) -> None:
    """Calibration errors, slope and test, Brier score and its parts, log loss, and the reliability diagram."""
    _add_errors(results, scores)
    _add_losses(results, scores)
    overall = scores.of(np.flatnonzero(results.series.overall))
    _add_recalibration(results, overall)
    _add_strategies(results, overall)
    _add_diagram(results, _configured(results, overall.fine))


def _configured(results: Results, fine: Bins) -> Bins:
    configured = results.series.evaluation.calibration
    return MERGED[configured.strategy](fine, configured.bins)


def _add_errors(results: Results, scores: Scores) -> None:
    """Over the bins that are configured."""
    confidence, support = results.series.evaluation.confidence, scores.support
    bins = _configured(results, scores.fine)
    plain, debiased, interval = _expected(bins, confidence)
    results.measure("expected_calibration_error", plain, interval, support=support)
    results.measure("expected_calibration_error_debiased", debiased, interval, support=support)
    largest, bias = calibration.maximum_calibration_error(bins), calibration.calibration_bias(scores.fine)
    interval = partial(intervals.maximum_calibration_error, largest, bins, confidence)
    results.measure("maximum_calibration_error", largest, interval, support=support)
    interval = partial(intervals.calibration_bias, bias, scores.fine, confidence)
    results.measure("calibration_bias", bias, interval, support=support)


def _expected(bins: Bins, confidence: float) -> tuple[Values, Values, Limits]:
    """The plain and the debiased error, and the interval of the true one, which holds both."""
    plain, debiased = calibration.expected_calibration_error(bins), calibration.debiased_calibration_error(bins)

    @cache
    def interval() -> Interval:
        lower, upper = calibration_error_interval(plain, bins, confidence)
        return Interval(np.minimum(lower, debiased), np.maximum(upper, debiased))

    return plain, debiased, interval


def _add_strategies(results: Results, scores: Scores) -> None:
    """The calibration errors over both kinds of bins, of the slice `overall`."""
    evaluation = results.series.evaluation
    for strategy, merged in MERGED.items():
        plain, debiased, interval = _expected(merged(scores.fine, evaluation.calibration.bins), evaluation.confidence)
        for metric, value in (("calibration_error", plain), ("calibration_error_debiased", debiased)):
            results.measure(
                metric, value, interval, support=scores.support, where=results.series.overall, strategy=strategy
            )


def _add_recalibration(results: Results, scores: Scores) -> None:
    """Slope and intercept, and whether they could be 1 and 0, of the slice `overall`.

    An observed level of significance has no interval.
    """
    confidence, tell = results.series.evaluation.confidence, partial(results.measure, where=results.series.overall)
    support, fit = scores.support, recalibration.recalibrate(scores.fine)
    interval = partial(recalibration.interval, fit.slope, fit.slope_error, confidence)
    tell("calibration_slope", fit.slope, interval, support=support)
    interval = partial(recalibration.interval, fit.intercept, fit.intercept_error, confidence)
    tell("calibration_intercept", fit.intercept, interval, support=support)
    verdict = recalibration.likelihood_ratio_test(scores.fine, fit)
    tell("calibration_p_value", verdict.p_value, support=support)


def _add_losses(results: Results, scores: Scores) -> None:
    """Brier score, its parts, log loss."""
    fine, support, confidence = scores.fine, scores.support, results.series.evaluation.confidence
    sums = (fine.positives, scores.positive_score, scores.squared_score)
    brier = calibration.brier_score(support, *(part.sum(axis=1) for part in sums))
    results.measure("brier_score", brier, partial(intervals.brier_score, brier, fine, confidence), support=support)
    parts = calibration.corp(fine, brier)

    @cache
    def limits() -> DecompositionLimits:
        return corp(fine, parts, confidence)

    for name, part in parts._asdict().items():
        results.measure(f"brier_{name}", part, partial(_part, limits, name), support=support)
    log_loss = calibration.mean_loss(support, scores.log_loss)
    results.measure("log_loss", log_loss, partial(intervals.log_loss, log_loss, fine, confidence), support=support)


def _add_diagram(results: Results, bins: Bins) -> None:
    """The reliability diagram, of the slice `overall`.

    A mean score is known and has no interval: its bounds are the consistency band, where the observed share would lie
    if the scores were right.
    """
    series, confidence = results.series, results.series.evaluation.confidence
    shown, names = calibration.reliability(bins), [str(i) for i in range(bins.support.shape[1])]
    each = partial(results.each, names=names, label="bin", support=bins.support, where=series.overall)
    each("reliability_support", values=bins.support, quality=False)
    each(
        "reliability_mean_predicted",
        values=shown.mean_predicted,
        interval=partial(intervals.consistency_band, bins, confidence),
    )
    each(
        "reliability_observed_ratio",
        values=shown.observed_ratio,
        interval=partial(intervals.observed_ratio, bins, confidence),
    )


def _part(limits: Callable[[], DecompositionLimits], name: str) -> Interval:
    found: Interval = getattr(limits(), name)
    return found
