"""Areas under curves from binned scores."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import metrics

from evaljob.statistics import ranking
from tests.statistics.logs import cells

N = 1_000_000


Log: TypeAlias = tuple[NDArray[np.int64], NDArray[np.float64]]


def calibrated(rng: np.random.Generator, center: float, spread: float) -> Log:
    """Scores whose logit is normal, and labels that they are right about."""
    score = expit(rng.normal(center, spread, N))
    return rng.binomial(1, score), score


def separated(rng: np.random.Generator, base_rate: float, slope: float, shift: float) -> Log:
    """Positives 2.5 deviations above the negatives, and a score that need not be a probability of anything."""
    y = rng.binomial(1, base_rate, N)
    return y, expit(slope * rng.normal(2.5 * y) + shift)


def rounded(rng: np.random.Generator) -> Log:
    """Scores of two digits, many rows to each."""
    score = np.round(expit(rng.normal(-1, 1.5, N)), 2)
    return rng.binomial(1, score), score


def crowded(rng: np.random.Generator) -> Log:
    """Scores between 0.4 and 0.6."""
    y, score = separated(rng, 0.3, 1, 0)
    return y, 0.4 + 0.2 * score


LOGS: dict[str, Callable[[np.random.Generator], Log]] = {
    "even": lambda rng: calibrated(rng, 0, 1.5),
    "uneven": lambda rng: calibrated(rng, -4, 1.5),
    "rare": lambda rng: calibrated(rng, -8, 1.5),
    "rare and hard": lambda rng: calibrated(rng, -7.5, 0.5),
    "base rate 0.1%, calibrated": lambda rng: separated(rng, 0.001, 2.5, -10),
    "base rate 0.1%, scores too high": lambda rng: separated(rng, 0.001, 1, 0),
    "too extreme": lambda rng: separated(rng, 0.3, 4, -5),
    "two digits": rounded,
    "crowded": crowded,
}


@pytest.mark.parametrize("kind", LOGS)
def test_areas_are_within_a_thousandth_on_a_million_rows(kind: str) -> None:
    """Average precision and ROC AUC from 180 bins against scikit-learn on the single scores."""
    y, score = LOGS[kind](np.random.default_rng(11))
    counted = cells(y, score)
    auc = ranking.roc_auc(counted.positives, counted.negatives, counted.positive_score, counted.negative_score)
    precision = ranking.average_precision(counted.positives, counted.negatives, *counted.sums)
    assert auc[0] == pytest.approx(metrics.roc_auc_score(y, score), abs=0.001)
    assert precision[0] == pytest.approx(metrics.average_precision_score(y, score), abs=0.001)


def test_areas_by_hand() -> None:
    """Bins from low to high hold -, +, ++- and -: six rows, three positives, three negatives."""
    positives, negatives = np.array([[0, 1, 2, 0]]), np.array([[1, 0, 1, 1]])
    # the first + beats 1 of 3 negatives, each of the next two beats 1 and ties with 1
    assert ranking.roc_auc(positives, negatives)[0] == pytest.approx((1 + 1.5 + 1.5) / 9)
    # two of three positives have precision 2/4, one has 3/5 (ties count as said together)
    assert ranking.average_precision(positives, negatives)[0] == pytest.approx((2 * 2 / 4 + 3 / 5) / 3)


@settings(max_examples=30)
@given(rows=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 98)), min_size=2, max_size=60))
def test_scores_of_two_digits_are_exact(rows: list[tuple[int, int]]) -> None:
    """A bin that holds one score is a tie, and ties are treated as scikit-learn treats them."""
    y, cents = np.array(rows).T
    counted = cells(y, cents / 100)
    if 0 < y.sum() < len(y):
        auc = ranking.roc_auc(counted.positives, counted.negatives, counted.positive_score, counted.negative_score)
        assert auc[0] == pytest.approx(metrics.roc_auc_score(y, cents), abs=1e-9)
    if y.sum():
        precision = ranking.average_precision(counted.positives, counted.negatives, *counted.sums)
        assert precision[0] == pytest.approx(metrics.average_precision_score(y, cents), abs=1e-9)


@given(rows=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10**9)), min_size=2, max_size=60))
def test_areas_lie_between_zero_and_one(rows: list[tuple[int, int]]) -> None:
    """Whatever the scores, no estimate leaves its range, and it is undefined without the rows it needs."""
    y, grid = np.array(rows).T
    counted = cells(y, grid / 1e9)
    auc = ranking.roc_auc(counted.positives, counted.negatives, counted.positive_score, counted.negative_score)
    precision = ranking.average_precision(counted.positives, counted.negatives, *counted.sums)
    assert np.isnan(auc[0]) == (y.sum() in (0, len(y)))
    assert np.isnan(precision[0]) == (y.sum() == 0)
    assert np.isnan(auc[0]) or -1e-12 <= auc[0] <= 1 + 1e-12
    assert np.isnan(precision[0]) or 0 < precision[0] <= 1 + 1e-12


def test_negated_scores_mirror_the_area() -> None:
    """Turning the scores around turns the ROC curve around: the areas add up to 1."""
    rng = np.random.default_rng(2)
    score = rng.beta(2, 3, 5000)
    y = rng.binomial(1, score)
    there, back = cells(y, score), cells(y, 1 - score)
    area = [ranking.roc_auc(c.positives, c.negatives, c.positive_score, c.negative_score)[0] for c in (there, back)]
    assert sum(area) == pytest.approx(1, abs=1e-9)


def test_series_do_not_touch_each_other() -> None:
    """Several series at once give what each gives alone."""
    rng = np.random.default_rng(4)
    single = [cells(rng.binomial(1, 0.3, 200), rng.random(200)) for _ in range(5)]
    names = ("positives", "negatives", "positive_score", "negative_score", "squared_score")
    together = [np.concatenate([getattr(c, name) for c in single]) for name in names]
    alone = [ranking.average_precision(*(getattr(c, name) for name in names))[0] for c in single]
    np.testing.assert_array_equal(ranking.average_precision(*together), alone)
