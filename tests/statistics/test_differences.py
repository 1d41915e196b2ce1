"""Differences and gaps: published figures, scipy, simulation."""

import numpy as np
import pytest
from scipy.stats import norm, studentized_range

from evaljob.statistics.differences import difference_interval, p_value, significant
from evaljob.statistics.gaps import largest_gap, range_quantile, smallest_ratio
from evaljob.statistics.intervals import Interval, proportion, wilson
from tests.statistics.coverage import LEVEL


@pytest.mark.parametrize(
    ("one", "other", "lower", "upper"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 20), 0.6791, 1.0),
    ],
)
def test_newcombes_table(one: tuple[int, int], other: tuple[int, int], lower: float, upper: float) -> None:
    """Newcombe (1998), Statistics in Medicine 17, table II, method 10."""
    values = [np.array([k / n]) for k, n in (one, other)]
    limits = [wilson(np.array([k]), np.array([n]), LEVEL) for k, n in (one, other)]
    found = difference_interval(values[0], limits[0], values[1], limits[1])
    assert (found.lower[0], found.upper[0]) == pytest.approx((lower, upper), abs=1e-4)


def test_a_known_reference_has_no_width() -> None:
    """0.9 [0.8, 0.95] against 0.85 is 0.05 [-0.05, 0.1]."""
    exact = np.array([0.85])
    found = difference_interval(
        np.array([0.9]), Interval(np.array([0.8]), np.array([0.95])), exact, Interval(exact, exact)
    )
    assert (found.lower[0], found.upper[0]) == pytest.approx((-0.05, 0.1))


def test_p_value_by_hand() -> None:
    """A difference of 1.96 standard errors has p = 0.05, one of none 1; with no spread at all it is 0."""
    difference = np.array([1.96, -1.96, 0.0, 0.5, np.nan])
    width = np.array([1.959964, 1.959964, 1, 0, 1])
    p = p_value(difference, Interval(difference - width, difference + width), LEVEL)
    assert p == pytest.approx([2 * norm.sf(1.96), 2 * norm.sf(1.96), 1, 0, np.nan], nan_ok=True)


def test_p_value_agrees_with_the_interval() -> None:
    """Below 5% exactly where the interval of 95% leaves 0 out, and right on equal proportions: 4 to 6%."""
    chance = np.random.default_rng(2)
    k = chance.binomial(200, 0.9, size=(2, 20_000))
    value, limits = k / 200, [proportion(hit, 200, LEVEL) for hit in k]
    found = difference_interval(value[0], limits[0], value[1], limits[1])
    p = p_value(value[0] - value[1], found, LEVEL)
    assert ((p < 0.05) == ((found.lower > 0) | (found.upper < 0))).all()
    assert 0.04 < (p < 0.05).mean() < 0.06


def test_benjamini_and_hochbergs_example() -> None:
    """Their 15 p-values of section 3.2: of the family the four smallest are significant at 5%; another has its own."""
    p = np.array([
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590,
        1.0,
    ])  # fmt: skip
    family = np.zeros(17, dtype="int64")
    family[15:] = 1
    found = significant(np.append(p, [0.04, np.nan]), family, 0.05)
    assert found == pytest.approx([1] * 4 + [0] * 11 + [1, np.nan], nan_ok=True)


@pytest.mark.parametrize("groups", [2, 3, 10, 50])
def test_range_quantile_as_scipy(groups: int) -> None:
    """The studentized range with so many degrees of freedom that the variance is known."""
    assert range_quantile(groups, LEVEL) == pytest.approx(studentized_range.ppf(LEVEL, groups, np.inf), abs=1e-4)


def test_gap_of_two_groups_is_their_difference() -> None:
    """56 of 70 against 48 of 80: 0.8 - 0.6 and Newcombe's limits; as a ratio 0.75."""
    value, lower, upper = largest_gap(np.array([48, 56]), np.array([80, 70]), LEVEL)
    assert (value, lower, upper) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    value, lower, upper = smallest_ratio(np.array([48, 56]), np.array([80, 70]), LEVEL)
    assert value == pytest.approx(0.75)
    assert 0.58 < lower < value < upper < 1


def test_degenerate_groups() -> None:
    """One group has no gap; a proportion of 0 has a ratio of 0 and a limit above it; nothing but 0 has no ratio."""
    assert np.isnan(largest_gap(np.array([1]), np.array([2]), LEVEL)).all()
    value, lower, upper = smallest_ratio(np.array([0, 50]), np.array([100, 100]), LEVEL)
    assert (value, lower) == (0, 0)
    assert 0 < upper < 0.2
    assert np.isnan(smallest_ratio(np.array([0, 0]), np.array([9, 9]), LEVEL)).all()
    assert largest_gap(np.array([0, 0]), np.array([9, 9]), LEVEL)[:2] == (0, 0)


@pytest.mark.parametrize("p", [(0.8, 0.8, 0.8, 0.8, 0.8, 0.8), (0.9, 0.85, 0.7), (0.02, 0.05, 0.03, 0.02)])
def test_limits_of_the_extreme_pair_hold(p: tuple[float, ...]) -> None:
    """500 samples of groups of 60 to 300: the limits hold the true gap and ratio in 95%, also where there is none."""
    chance = np.random.default_rng(3)
    n = np.linspace(60, 300, len(p)).astype(int)
    truth = max(p) - min(p), min(p) / max(p)
    held = []
    for _ in range(500):
        k = chance.binomial(n, p)
        found = largest_gap(k, n, LEVEL), smallest_ratio(k, n, LEVEL)
        held.append([low - 1e-9 <= true <= high + 1e-9 for true, (_, low, high) in zip(truth, found, strict=True)])
    assert (np.mean(held, axis=0) > 0.93).all()


def test_chance_alone_is_rarely_significant() -> None:
    """1,000 times twenty equal slices: in about 5% of them some slice is said to have changed, and not in 64%."""
    chance, alarms = np.random.default_rng(5), 0
    for _ in range(1000):
        k = chance.binomial(200, 0.8, size=(2, 20))
        one, other = (proportion(hits, 200, LEVEL) for hits in k)
        limits = difference_interval(k[0] / 200, one, k[1] / 200, other)
        p = p_value((k[0] - k[1]) / 200, limits, LEVEL)
        alarms += int(significant(p, np.zeros(20, dtype="int64"), 0.05).any())
    assert 0.02 < alarms / 1000 < 0.07
