"""The bins that cells are counted in."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaljob.statistics.binning import (
    duration_bucket_of,
    duration_bucket_value,
    score_bin_of,
    score_edges,
    uniform_bin_of,
)
from evaljob.statistics.bins import DURATION_ZERO, SCORE_BINS, SCORE_UNIT


def test_edges_are_integers_that_a_person_can_list() -> None:
    """Ten bins a decade from 1e-6 to 1e-2, then bins 0.01 wide, and the upper half mirrors the lower."""
    edges = score_edges()
    assert edges.dtype == np.int64
    assert len(edges) == SCORE_BINS + 1
    assert list(edges[:4]) == [0, 1000, 1259, 1585]
    assert list(edges[40:44]) == [7_943_282, 10_000_000, 20_000_000, 30_000_000]
    assert np.array_equal(edges + edges[::-1], np.full(SCORE_BINS + 1, SCORE_UNIT))
    assert (np.diff(edges) > 0).all()


def test_edges_cannot_be_changed_by_a_caller() -> None:
    """The edges are shared, so nobody may write to them."""
    with pytest.raises(ValueError, match="read-only"):
        score_edges()[0] = 1


def test_bins_are_closed_below_and_one_is_in_the_last() -> None:
    """0 is in the first bin, an edge in the bin above it, 1.0 in the last one."""
    assert list(score_bin_of([0, 999, 1000, SCORE_UNIT - 1, SCORE_UNIT])) == [0, 0, 1, SCORE_BINS - 1, SCORE_BINS - 1]


@pytest.mark.parametrize("bins", [2, 5, 10, 20, 50, 100])
def test_uniform_bins_that_divide_a_hundred_need_no_mean_score(bins: int) -> None:
    """A fine bin lies whole in the coarse bin of its lower edge, whatever its mean score says."""
    expected = score_edges()[:-1] * bins // SCORE_UNIT
    for mean in (np.full((1, SCORE_BINS), np.nan), np.zeros((1, SCORE_BINS)), np.ones((1, SCORE_BINS))):
        assert np.array_equal(uniform_bin_of(bins, mean)[0], expected)


def test_fine_bin_cut_by_a_coarse_edge_goes_where_its_mean_score_lies() -> None:
    """A third lies inside [0.33, 0.34): of three bins, a mean of 0.331 is in the first and 0.339 in the second."""
    cut = int(score_bin_of(335_000_000))
    low, high = np.full((1, SCORE_BINS), 0.331), np.full((1, SCORE_BINS), 0.339)
    assert uniform_bin_of(3, low)[0, cut] == 0
    assert uniform_bin_of(3, high)[0, cut] == 1


@given(microseconds=st.integers(min_value=1, max_value=10**16))
def test_duration_is_within_one_percent_of_its_bucket(microseconds: int) -> None:
    """The value of a bucket is at most 1% off every duration that falls into it."""
    value = duration_bucket_value(duration_bucket_of(microseconds)) * 1e6
    assert abs(value - microseconds) <= 0.01 * microseconds * (1 + 1e-9)


def test_zero_and_negative_durations_are_zero() -> None:
    """A label before its prediction has lag 0."""
    assert list(duration_bucket_of([-5, 0])) == [DURATION_ZERO, DURATION_ZERO]
    assert duration_bucket_value(DURATION_ZERO) == 0


def test_bucket_value_by_hand() -> None:
    """Bucket 0 is [1, 1.0202) microseconds and stands for 2 * 1.0202 / 2.0202 = 1.01 of them."""
    assert float(duration_bucket_value(0)) == pytest.approx(1.01e-6, rel=1e-12)
    assert int(duration_bucket_of(1_000_000)) == math.floor(math.log(1e6) / math.log(1.01 / 0.99))
