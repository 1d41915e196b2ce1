"""Calibration from binned scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn import metrics
from sklearn.isotonic import IsotonicRegression

from evaljob.statistics import calibration
from evaljob.statistics.calibration import Bins
from tests.statistics.logs import cells

LOGS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10**9)), min_size=1, max_size=60)


@pytest.fixture
def precipitation() -> Bins:
    """12,402 forecasts of the probability of precipitation, United States 1980-1987.

    Murphy and Daan (1985) as table 7.3 of Wilks, Statistical Methods in the Atmospheric Sciences. The published
    relative frequencies of the twelve forecasts, counted per 10,000, and how often it rained after each.
    """
    score = np.array([0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1])
    rained = np.array([0.006, 0.019, 0.059, 0.15, 0.277, 0.377, 0.511, 0.587, 0.723, 0.779, 0.934, 0.933])
    share = np.array([4112, 671, 1833, 986, 616, 366, 303, 275, 245, 220, 170, 203]) * 1000
    return Bins(share[None], np.round(share * rained).astype(np.int64)[None], (share * score)[None])


def brier(bins: Bins) -> NDArray[np.float64]:
    """The Brier score when every row has the mean score of its bin."""
    mean = bins.score / bins.support
    return calibration.brier_score(
        bins.support.sum(1), bins.positives.sum(1), (mean * bins.positives).sum(1), (mean * bins.score).sum(1)
    )


def test_precipitation_forecasts(precipitation: Bins) -> None:
    """The table's climatology is published as 0.162; the mean forecast is slightly higher."""
    assert precipitation.positives.sum() / precipitation.support.sum() == pytest.approx(0.162, abs=0.0006)
    point = calibration.reliability(precipitation)
    assert point.mean_predicted[0, 3] == pytest.approx(0.2)
    assert point.observed_ratio[0, 3] == pytest.approx(0.150)
    assert calibration.calibration_bias(precipitation)[0] == pytest.approx(0.176525 - 0.161503, abs=1e-6)
    assert calibration.maximum_calibration_error(precipitation)[0] == pytest.approx(1 - 0.933)


def test_precipitation_decomposition(precipitation: Bins) -> None:
    """Rain frequencies rise with the forecast but for the last two: pooled, Murphy's parts are CORP's."""
    n, k = precipitation.support[0], precipitation.positives[0]
    rate = np.append(k[:10] / n[:10], [k[10:].sum() / n[10:].sum()] * 2)
    score, share, climate = precipitation.score[0] / n, n / n.sum(), k.sum() / n.sum()
    part = calibration.corp(precipitation, brier(precipitation))
    resolution = (share * (rate - climate) ** 2).sum()
    assert part.uncertainty[0] == pytest.approx(climate * (1 - climate))
    assert part.discrimination[0] == pytest.approx(resolution, rel=1e-9)
    reliability = (share * ((score - k / n) ** 2 - (rate - k / n) ** 2)).sum()
    assert part.miscalibration[0] == pytest.approx(reliability, rel=1e-9)
    assert brier(precipitation)[0] == pytest.approx(0.0735, abs=0.0001)


def test_errors_by_hand() -> None:
    """Two bins: 4 rows at 0.1 with one positive (0.15 too low), 6 rows at 0.8 with three (0.3 too high)."""
    bins = Bins(np.array([[4, 6, 0]]), np.array([[1, 3, 0]]), np.array([[0.4, 4.8, 0.0]]))
    assert calibration.expected_calibration_error(bins)[0] == pytest.approx((4 * 0.15 + 6 * 0.3) / 10)
    assert calibration.maximum_calibration_error(bins)[0] == pytest.approx(0.3)
    assert calibration.calibration_bias(bins)[0] == pytest.approx((5.2 - 4) / 10)
    assert np.isnan(calibration.reliability(bins).observed_ratio[0, 2])


def test_isotonic_by_hand() -> None:
    """Rates 1/2, 1/4, 3/4 of 2, 4, 4 rows: the first two are pooled to 2 of 6, an empty bin changes nothing."""
    bins = Bins(np.array([[2, 0, 4, 4]]), np.array([[1, 0, 1, 3]]), np.array([[0.2, 0.0, 1.2, 3.6]]))
    np.testing.assert_allclose(calibration.isotonic(bins), [[1 / 3, 0, 1 / 3, 3 / 4]])


def test_debiased_error_by_simulation() -> None:
    """The closed form is what drawing the bins' shares from normal distributions gives, as its source does."""
    bins = Bins(np.array([[40, 60]]), np.array([[8, 27]]), np.array([[10.0, 33.0]]))
    observed = bins.positives / bins.support
    deviation = np.sqrt(observed * (1 - observed) / bins.support)
    drawn = norm.rvs(observed, deviation, size=(200_000, 2), random_state=1)
    resampled = (np.abs(bins.score / bins.support - drawn) * bins.support).sum(axis=1).mean() / 100
    plain = calibration.expected_calibration_error(bins)[0]
    assert calibration.debiased_calibration_error(bins)[0] == pytest.approx(2 * plain - resampled, abs=0.0005)


def test_debiased_error_is_nearer_to_the_truth() -> None:
    """100 rows of a calibrated model in ten bins: the plain error is 0.09 on average, the debiased less."""
    rng = np.random.default_rng(7)
    score = (np.arange(10) + 0.5) / 10
    support = np.full((5000, 10), 10)
    bins = Bins(support, rng.binomial(support, score), support * score)
    plain, debiased = calibration.expected_calibration_error(bins), calibration.debiased_calibration_error(bins)
    assert plain.mean() == pytest.approx(0.094, abs=0.01)
    assert debiased.mean() < 0.7 * plain.mean()


@settings(max_examples=25)
@given(log=LOGS)
def test_brier_score_is_scikit_learns(log: list[tuple[int, int]]) -> None:
    """From integer sums on a grid of 1e-9, to 1e-9."""
    y, grid = np.array(log).T
    counted = cells(y, grid / 1e9)
    ours = calibration.brier_score(
        len(y), y.sum(), counted.positive_score.sum(axis=1), counted.squared_score.sum(axis=1)
    )
    assert ours[0] == pytest.approx(metrics.brier_score_loss(y, grid / 1e9, labels=[0, 1]), abs=2e-9)


@given(log=LOGS)
def test_uniform_bins_give_the_textbook_error(log: list[tuple[int, int]]) -> None:
    """Ten bins of equal width, one loop over them: the same expected and maximum error."""
    y, grid = np.array(log).T
    bins = calibration.uniform_bins(cells(y, grid / 1e9).fine, 10)
    inside = [np.minimum(grid // 10**8, 9) == b for b in range(10)]
    gaps = [abs((grid[i] / 1e9).mean() - y[i].mean()) if i.any() else 0 for i in inside]
    expected = sum(i.sum() * gap for i, gap in zip(inside, gaps, strict=True)) / len(y)
    assert calibration.expected_calibration_error(bins)[0] == pytest.approx(expected, abs=1e-9)
    assert calibration.maximum_calibration_error(bins)[0] == pytest.approx(max(gaps), abs=1e-9)


@given(logs=st.lists(LOGS, min_size=1, max_size=4))
def test_decomposition_adds_up_and_its_parts_are_lawful(logs: list[list[tuple[int, int]]]) -> None:
    """The parts make up the score to 1e-12, for every series, and miscalibration is never negative."""
    counted = [cells(*np.array(log).T * np.array([[1], [1e-9]])) for log in logs]
    fine = Bins(*(np.concatenate(part) for part in zip(*(c.fine for c in counted), strict=True)))
    score = np.concatenate(
        [
            calibration.brier_score(
                c.fine.support.sum(), c.positives.sum(), c.positive_score.sum(1), c.squared_score.sum(1)
            )
            for c in counted
        ]
    )
    part = calibration.corp(fine, score)
    np.testing.assert_allclose(part.miscalibration - part.discrimination + part.uncertainty, score, atol=1e-12)
    assert (part.miscalibration >= 0).all()
    assert (part.discrimination >= -0.0051).all()  # two rows at the ends of one bin


def test_decomposition_is_that_of_the_single_scores() -> None:
    """20,000 rows: the parts are those of an isotonic fit to single scores, within the bins' resolution."""
    rng = np.random.default_rng(3)
    score = rng.beta(1, 3, 20_000)
    y = rng.binomial(1, score**1.3)
    counted = cells(y, score)
    whole = np.array([metrics.brier_score_loss(y, score)])
    recalibrated = np.mean((IsotonicRegression().fit_transform(score, y) - y) ** 2)
    part = calibration.corp(counted.fine, whole)
    assert part.miscalibration[0] == pytest.approx(whole[0] - recalibrated, abs=3e-4)
    assert part.discrimination[0] == pytest.approx(y.mean() * (1 - y.mean()) - recalibrated, abs=3e-4)


@settings(max_examples=25)
@given(logs=st.lists(LOGS, min_size=2, max_size=4))
def test_isotonic_fit_of_many_series_is_scikit_learns_of_each(logs: list[list[tuple[int, int]]]) -> None:
    """One call for all series gives every series its own fit."""
    fines = [cells(*np.array(log).T * np.array([[1], [1e-9]])).fine for log in logs]
    together = calibration.isotonic(Bins(*(np.concatenate(part) for part in zip(*fines, strict=True))))
    for fitted, fine in zip(together, fines, strict=True):
        kept = fine.support[0] > 0
        rate, weight = fine.positives[0, kept] / fine.support[0, kept], fine.support[0, kept]
        expected = IsotonicRegression().fit_transform(np.arange(kept.sum()), rate, sample_weight=weight)
        np.testing.assert_allclose(fitted[kept], expected, atol=1e-12)


def test_quantile_bins_have_equal_mass() -> None:
    """100,000 smooth scores in ten bins: a bin misses 10,000 rows by no more than a fine bin holds."""
    rng = np.random.default_rng(5)
    score = rng.beta(2, 2, 100_000)
    fine = cells(rng.binomial(1, score), score).fine
    bins = calibration.quantile_bins(fine, 10)
    assert bins.support.sum() == 100_000
    assert np.abs(bins.support - 10_000).max() <= fine.support.max()


@given(log=LOGS, merged=st.sampled_from([calibration.uniform_bins, calibration.quantile_bins]))
def test_coarse_bins_keep_every_row(log: list[tuple[int, int]], merged: object) -> None:
    """Merging moves rows, it never loses one."""
    y, grid = np.array(log).T
    bins = merged(cells(y, grid / 1e9).fine, 7)  # type: ignore[operator]
    assert bins.support.sum() == len(y)
    assert bins.positives.sum() == y.sum()
    assert bins.score.sum() == pytest.approx(grid.sum() / 1e9)


def test_undefined_without_rows() -> None:
    """No rows: every number is NaN."""
    empty = Bins(np.zeros((2, 180), dtype=np.int64), np.zeros((2, 180), dtype=np.int64), np.zeros((2, 180)))
    coarse = calibration.uniform_bins(empty, 10)
    values = [
        calibration.expected_calibration_error(coarse),
        calibration.debiased_calibration_error(coarse),
        calibration.maximum_calibration_error(coarse),
        calibration.calibration_bias(empty),
        *calibration.corp(empty, np.full(2, np.nan)),
    ]
    assert np.isnan(np.array(values)).all()
    assert calibration.quantile_bins(empty, 10).support.sum() == 0
