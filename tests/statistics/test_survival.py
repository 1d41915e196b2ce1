"""How labels arrive, against scipy, by hand and by simulation."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf

from evaljob.statistics.survival import arrived, arrived_interval, expected_coverage, kaplan_meier
from tests.statistics.coverage import LEVEL

NOBODY = np.array([]), np.array([], dtype="int64")
seconds = st.lists(st.integers(0, 20), max_size=30)


def test_by_hand() -> None:
    """Labels after 1, 2 and 4 s; one prediction waits since 3 s, one since 5 s.

    At 1 s one of 5 gets its label, at 2 s one of the 4 others, at 4 s one of the 2 that are left: still waiting are
    4/5, 3/5 and 3/10, and Greenwood's sums are 1/20, 1/20 + 1/12 and 1/20 + 1/12 + 1/2.
    """
    curve = kaplan_meier([2, 1, 4], [1, 1, 1], [3, 5], [1, 1])
    assert curve.times.tolist() == [1, 2, 4]
    assert curve.waiting == pytest.approx([0.8, 0.6, 0.3])
    assert curve.hazard == pytest.approx([1 / 20, 1 / 20 + 1 / 12, 1 / 20 + 1 / 12 + 1 / 2])
    assert [arrived(curve, age) for age in (0.5, 1, 3.9, 5)] == pytest.approx([0, 0.2, 0.4, 0.7])
    assert np.isnan(arrived(curve, 5.1))
    assert np.isnan(arrived_interval(curve, 0.5, LEVEL)).all()


@given(labeled=seconds, waiting=seconds)
def test_as_scipy(labeled: list[int], waiting: list[int]) -> None:
    """Curve and limits for any lags and ages, ties between and among them included."""
    if not labeled:
        return
    curve = kaplan_meier(labeled, np.ones(len(labeled)), waiting, np.ones(len(waiting)))
    reference = ecdf(CensoredData(uncensored=labeled, right=waiting)).sf
    here, _ = curve.at(reference.quantiles)
    assert here == pytest.approx(reference.probabilities, abs=1e-12)
    with warnings.catch_warnings(action="ignore"):  # of limits that are undefined, as ours are
        limits = reference.confidence_interval(LEVEL, method="log-log")
    for age in set(labeled):
        lower, upper = arrived_interval(curve, age, LEVEL)
        if not np.isnan(lower):
            assert 1 - lower == pytest.approx(float(limits.high.evaluate(age)))
            assert 1 - upper == pytest.approx(float(limits.low.evaluate(age)))


@given(labeled=seconds, waiting=seconds, parts=st.integers(1, 5))
def test_counts_are_rows(labeled: list[int], waiting: list[int], parts: int) -> None:
    """A count of n is n rows, in any order, and zero is none."""
    rows = kaplan_meier(labeled * parts, np.ones(len(labeled) * parts), waiting * parts, np.ones(len(waiting) * parts))
    counts = kaplan_meier(
        [*labeled[::-1], 99], [*[parts] * len(labeled), 0], waiting[::-1], np.full(len(waiting), parts)
    )
    assert counts.times.tolist() == rows.times.tolist()
    assert counts.waiting == pytest.approx(rows.waiting)
    assert counts.last == pytest.approx(rows.last, nan_ok=True)


@given(labeled=seconds, waiting=seconds)
def test_the_curve_is_self_consistent(labeled: list[int], waiting: list[int]) -> None:
    """What the unlabeled may still expect, with what is labeled, is what the curve itself says: Efron (1967)."""
    if not labeled and not waiting:
        return
    age, unlabeled = np.unique(np.array(waiting, dtype="float64"), return_counts=True)
    curve = kaplan_meier(labeled, np.ones(len(labeled)), age, unlabeled)
    value, lower, upper = expected_coverage(curve, len(labeled), age, unlabeled, 20, LEVEL)
    assert value == pytest.approx(1 - float(curve.at(20)[0]))
    assert len(labeled) / (len(labeled) + len(waiting)) - 1e-9 <= lower <= value + 1e-9
    assert value - 1e-9 <= upper <= 1 + 1e-9


def test_expected_coverage_by_hand() -> None:
    """Of ten mature predictions four got their label after 1 h, four after 3 h, two never.

    Of a young window 3 are labeled and 5 wait since 2 h: of those that wait at 2 h, 4 in 6 get one. 3 + 5 x 4/6 in 8.
    With a bound of 2 h on the lag, nothing more is to come.
    """
    curve = kaplan_meier([1, 3], [4, 4], [9], [2])
    value, lower, upper = expected_coverage(curve, 3, np.array([2.0]), np.array([5]), 9, LEVEL)
    assert value == pytest.approx((3 + 5 * 4 / 6) / 8)
    assert 3 / 8 < lower < value < upper <= 1
    assert expected_coverage(curve, 3, np.array([2.0]), np.array([5]), 2, LEVEL) == (3 / 8, 3 / 8, 3 / 8)


def test_nothing_is_undefined() -> None:
    """No predictions: no curve, no expectation."""
    curve = kaplan_meier(*NOBODY, *NOBODY)
    assert np.isnan(arrived(curve, 0))
    assert np.isnan(expected_coverage(curve, 0, *NOBODY, 9, LEVEL)).all()


def test_limits_hold_the_coverage_that_comes_about() -> None:
    """1,000 times 200 predictions aged 0 to 4 h, and 200 mature ones: 80% get a label, after 2 h on average."""
    chance = np.random.default_rng(4)
    held = []
    for _ in range(1000):
        lag = np.where(chance.random(400) < 0.8, chance.exponential(2.0, 400), np.inf)
        age = np.concatenate([chance.uniform(0, 4, 200), chance.uniform(12, 16, 200)])
        came = lag <= age
        curve = kaplan_meier(lag[came], np.ones(came.sum()), age[~came], np.ones((~came).sum()))
        young = np.arange(400) < 200
        waiting = age[young & ~came]
        _, lower, upper = expected_coverage(curve, (young & came).sum(), waiting, np.ones(len(waiting)), 12, LEVEL)
        held.append(lower - 1e-9 <= (lag[young] <= 12).mean() <= upper + 1e-9)
    assert 0.94 <= np.mean(held) <= 0.995
