"""Quantiles of counted values, and their intervals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from evaljob.statistics.binning import duration_bucket_of, duration_bucket_value
from evaljob.statistics.quantiles import Counted
from tests.statistics.coverage import LEVEL, covered


def test_quantile_by_hand() -> None:
    """Ten values 1 1 1 2 2 2 2 2 3 9: half of them do not exceed 2, 95% is the tenth, none is the first."""
    found = Counted([0, 0, 0, 0], [9, 1, 3, 2], [1, 3, 1, 5], 1).quantile([0.0, 0.3, 0.31, 0.5, 0.95])
    assert found.tolist() == [[1.0, 1.0, 2.0, 2.0, 9.0]]


def test_quantile_of_nothing_is_undefined() -> None:
    """A series without counts has no quantile and no interval, also when there is no cell at all."""
    one, none = Counted([1], [5.0], [2], 3), Counted([], [], [], 2)
    assert np.isnan(one.quantile([0.5])[[0, 2]]).all()
    assert np.isnan(none.quantile([0.5])).all()
    assert np.isnan(none.interval([0.5], LEVEL)).all()
    assert one.total.tolist() == [0, 2, 0]


def test_quantile_rank_is_not_moved_by_rounding() -> None:
    """0.07 * 100 is 7.000000000000001 in floating point; the 7% quantile of 1..100 is 7 all the same."""
    counted = Counted(np.zeros(100), np.arange(1, 101), np.ones(100), 1)
    assert counted.quantile([0.07, 0.29, 0.57]).tolist() == [[7, 29, 57]]


@given(
    groups=st.lists(st.lists(st.integers(min_value=0, max_value=20), max_size=30), min_size=1, max_size=4),
    q=st.sampled_from([0.01, 0.25, 0.5, 0.9, 0.99, 1.0]),
)
def test_quantile_agrees_with_numpy(groups: list[list[int]], q: float) -> None:
    """The nearest rank is numpy's inverted_cdf, for every series apart from the others."""
    series = [i for i, values in enumerate(groups) for _ in values]
    flat = [value for values in groups for value in values]
    found = Counted(series, flat, np.ones(len(flat)), len(groups)).quantile([q])[:, 0]
    expected = [np.quantile(values, q, method="inverted_cdf") if values else np.nan for values in groups]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("n", "q"), [(30, 0.5), (100, 0.95), (1000, 0.99), (5000, 0.5)])
def test_interval_is_scipys(n: int, q: float) -> None:
    """Scipy's `quantile_test` finds the same two order statistics."""
    values = np.random.default_rng(n).lognormal(size=n)
    limits = Counted(np.zeros(n), values, np.ones(n), 1).interval([q], LEVEL)
    theirs = stats.quantile_test(values, p=q).confidence_interval(LEVEL)
    assert limits.lower[0, 0] == theirs.low
    assert limits.upper[0, 0] == theirs.high


def test_no_upper_limit_of_a_tail_with_few_values() -> None:
    """With 367 values the chance that all lie below the 99th percentile is 2.503%, with 368 it is 2.478%."""
    for n, defined in ((367, False), (368, True)):
        limits = Counted(np.zeros(n), np.arange(n), np.ones(n), 1).interval([0.99], LEVEL)
        assert np.isfinite(limits.upper[0, 0]) == defined
        assert np.isfinite(limits.lower[0, 0])


@pytest.mark.parametrize("n", [30, 100, 1000])
@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
def test_interval_covers(n: int, q: float) -> None:
    """3,000 samples, counted in buckets of 1%: an interval of 95% holds the quantile at least so often."""
    seconds = np.random.default_rng(n).lognormal(size=(3000, n))
    bucketed = duration_bucket_value(duration_bucket_of(np.round(seconds * 1e6)))
    counted = Counted(np.repeat(np.arange(3000), n), bucketed.ravel(), np.ones(seconds.size), 3000)
    limits = counted.interval([q], LEVEL)
    value = np.where(np.isnan(limits.upper[:, 0]) | np.isnan(limits.lower[:, 0]), np.nan, counted.quantile([q])[:, 0])
    if np.isnan(value).all():
        assert q**n > (1 - LEVEL) / 2
        return
    own = [np.where(np.isnan(value), np.nan, limit[:, 0]) for limit in limits]
    truth = float(duration_bucket_value(duration_bucket_of(np.exp(stats.norm.ppf(q)) * 1e6)))
    assert covered(type(limits)(*own), truth, value) > 0.94
