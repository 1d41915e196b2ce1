"""Intervals of the errors of numeric predictions."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from evaljob.statistics import regression, regression_intervals
from evaljob.statistics.regression_intervals import ErrorSums
from tests.statistics.coverage import LEVEL, covered

Floats = NDArray[np.float64]
SAMPLES = 3000


def noise(kind: str, rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Errors of variance 1 but for a bias of 0.3."""
    kinds: dict[str, Callable[[], Floats]] = {
        "normal": lambda: rng.normal(size=shape),
        "uniform": lambda: rng.uniform(-np.sqrt(3), np.sqrt(3), shape),
        "laplace": lambda: rng.laplace(size=shape) / np.sqrt(2),
    }
    return 0.3 + kinds[kind]()


def sums(label: Floats, error: Floats) -> ErrorSums:
    """What the cells hold of these rows, one series a line."""
    return ErrorSums(
        np.full(len(label), label.shape[1]),
        error.sum(axis=1),
        np.abs(error).sum(axis=1),
        (error**2).sum(axis=1),
        label.sum(axis=1),
        (label**2).sum(axis=1),
        (label * error).sum(axis=1),
    )


@pytest.mark.parametrize("kind", ["normal", "uniform", "laplace"])
@pytest.mark.parametrize("n", [30, 100, 1000])
def test_intervals_cover(kind: str, n: int) -> None:
    """3,000 samples of n rows; the simulation's own error is 0.004."""
    error = noise(kind, np.random.default_rng(n), (SAMPLES, n))
    many = noise(kind, np.random.default_rng(1), (1, 2_000_000))
    s = sums(np.zeros_like(error), error)

    value = regression.mean_error(s.rows, s.error)
    limits = regression_intervals.mean_error(s.rows, s.error, s.squared_error, LEVEL)
    assert covered(limits, 0.3, value) == pytest.approx(0.95, abs=0.015)

    value = regression.mean_absolute_error(s.rows, s.absolute_error)
    limits = regression_intervals.mean_absolute_error(s.rows, s.absolute_error, s.squared_error, LEVEL)
    assert covered(limits, float(np.abs(many).mean()), value) == pytest.approx(0.95, abs=0.025)

    value = regression.root_mean_squared_error(s.rows, s.squared_error)
    limits = regression_intervals.root_mean_squared_error(s.rows, s.absolute_error, s.squared_error, LEVEL)
    assert covered(limits, float(np.sqrt(1 + 0.3**2)), value) > 0.915


@pytest.mark.parametrize("kind", ["normal", "uniform", "laplace"])
@pytest.mark.parametrize("n", [30, 100, 1000])
@pytest.mark.parametrize("scale", [1.0, 0.5, 1.5])
def test_interval_of_r2_covers(kind: str, n: int, scale: float) -> None:
    """Labels x + noise, predictions `scale` x + 0.3: right, too timid and too extreme ones."""
    rng = np.random.default_rng(n)
    x, e = rng.normal(size=(SAMPLES, n)), noise(kind, rng, (SAMPLES, n)) - 0.3
    label, prediction = x + e, scale * x + 0.3
    s = sums(label, prediction - label)
    value = regression.r2_score(s.rows, s.squared_error, s.label, s.squared_label)
    truth = 1 - (1 + (scale - 1) ** 2 + 0.3**2) / 2
    assert covered(regression_intervals.r2_score(s, LEVEL), truth, value) > 0.925


def test_mean_error_by_hand() -> None:
    """Errors 1, -1, 4: mean 4/3, variance 19/3 over three rows, and Student's t with two degrees of freedom."""
    limits = regression_intervals.mean_error(np.array([3]), np.array([4.0]), np.array([18.0]), 0.95)
    reach = stats.t.ppf(0.975, 2) * np.sqrt(19 / 3 / 3)
    assert limits.lower[0] == pytest.approx(4 / 3 - reach)
    assert limits.upper[0] == pytest.approx(4 / 3 + reach)


@pytest.mark.parametrize(("ratio", "kurtosis"), [(np.sqrt(2 / np.pi), 3), (1 / np.sqrt(2), 6)])
def test_kurtosis_of_normal_and_laplace(ratio: float, kurtosis: float) -> None:
    """Mean absolute over root mean squared error is 0.798 for normal errors, 0.707 for Laplace's: kurtosis 3 and 6."""
    found = regression_intervals._kurtosis(np.array([10**9]), np.array([ratio * 10**9]), np.array([10**9]))  # noqa: SLF001
    assert found[0] == pytest.approx(kurtosis, rel=1e-3)


def test_undefined_with_fewer_than_two_rows() -> None:
    """One row says nothing of its spread, none nothing at all."""
    rows, one = np.array([0, 1]), np.array([0.0, 1.0])
    assert np.isnan(regression_intervals.mean_error(rows, one, one, LEVEL)).all()
    assert np.isnan(regression_intervals.mean_absolute_error(rows, one, one, LEVEL)).all()
    assert np.isnan(regression_intervals.root_mean_squared_error(rows, one, one, LEVEL)).all()
    assert np.isnan(regression_intervals.r2_score(ErrorSums(rows, one, one, one, one, one, one), LEVEL)).all()


def test_no_errors_at_all() -> None:
    """Perfect predictions: every error is 0 and so are its limits."""
    n, none = np.array([50]), np.array([0.0])
    np.testing.assert_array_equal(regression_intervals.mean_absolute_error(n, none, none, LEVEL), [[0], [0]])
    np.testing.assert_array_equal(regression_intervals.root_mean_squared_error(n, none, none, LEVEL), [[0], [0]])
