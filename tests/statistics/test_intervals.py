"""Intervals of proportions and of means of proportions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from evaljob.statistics.intervals import (
    Interval,
    binomial_quantile,
    bounded_score,
    mean_of_proportions,
    normal_quantile,
    proportion,
    wilson,
)
from tests.statistics.coverage import LEVEL, covered


def exact_coverage(limits: Interval, n: int, p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The probability that an interval of 0..n successes holds p: summed, not simulated."""
    chance = stats.binom.pmf(np.arange(n + 1), n, p[:, None])
    return np.asarray((chance * ((limits.lower <= p[:, None]) & (p[:, None] <= limits.upper))).sum(axis=1))


@pytest.mark.parametrize(
    ("k", "n", "lower", "upper"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_published(k: int, n: int, lower: float, upper: float) -> None:
    """The four examples of Newcombe (1998), Statistics in Medicine 17, table I, method 3."""
    assert wilson(k, n, 0.95).lower == pytest.approx(lower, abs=5e-5)
    assert wilson(k, n, 0.95).upper == pytest.approx(upper, abs=5e-5)


def test_wilson_by_hand() -> None:
    """8 of 10 with z^2 = 3.8415: (8 + 1.9207 -+ 1.96 sqrt(8 * 2 / 10 + 0.9604)) / 13.8415."""
    reach = 1.959964 * np.sqrt(1.6 + 0.960365)
    assert wilson(8, 10, 0.95).lower == pytest.approx((9.920729 - reach) / 13.841459, abs=1e-6)
    assert wilson(8, 10, 0.95).upper == pytest.approx((9.920729 + reach) / 13.841459, abs=1e-6)


@given(n=st.integers(1, 10**9), data=st.data(), confidence=st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_wilson_is_scipys(n: int, data: st.DataObject, confidence: float) -> None:
    """Whatever the counts, and exactly 0 and 1 at the ends."""
    k = data.draw(st.integers(0, n))
    theirs = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    ours = wilson(k, n, confidence)
    assert ours.lower == pytest.approx(theirs.low, abs=1e-9)
    assert ours.upper == pytest.approx(theirs.high, abs=1e-9)
    assert k != 0 or ours.lower == 0
    assert k != n or ours.upper == 1


@pytest.mark.parametrize("n", [30, 31, 50, 100, 1000])
def test_proportion_covers_also_near_zero_and_one(n: int) -> None:
    """Exact coverage at 900 true values from 0.00001 to 0.99999: never below 91%, where Wilson's falls to 84%."""
    tail = np.geomspace(1e-5, 0.01, 300)
    p = np.concatenate([tail, np.linspace(0.01, 0.99, 300), 1 - tail])
    coverage = exact_coverage(proportion(np.arange(n + 1), n, LEVEL), n, p)
    assert coverage.min() > 0.91
    assert coverage.mean() > 0.95
    assert exact_coverage(wilson(np.arange(n + 1), n, LEVEL), n, p).min() < 0.85


def test_proportion_by_hand() -> None:
    """1 of 30: the chi-squared quantile is that of an exponential variable, so the lower limit is -ln(0.95) / 30."""
    assert proportion(1, 30, 0.95).lower == pytest.approx(-np.log(0.95) / 30)
    assert proportion(29, 30, 0.95).upper == pytest.approx(1 + np.log(0.95) / 30)
    assert proportion(10, 30, 0.95) == wilson(10, 30, 0.95)


@given(k=st.integers(0, 60), n=st.integers(0, 60))
def test_proportion_mirrors_and_holds_its_value(k: int, n: int) -> None:
    """Swapping success and failure mirrors the interval; it holds k / n and lies in [0, 1]."""
    limits, mirrored = proportion(min(k, n), n, 0.95), proportion(n - min(k, n), n, 0.95)
    if n == 0:
        assert np.isnan(limits).all()
    else:
        assert 0 <= limits.lower <= min(k, n) / n <= limits.upper <= 1
        assert limits.lower == pytest.approx(1 - mirrored.upper, abs=1e-12)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.1])
def test_confidence_is_a_probability(confidence: float) -> None:
    """95 is refused and told how to write it."""
    with pytest.raises(ValueError, match=r"such as 0\.95"):
        normal_quantile(confidence)


def test_mean_of_proportions_by_hand() -> None:
    """Two values 0.8 and 0.6, 0.1 and 0.2 above their lower limits: the mean is sqrt(0.05^2 + 0.1^2) above its own."""
    values = np.array([[0.8, 0.6, np.nan]])
    limits = Interval(np.array([[0.7, 0.4, np.nan]]), np.array([[0.9, 0.8, np.nan]]))
    mean = mean_of_proportions(values, limits)
    assert mean.lower[0] == pytest.approx(0.7 - np.hypot(0.05, 0.1))
    assert mean.upper[0] == pytest.approx(0.7 + np.hypot(0.05, 0.1))
    together = mean_of_proportions(values, limits, np.ones((1, 3, 3)))
    assert together.lower[0] == pytest.approx(0.7 - 0.15)


def test_bounded_score_of_a_proportion_is_its_interval() -> None:
    """A proportion is the score whose variance is p (1 - p) / n: with nothing added, its own interval comes back."""
    p, n = np.array([0.2, 0.5, 0.9]), np.array([40, 100, 300])
    limits = bounded_score(p, p, p * (1 - p) / n, n, 0.95)
    np.testing.assert_allclose(limits, proportion(p * n, n, 0.95))


def test_mean_of_proportions_covers() -> None:
    """Balanced accuracy of 15 and 15 rows with recalls 0.9 and 0.6, ten thousand times."""
    hits = np.random.default_rng(1).binomial(15, [0.9, 0.6], size=(10_000, 2))
    limits = mean_of_proportions(hits / 15, proportion(hits, 15, LEVEL))
    assert 0.93 < covered(limits, 0.75, hits.mean(axis=1) / 15) < 0.98


@pytest.mark.parametrize("probability", [0.005, 0.025, 0.5, 0.975])
def test_binomial_quantiles_are_scipys(probability: float) -> None:
    """For few and for many trials, for chances near 0 and 1, and where nothing was tried."""
    n, p = np.array([0, 1, 5, 30, 1000, 10**6])[:, None], np.array([0.0, 1e-4, 0.03, 0.5, 0.98, 1.0])
    theirs = np.maximum(stats.binom.ppf(probability, n, p), 0)
    np.testing.assert_array_equal(binomial_quantile(probability, n, p), theirs)
