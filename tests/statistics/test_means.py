"""Intervals of means from sums and sums of squares."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from evaljob.statistics.means import mean_interval, positive_mean_interval, variance_of_mean
from tests.statistics.coverage import LEVEL, covered

Floats = NDArray[np.float64]
SAMPLES = 3000


def sums(rows: Floats) -> tuple[NDArray[np.int64], Floats, Floats]:
    """Count, sum and sum of squares of each series."""
    return np.full(len(rows), rows.shape[1]), rows.sum(axis=1), (rows**2).sum(axis=1)


def test_student_by_hand() -> None:
    """1, 2, 6: mean 3, variance 7, so 3 -+ 4.303 sqrt(7 / 3)."""
    limits = mean_interval([3], [9.0], [41.0], LEVEL)
    assert variance_of_mean([3], [9.0], [41.0])[0] == pytest.approx(7 / 3)
    assert limits.upper[0] - 3 == pytest.approx(4.302653 * np.sqrt(7 / 3), rel=1e-6)
    assert limits.lower[0] + limits.upper[0] == pytest.approx(6)


def test_student_is_scipys() -> None:
    """Scipy's t-test of the same rows."""
    rows = np.random.default_rng(1).normal(5, 2, (1, 40))
    theirs = stats.ttest_1samp(rows[0], 0).confidence_interval(LEVEL)
    limits = mean_interval(*sums(rows), LEVEL)
    assert (limits.lower[0], limits.upper[0]) == pytest.approx((theirs.low, theirs.high))


def test_positive_by_hand() -> None:
    """Ten ones among a hundred rows: mean 0.1, variance of it 0.09 / 99, raised by 2 * 0.0909 = 0.1818.

    In units of u = 0.0010744 / 0.1 the mean is a count of 9.307.
    """
    variance = 0.09 / 99 * (1 + 2 * 0.09 / 99 / 0.01)
    unit, t = variance / 0.1, stats.t.ppf(0.975, 99)
    count = 0.1 / unit
    limits = positive_mean_interval([100], [10.0], [10.0], LEVEL)
    assert limits.upper[0] == pytest.approx(unit * (count + t * t / 2 + t * np.sqrt(count + t * t / 4)))
    assert limits.lower[0] == pytest.approx(unit * (count + t * t / 2 - t * np.sqrt(count + t * t / 4)))


@pytest.mark.parametrize("interval", [mean_interval, positive_mean_interval])
def test_undefined(interval: Callable[..., tuple[Floats, Floats]]) -> None:
    """Without rows and with a single one there is no spread to speak of."""
    assert np.isnan(interval([0, 1], [0.0, 5.0], [0.0, 25.0], LEVEL)).all()


def test_amounts_that_never_came_have_no_interval() -> None:
    """A hundred rows of 0 do not say whether the next amount is a cent or a million."""
    assert np.isnan(positive_mean_interval([100], [0.0], [0.0], LEVEL)).all()


@pytest.mark.parametrize("n", [30, 100, 1000])
def test_student_covers(n: int) -> None:
    """3,000 samples of gains and losses."""
    rows = np.random.default_rng(n).normal(0.5, 3, (SAMPLES, n))
    count, total, squares = sums(rows)
    assert covered(mean_interval(count, total, squares, LEVEL), 0.5, total / count) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize("n", [30, 100, 1000])
@pytest.mark.parametrize("share", [1.0, 0.3, 0.05])
@pytest.mark.parametrize("kind", ["exponential", "uniform"])
def test_positive_covers(n: int, share: float, kind: str) -> None:
    """3,000 samples of amounts of mean 1 that some rows have and others do not."""
    rng = np.random.default_rng(n)
    amount = rng.exponential(size=(SAMPLES, n)) if kind == "exponential" else rng.uniform(0, 2, (SAMPLES, n))
    count, total, squares = sums(amount * (rng.random((SAMPLES, n)) < share))
    value = np.where(total > 0, total / count, np.nan)
    assert covered(positive_mean_interval(count, total, squares, LEVEL), share, value) > 0.92
