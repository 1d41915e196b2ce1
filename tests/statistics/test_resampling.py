"""The bootstrap over cells."""

import time

import numpy as np
import pytest
from scipy import stats

from evaljob.statistics import confusion
from evaljob.statistics.resampling import bootstrap_interval, resample
from tests.statistics.coverage import LEVEL, covered


@pytest.mark.parametrize("count", [0, 1, 5, 63, 64, 100, 1000, 10**6])
def test_draws_are_poisson(count: int) -> None:
    """20,000 draws of a cell: their mean is the count, and their distribution passes a test at one in a million."""
    drawn = resample([count], [17], 20_000, seed=1)[0]
    assert drawn.mean() == pytest.approx(count, abs=5 * np.sqrt((count + 1e-12) / 20_000) + 1e-12)
    if count:
        jittered = drawn + np.random.default_rng(2).random(len(drawn))
        whole = np.floor(jittered)
        reached = stats.poisson.cdf(whole - 1, count) + (jittered - whole) * stats.poisson.pmf(whole, count)
        assert stats.kstest(reached, "uniform").pvalue > 1e-6


def test_draws_depend_on_the_key_alone() -> None:
    """Other cells and their order change nothing; another seed does; cells with other keys are independent."""
    counts, keys = np.array([3, 70, 8]), np.array([11, 12, -13])
    drawn = resample(counts, keys, 500, seed=5)
    np.testing.assert_array_equal(resample(counts[::-1], keys[::-1], 500, seed=5)[::-1], drawn)
    np.testing.assert_array_equal(resample(counts[:1], keys[:1], 500, seed=5)[0], drawn[0])
    assert (resample(counts, keys, 500, seed=6) != drawn).any()
    correlation = np.corrcoef(resample([50] * 100, np.arange(100), 2000, seed=1))
    assert np.abs(correlation - np.eye(100)).max() < 0.15


def test_a_thousand_series_are_quick() -> None:
    """200 resamples of 1,000 series of four cells, and their correlations, within a second on a slow machine."""
    counts = np.random.default_rng(1).poisson(50, 4000)
    start = time.process_time()
    drawn = resample(counts, np.arange(4000), 200, seed=1).reshape(1000, 2, 2, 200)
    assert confusion.matthews_correlation(drawn).shape == (1000, 200)
    assert time.process_time() - start < 1


def test_interval_by_hand() -> None:
    """A value in the middle of the replicates 1..1000 leaves no bias: the limits are the 2.5% and 97.5% points."""
    limits = bootstrap_interval(np.arange(1, 1001, dtype=np.float64)[None], np.array([500.5]), 0.95)
    assert (limits.lower[0], limits.upper[0]) == pytest.approx((25, 975), abs=1.5)


def test_undefined_replicates_are_left_out() -> None:
    """Some undefined replicates leave the interval of the others, an undefined value leaves none."""
    replicates = np.append(np.arange(1.0, 1001.0), np.full(200, np.nan))[None]
    assert bootstrap_interval(replicates, np.array([500.5]), 0.95).upper[0] == pytest.approx(975, abs=1.5)
    assert np.isnan(bootstrap_interval(replicates, np.array([np.nan]), 0.95)).all()


def test_bootstrap_covers() -> None:
    """The ratio of two counts in 500 samples of 300 rows, 400 replicates each."""
    counts = np.random.default_rng(3).multinomial(300, [0.3, 0.2, 0.5], size=500)
    drawn = resample(counts.ravel(), np.arange(1500), 400, seed=9).reshape(500, 3, 400)
    value = counts[:, 0] / counts[:, 1]
    limits = bootstrap_interval(drawn[:, 0] / drawn[:, 1], value, LEVEL)
    assert covered(limits, 1.5, value) == pytest.approx(0.95, abs=0.03)
