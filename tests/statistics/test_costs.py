"""What predictions cost, and would cost at other thresholds."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn import metrics

from evaljob.statistics import confusion, costs
from evaljob.statistics.bins import SCORE_BINS
from tests.statistics.coverage import LEVEL, covered
from tests.statistics.logs import Cells, cells


class Prices(NamedTuple):
    """What one row of each outcome costs."""

    tp: float
    fp: float
    fn: float
    tn: float


FRAUD = Prices(tp=-15.0, fp=4.0, fn=120.0, tn=0.0)


def curve(counted: Cells, prices: Prices) -> NDArray[np.float64]:
    """What each threshold costs."""
    called = counted.positives * prices.tp + counted.negatives * prices.fp
    return costs.curve(called, counted.positives * prices.fn + counted.negatives * prices.tn)


def test_cost_by_hand() -> None:
    """2 frauds caught, 5 false alarms, 1 missed, 92 left alone: -30 + 20 + 120 = 110, 1.10 a row."""
    counts = np.array([[2, 5, 1, 92]])
    assert costs.cost(counts, FRAUD)[0] == 110
    assert costs.cost_per_row(counts, FRAUD)[0] == pytest.approx(1.1)


@pytest.mark.parametrize("n", [30, 100, 1000])
@pytest.mark.parametrize("chance", [(0.3, 0.1, 0.05, 0.55), (0.09, 0.01, 0.01, 0.89), (0.45, 0.05, 0.05, 0.45)])
def test_interval_of_cost_covers(chance: tuple[float, ...], n: int) -> None:
    """5,000 samples: an interval of 95% holds the true cost of a row, also where a rare outcome costs most."""
    counts = np.random.default_rng(n).multinomial(n, chance, size=5000)
    limits, value = costs.cost_per_row_interval(counts, FRAUD, LEVEL), costs.cost_per_row(counts, FRAUD)
    assert covered(limits, float(np.dot(chance, FRAUD)), value) > 0.90 + 0.03 * (n > 30)


def test_interval_of_one_price_is_a_point() -> None:
    """Where every outcome costs the same there is nothing to be unsure of."""
    limits = costs.cost_per_row_interval(np.array([[3, 4], [0, 0]]), [2.0, 2.0], LEVEL)
    assert (limits.lower[0], limits.upper[0]) == (2, 2)
    assert np.isnan(limits.lower[1])


def test_outcomes_at_thresholds_by_hand() -> None:
    """Scores 0.2 (negative), 0.5 (positive), 0.5 (negative), 0.9 (positive)."""
    counted = cells([0, 1, 0, 1], [0.2, 0.5, 0.5, 0.9])
    outcomes = costs.outcomes_at(counted.positives, counted.negatives)
    at = {round(t, 2): i for i, t in enumerate(costs.thresholds())}
    assert [count[0, at[0.5]] for count in outcomes] == [2, 1, 0, 1]
    assert [count[0, at[0.51]] for count in outcomes] == [1, 0, 1, 2]
    assert [count[0, 0] for count in outcomes] == [2, 2, 0, 0]
    assert [count[0, SCORE_BINS] for count in outcomes] == [0, 0, 2, 2]


@settings(max_examples=25)
@given(rows=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10**9)), min_size=1, max_size=50))
def test_cheapest_threshold_is_cheapest(rows: list[tuple[int, int]]) -> None:
    """No threshold on the grid costs less, and the one found costs what it says."""
    y, score = np.array(rows).T * np.array([[1], [1e-9]])
    counted = cells(y, score)
    found = costs.cheapest(curve(counted, FRAUD), np.array([len(y)]))

    def cost(threshold: float) -> float:
        said = np.round(score, 9) >= threshold
        tp, fp, fn, tn = (
            np.sum(said & (y == 1)),
            np.sum(said & (y == 0)),
            np.sum(~said & (y == 1)),
            np.sum(~said & (y == 0)),
        )
        return float(np.dot([tp, fp, fn, tn], FRAUD))

    assert found.cost[0] * len(y) == pytest.approx(min(cost(threshold) for threshold in costs.thresholds()))
    assert found.cost[0] * len(y) == pytest.approx(cost(found.threshold[0]))


def test_middle_of_equally_cheap_thresholds() -> None:
    """One negative at 0.2 and one positive at 0.8: anything from 0.21 to 0.8 is free of errors, the middle is 0.5."""
    counted = cells([0, 1], [0.2, 0.8])
    found = costs.cheapest(curve(counted, Prices(0, 1, 1, 0)), np.array([2]))
    assert found.threshold[0] == pytest.approx(0.5, abs=0.01)
    assert found.cost[0] == 0


def test_curves_are_scikit_learns() -> None:
    """Precision and recall at every threshold on scores of two digits."""
    rng = np.random.default_rng(4)
    score = np.round(rng.beta(2, 2, 500), 2).clip(0.01, 0.98)
    y = rng.binomial(1, score)
    counted = cells(y, score)
    outcomes = costs.outcomes_at(counted.positives, counted.negatives)
    precision, recall, thresholds = metrics.precision_recall_curve(y, score)
    place = np.searchsorted(costs.thresholds(), thresholds - 1e-12)
    np.testing.assert_allclose(confusion.precision(outcomes)[0, place], precision[:-1])
    np.testing.assert_allclose(confusion.recall(outcomes)[0, place], recall[:-1])


def test_nothing_is_cheapest_without_rows() -> None:
    """No rows, no threshold."""
    nothing = np.zeros((1, SCORE_BINS), dtype=np.int64)
    assert np.isnan(costs.cheapest(costs.curve(nothing, nothing), np.array([0]))).all()


def test_curve_is_what_the_outcomes_cost() -> None:
    """Outcomes at each threshold times their prices."""
    rng = np.random.default_rng(2)
    counted = cells(rng.binomial(1, 0.3, (3, 80)), rng.random((3, 80)))
    outcomes = costs.outcomes_at(counted.positives, counted.negatives)
    expected = sum(count * price for count, price in zip(outcomes, FRAUD, strict=True))
    np.testing.assert_allclose(curve(counted, FRAUD), expected, atol=1e-9)


def test_costs_that_differ_in_their_last_digits_are_equal() -> None:
    """0.1 + 0.2 and 0.3 are one price: of the three thresholds that cost it the middle one is taken."""
    cost = np.array([[0.5, 0.1 + 0.2, 0.3, 0.3 + 1e-16, 0.7]])
    found = costs.cheapest(np.pad(cost, ((0, 0), (0, SCORE_BINS - 4)), constant_values=1.0), np.array([1]))
    assert found.threshold[0] == costs.thresholds()[2]
