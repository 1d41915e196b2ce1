"""Calibration slope, intercept, and tests of miscalibration."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression

from evaljob.statistics import recalibration
from evaljob.statistics.calibration import Bins
from tests.statistics.coverage import LEVEL, covered
from tests.statistics.logs import cells
from tests.statistics.sources import SOURCES


def test_two_scores_by_hand() -> None:
    """Two scores, two parameters: the fit goes through both points.

    Scores 0.2 and 0.8 with 1 of 4 and 3 of 4 positives: logits -+1.386 become -+1.099, a slope of ln 3 / ln 4.
    """
    fit = recalibration.recalibrate(Bins(np.array([[4, 4]]), np.array([[1, 3]]), np.array([[0.8, 3.2]])))
    assert fit.slope[0] == pytest.approx(np.log(3) / np.log(4))
    assert fit.intercept[0] == pytest.approx(0, abs=1e-9)
    # The information about the intercept is 8 * 3/16, that about the slope has the squared logit as a factor.
    assert fit.intercept_error[0] == pytest.approx(1 / np.sqrt(1.5))
    assert fit.slope_error[0] == pytest.approx(1 / np.sqrt(1.5) / np.log(4))


def test_fit_is_scikit_learns() -> None:
    """Logistic regression without penalty on scores of two digits, where a bin holds one score."""
    rng = np.random.default_rng(6)
    score = np.round(rng.uniform(0.01, 0.98, 3000), 2)
    y = rng.binomial(1, expit(0.4 + 0.7 * logit(score)))
    fit = recalibration.recalibrate(cells(y, score).fine)
    theirs = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(score)[:, None], y)
    assert fit.slope[0] == pytest.approx(theirs.coef_[0, 0], abs=1e-5)
    assert fit.intercept[0] == pytest.approx(theirs.intercept_[0], abs=1e-5)


@pytest.mark.parametrize("n", [100, 1000])
@pytest.mark.parametrize(("source", "slope"), [("calibrated", 1.0), ("uneven", 1.0), ("too extreme", 0.5)])
def test_intervals_cover(source: str, slope: float, n: int) -> None:
    """1,500 logs: intercept 0 and the slope of the model lie in their intervals of 95%."""
    y, score = SOURCES[source].draw(1500, n, n)
    fit = recalibration.recalibrate(cells(y, score).fine)
    limits = recalibration.interval(fit.slope, fit.slope_error, LEVEL)
    assert covered(limits, slope, fit.slope) == pytest.approx(0.95, abs=0.02)
    limits = recalibration.interval(fit.intercept, fit.intercept_error, LEVEL)
    assert covered(limits, 0.0, fit.intercept) == pytest.approx(0.955, abs=0.025)


@pytest.mark.parametrize("source", ["calibrated", "sharp", "uneven"])
def test_tests_reject_calibrated_scores_as_seldom_as_they_say(source: str) -> None:
    """5% of 1,500 calibrated logs of 200 rows fail each test at 5%."""
    y, score = SOURCES[source].draw(1500, 200, 2)
    fine = cells(y, score).fine
    ratio = recalibration.likelihood_ratio_test(fine, recalibration.recalibrate(fine))
    assert np.mean(ratio.p_value < 0.05) == pytest.approx(0.05, abs=0.02)
    assert np.mean(recalibration.spiegelhalter_test(fine).p_value < 0.05) == pytest.approx(0.05, abs=0.02)


def test_tests_find_extreme_scores() -> None:
    """Scores with twice the logit they should have: 1,000 rows are enough to see it every time."""
    y, score = SOURCES["too extreme"].draw(200, 1000, 2)
    fine = cells(y, score).fine
    assert (recalibration.likelihood_ratio_test(fine, recalibration.recalibrate(fine)).p_value < 0.05).all()
    verdict = recalibration.spiegelhalter_test(fine)
    assert (verdict.p_value < 0.05).all()
    assert (verdict.statistic > 0).all()


def test_spiegelhalter_by_hand() -> None:
    """Ten rows at 0.2, four of them positive: (4 - 2)(1 - 0.4) over sqrt(10 * 0.36 * 0.16)."""
    verdict = recalibration.spiegelhalter_test(Bins(np.array([[10]]), np.array([[4]]), np.array([[2.0]])))
    assert verdict.statistic[0] == pytest.approx(1.2 / np.sqrt(0.576))
    assert verdict.p_value[0] == pytest.approx(0.1138, abs=1e-4)


@pytest.mark.parametrize(
    ("support", "positives"),
    [([5, 5], [0, 5]), ([5, 5], [5, 0]), ([5, 5], [0, 0]), ([5, 5], [0, 3]), ([10, 0], [4, 0]), ([0, 0], [0, 0])],
)
def test_no_fit_where_outcomes_are_separated(support: list[int], positives: list[int]) -> None:
    """Separated outcomes, a single outcome, a single score, no rows: the likelihood has no maximum, the fit is NaN."""
    bins = Bins(np.array([support]), np.array([positives]), np.array([support]) * [0.3, 0.7])
    fit = recalibration.recalibrate(bins)
    assert np.isnan([fit.intercept, fit.slope, fit.intercept_error, fit.slope_error]).all()


def test_likelihood_ratio_of_separated_outcomes_by_hand() -> None:
    """Five negatives at 0.3 and five positives at 0.7: a sure fit has log likelihood 0, the scores' is 10 ln 0.7."""
    bins = Bins(np.array([[5, 5]]), np.array([[0, 5]]), np.array([[1.5, 3.5]]))
    verdict = recalibration.likelihood_ratio_test(bins, recalibration.recalibrate(bins))
    assert verdict.statistic[0] == pytest.approx(-20 * np.log(0.7), abs=1e-6)
    assert verdict.p_value[0] == pytest.approx(0.7**10, abs=1e-6)


def test_likelihood_ratio_of_a_single_score_by_hand() -> None:
    """Four of ten positive at 0.2: twice 4 ln(0.4 / 0.2) + 6 ln(0.6 / 0.8), with one degree of freedom."""
    bins = Bins(np.array([[10, 0]]), np.array([[4, 0]]), np.array([[2.0, 0.0]]))
    verdict = recalibration.likelihood_ratio_test(bins, recalibration.recalibrate(bins))
    assert verdict.statistic[0] == pytest.approx(2 * (4 * np.log(2) + 6 * np.log(0.75)))
    assert verdict.p_value[0] == pytest.approx(stats.chi2.sf(verdict.statistic[0], 1))


def test_no_verdict_without_rows() -> None:
    """Nothing is neither calibrated nor miscalibrated."""
    bins = Bins(*(np.zeros((1, 2)) for _ in range(3)))
    assert np.isnan(recalibration.likelihood_ratio_test(bins, recalibration.recalibrate(bins)).p_value).all()


def test_rare_events_fail_the_test_as_seldom_as_it_says() -> None:
    """2,000 logs of 200 scores about 0.005, one positive on average: fewer than 6% fail at 5%."""
    rng = np.random.default_rng(8)
    score = np.round(rng.beta(1, 200, (2000, 200)), 9)
    fine = cells(rng.binomial(1, score), score).fine
    verdict = recalibration.likelihood_ratio_test(fine, recalibration.recalibrate(fine))
    assert np.mean(verdict.p_value < 0.05) < 0.06


def test_series_do_not_touch_each_other() -> None:
    """A fit is the same beside a series that has none."""
    y, score = SOURCES["calibrated"].draw(1, 100, 1)
    fine = cells(y, score).fine
    alone = recalibration.recalibrate(fine)
    beside = recalibration.recalibrate(Bins(*(np.concatenate([part, 0 * part]) for part in fine)))
    assert [part[0] for part in beside] == pytest.approx([part[0] for part in alone])
