"""Intervals of what is computed from scores: ranking and calibration."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from evaljob.statistics import calibration, calibration_intervals, ranking, ranking_intervals
from evaljob.statistics.calibration import Bins
from evaljob.statistics.calibration_error_interval import calibration_error_interval
from tests.statistics.coverage import LEVEL, covered
from tests.statistics.logs import cells
from tests.statistics.sources import SOURCES

SAMPLES = 1000
# The simulation's own error is 0.007. Few rows take few values, which costs up to three more hundredths.
LEAST = {30: 0.91, 100: 0.91, 1000: 0.92}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("n", LEAST)
def test_intervals_cover(source: str, n: int) -> None:
    """1,000 logs of n rows from each of six models: every interval of 95% holds the truth nearly that often."""
    truth = SOURCES[source].truth()
    y, score = SOURCES[source].draw(SAMPLES, n, n)
    counted = cells(y, score)
    positives, negatives, fine = counted.positives, counted.negatives, counted.fine

    area = ranking.roc_auc(positives, negatives, counted.positive_score, counted.negative_score)
    assert covered(ranking_intervals.roc_auc(area, positives, negatives, LEVEL), truth.roc_auc, area) > LEAST[n]
    area = ranking.average_precision(positives, negatives, *counted.sums)
    limits = ranking_intervals.average_precision(area, positives, negatives, LEVEL)
    assert covered(limits, truth.average_precision, area) > LEAST[n]

    value = ((score - y) ** 2).mean(axis=1)
    assert covered(calibration_intervals.brier_score(value, fine, LEVEL), truth.brier, value) > LEAST[n]
    value = -np.where(y == 1, np.log(score), np.log1p(-score)).mean(axis=1)
    assert covered(calibration_intervals.log_loss(value, fine, LEVEL), truth.log_loss, value) > LEAST[n]
    value = calibration.calibration_bias(fine)
    assert covered(calibration_intervals.calibration_bias(value, fine, LEVEL), truth.bias, value) > LEAST[n]

    bins = calibration.uniform_bins(fine, 10)
    for value in (calibration.expected_calibration_error(bins), calibration.debiased_calibration_error(bins)):
        assert covered(calibration_error_interval(value, bins, LEVEL), truth.calibration_error, value) > LEAST[n]


def test_area_of_normal_scores_covers_near_one() -> None:
    """Scores of positives three deviations higher: the area is 0.983, and thirty rows mostly show 1."""
    rng = np.random.default_rng(8)
    y = rng.binomial(1, 0.5, (SAMPLES, 30))
    score = stats.norm.cdf(rng.normal(3 * y), 1.5, 2)
    counted = cells(y, score)
    area = ranking.roc_auc(counted.positives, counted.negatives, counted.positive_score, counted.negative_score)
    limits = ranking_intervals.roc_auc(area, counted.positives, counted.negatives, LEVEL)
    assert covered(limits, stats.norm.cdf(3 / np.sqrt(2)), area) > 0.93


def test_delong_variance_by_hand() -> None:
    """Positives beat 1/2 and 1 of two negatives, these are beaten by 1 and 1/2: twice 1/8 about 3/4, halved."""
    positives, negatives = np.array([[0, 1, 0, 1]]), np.array([[1, 0, 1, 0]])
    assert ranking_intervals._delong_variance(positives, negatives)[0] == pytest.approx(1 / 8)  # noqa: SLF001


def test_area_published() -> None:
    """Hanley and McNeil (1982), table II: 109 tomograms rated from 1 to 5; area 0.893, standard error 0.032."""
    normal, abnormal = np.array([[33, 6, 6, 11, 2]]), np.array([[3, 2, 2, 11, 33]])
    area = ranking.roc_auc(abnormal, normal)
    assert area[0] == pytest.approx(0.893, abs=0.0005)
    limits = ranking_intervals.roc_auc(area, abnormal, normal, LEVEL)
    assert limits.lower[0] == pytest.approx(0.893 - 1.96 * 0.032, abs=0.02)
    assert area[0] < limits.upper[0] < 0.893 + 1.96 * 0.032


@pytest.mark.parametrize("source", ["calibrated", "too extreme"])
def test_maximum_error_covers(source: str) -> None:
    """Limits that hold for all ten bins at once hold for the largest."""
    model = SOURCES[source]
    y, score = model.draw(SAMPLES, 300, 3)
    bins = calibration.uniform_bins(cells(y, score).fine, 10)
    chance = calibration.uniform_bins(_expected(model.chance(score), score), 10)
    truth = calibration.maximum_calibration_error(chance)
    value = calibration.maximum_calibration_error(bins)
    limits = calibration_intervals.maximum_calibration_error(value, bins, LEVEL)
    assert np.mean((limits.lower <= truth + 1e-9) & (truth <= limits.upper)) > 0.93


def test_consistency_band_by_hand() -> None:
    """10 rows at 0.5: at most 1 positive happens in 1.1%, at most 2 in 5.5%, so the band of 95% is 0.2 to 0.8."""
    bins = Bins(np.array([[10, 0]]), np.array([[9, 0]]), np.array([[5.0, 0.0]]))
    band = calibration_intervals.consistency_band(bins, 0.95)
    assert (band.lower[0, 0], band.upper[0, 0]) == (0.2, 0.8)
    assert np.isnan(band.lower[0, 1])
    theirs = stats.binom.ppf([0.025, 0.975], 10, 0.5) / 10
    assert theirs.tolist() == [0.2, 0.8]


def test_consistency_band_holds_calibrated_bins() -> None:
    """Of a calibrated model, at least 95% of the bins lie in their bands."""
    y, score = SOURCES["calibrated"].draw(SAMPLES, 500, 4)
    bins = calibration.uniform_bins(cells(y, score).fine, 10)
    band, seen = calibration_intervals.consistency_band(bins, LEVEL), calibration.reliability(bins).observed_ratio
    assert np.mean((band.lower <= seen) & (seen <= band.upper)) > LEVEL


def test_scores_without_variance_still_have_an_interval() -> None:
    """30 rows with scores of 0 and 1, all right: the Brier score is 0 and may well be 0.1, as 0 errors of 30 may."""
    y = np.tile([0, 1], 15)
    fine = cells(y, y).fine
    limits = calibration_intervals.brier_score(np.zeros(1), fine, LEVEL)
    assert limits.lower[0] == 0
    assert limits.upper[0] == pytest.approx(0.1135, abs=0.01)


def test_undefined_without_rows() -> None:
    """No rows, no intervals, and no warnings."""
    nothing, empty = np.full(2, np.nan), cells(np.zeros((2, 0)), np.zeros((2, 0)))
    coarse = calibration.uniform_bins(empty.fine, 10)
    found = [
        ranking_intervals.roc_auc(nothing, empty.positives, empty.negatives, LEVEL),
        ranking_intervals.average_precision(nothing, empty.positives, empty.negatives, LEVEL),
        calibration_intervals.brier_score(nothing, empty.fine, LEVEL),
        calibration_intervals.log_loss(nothing, empty.fine, LEVEL),
        calibration_intervals.calibration_bias(nothing, empty.fine, LEVEL),
        calibration_intervals.maximum_calibration_error(nothing, coarse, LEVEL),
        calibration_error_interval(nothing, coarse, LEVEL),
    ]
    assert np.isnan(np.array(found)).all()


def test_series_do_not_touch_each_other() -> None:
    """An interval is the same whatever other series it is computed with."""
    y, score = SOURCES["too extreme"].draw(20, 80, 5)
    together = cells(y, score)
    bins = calibration.uniform_bins(together.fine, 10)
    value = calibration.expected_calibration_error(bins)
    limits = calibration_error_interval(value, bins, LEVEL)
    for i in (0, 7, 19):
        alone = calibration_error_interval(value[[i]], Bins(*(part[[i]] for part in bins)), LEVEL)
        assert (alone.lower[0], alone.upper[0]) == (limits.lower[i], limits.upper[i])


def _expected(chance: NDArray[np.float64], score: NDArray[np.float64]) -> Bins:
    """Fine bins that hold the chances of positives instead of the positives: thousandths of a row."""
    counted = cells(np.round(chance * 1000), score)
    fine = cells(np.zeros(score.shape), score).fine
    return Bins(fine.support, counted.positives / 1000, fine.score)
