"""Intervals of scores of confusion matrices, and the variances they rest on."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from evaljob.statistics import confusion, confusion_intervals, confusion_variance
from evaljob.statistics.intervals import Interval
from tests.statistics.coverage import LEVEL, covered

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


def averaged(score: str, average: str) -> Callable[[Counts], Floats]:
    """A score averaged over classes, as a function of the matrix."""

    def mean(matrix: Counts) -> Floats:
        outcomes = confusion.one_vs_rest(matrix)
        per_class = getattr(confusion, score)(outcomes)
        return confusion.macro(per_class) if average == "macro" else confusion.weighted(per_class, outcomes)

    return mean


def of_outcomes(interval: Callable[..., Interval]) -> Callable[[Counts, float], Interval]:
    """An interval of outcomes, as a function of the matrix."""
    return lambda matrix, confidence: interval(confusion.one_vs_rest(matrix), confidence)


SCORES: dict[str, tuple[Callable[[Counts], Floats], Callable[[Counts, float], Interval]]] = {
    "accuracy": (confusion.accuracy, confusion_intervals.accuracy),
    "balanced accuracy": (confusion.balanced_accuracy, confusion_intervals.balanced_accuracy),
    "correlation": (confusion.matthews_correlation, confusion_intervals.matthews_correlation),
    "kappa": (confusion.cohen_kappa, confusion_intervals.cohen_kappa),
    "macro precision": (averaged("precision", "macro"), of_outcomes(confusion_intervals.macro_precision)),
    "macro recall": (averaged("recall", "macro"), of_outcomes(confusion_intervals.macro_recall)),
    "macro specificity": (averaged("specificity", "macro"), of_outcomes(confusion_intervals.macro_specificity)),
    "macro f1": (averaged("f1", "macro"), confusion_intervals.macro_f1),
    "weighted precision": (averaged("precision", "weighted"), confusion_intervals.weighted_precision),
    "weighted recall": (averaged("recall", "weighted"), confusion_intervals.weighted_recall),
    "weighted f1": (averaged("f1", "weighted"), confusion_intervals.weighted_f1),
    "weighted specificity": (averaged("specificity", "weighted"), confusion_intervals.weighted_specificity),
}


def binary(prevalence: float, recall: float, specificity: float) -> Floats:
    """The probabilities of a binary confusion matrix."""
    negative, positive = 1 - prevalence, prevalence
    return np.array(
        [
            [negative * specificity, negative * (1 - specificity)],
            [positive * (1 - recall), positive * recall],
        ]
    )


def multiclass(share: list[float], error: float) -> Floats:
    """The probabilities when each class is missed equally often, in favour of any other."""
    k = len(share)
    row = np.where(np.eye(k) == 1, 1 - error, error / (k - 1))
    return np.asarray(row * np.array(share)[:, None])


SOURCES = {
    "even, no skill": binary(0.5, 0.5, 0.5),
    "even, fair": binary(0.5, 0.7, 0.8),
    "even, nearly perfect": binary(0.5, 0.98, 0.99),
    "uneven, good": binary(0.2, 0.9, 0.95),
    "uneven, shy": binary(0.2, 0.5, 0.99),
    "three classes, poor": multiclass([0.5, 0.3, 0.2], 0.5),
    "three classes, good": multiclass([0.5, 0.3, 0.2], 0.05),
    "three classes, nearly perfect": multiclass([0.4, 0.3, 0.3], 0.01),
}


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(("n", "least"), [(30, 0.90), (100, 0.91), (1000, 0.925)])
def test_intervals_cover(source: str, n: int, least: float) -> None:
    """3,000 samples of n rows: each of twelve intervals of 95% holds the truth nearly that often, also near 0 and 1.

    The simulation's own error is 0.004; what is below 95% beyond it is due to the few values that few rows can take.
    """
    chance = SOURCES[source]
    matrix = np.random.default_rng(n).multinomial(n, chance.ravel(), size=3000).reshape(-1, *chance.shape)
    for name, (score, interval) in SCORES.items():
        truth = score(chance[None])[0]  # type: ignore[arg-type]
        assert covered(interval(matrix, LEVEL), truth, score(matrix)) > least, name


def test_intervals_are_not_too_wide() -> None:
    """With 1,000 rows they hold the truth hardly more often than they say; macro specificity, 98% here, errs most."""
    chance = SOURCES["three classes, poor"]
    matrix = np.random.default_rng(5).multinomial(1000, chance.ravel(), size=3000).reshape(-1, 3, 3)
    for name, (score, interval) in SCORES.items():
        truth = score(chance[None])[0]  # type: ignore[arg-type]
        assert covered(interval(matrix, LEVEL), truth, score(matrix)) < (
            0.985 if name == "macro specificity" else 0.965
        ), name


@pytest.mark.parametrize("prevalence", [0.5, 0.05])
def test_interval_of_f1_covers(prevalence: float) -> None:
    """F1 is a function of one proportion, and its interval as good as a proportion's."""
    chance = binary(prevalence, 0.7, 0.95)
    matrix = np.random.default_rng(3).multinomial(100, chance.ravel(), size=5000).reshape(-1, 2, 2)
    truth = confusion.f1(confusion.one_vs_rest(chance[None]))[0, 1]
    outcomes = confusion.one_vs_rest(matrix)
    limits = Interval(*(limit[:, 1] for limit in confusion_intervals.f1(outcomes, LEVEL)))
    assert 0.93 < covered(limits, truth, confusion.f1(outcomes)[:, 1]) < 0.98


@pytest.mark.parametrize(
    ("variance", "score"),
    [
        (confusion_variance.matthews_correlation, confusion.matthews_correlation),
        (confusion_variance.cohen_kappa, confusion.cohen_kappa),
        (confusion_variance.weighted_precision, averaged("precision", "weighted")),
        (confusion_variance.weighted_f1, averaged("f1", "weighted")),
        (confusion_variance.weighted_specificity, averaged("specificity", "weighted")),
    ],
)
def test_variance_is_that_of_the_linear_part(
    variance: Callable[[Floats], Floats], score: Callable[..., Floats]
) -> None:
    """The formula against derivatives taken by adding and removing a ten-thousandth of a row in every cell."""
    counts: Floats = np.random.default_rng(2).poisson(8, (4, 3, 3)).astype(np.float64) + 1
    total = np.zeros(4)
    for cell in np.ndindex(3, 3):
        step = np.zeros((3, 3))
        step[cell] = 1e-4
        gradient = np.asarray(score(counts + step) - score(counts - step)) / 2e-4
        total = total + counts[:, *cell] * gradient**2
    assert variance(counts) == pytest.approx(total, rel=1e-7)


def test_kappa_published() -> None:
    """Fleiss, Cohen and Everitt (1969): 200 patients in three categories, kappa 0.429, standard error 0.054."""
    matrix = np.array([[[106, 10, 4], [22, 28, 10], [2, 12, 6]]])
    assert confusion.cohen_kappa(matrix)[0] == pytest.approx(0.429, abs=0.0005)
    assert np.sqrt(confusion_variance.cohen_kappa(matrix * 1.0)[0]) == pytest.approx(0.054, abs=0.0005)


@settings(max_examples=30)
@given(
    matrices=st.integers(2, 4).flatmap(lambda k: arrays(np.int64, (3, k, k), elements=st.integers(0, 9))),
    seed=st.integers(0, 100),
)
def test_intervals_hold_their_value_whatever_the_classes_are_called(matrices: Counts, seed: int) -> None:
    """Every interval holds its value, is undefined where it is, and does not change when classes are renamed."""
    order = np.random.default_rng(seed).permutation(matrices.shape[1])
    permuted = matrices[:, order][:, :, order]
    for score, interval in SCORES.values():
        limits, value = interval(matrices, 0.9), score(matrices)
        defined = ~np.isnan(value)
        np.testing.assert_array_equal(np.isnan(limits.lower), ~defined)
        assert (limits.lower[defined] <= value[defined] + 1e-9).all()
        assert (value[defined] <= limits.upper[defined] + 1e-9).all()
        np.testing.assert_allclose(interval(permuted, 0.9), limits, atol=1e-9)


def test_more_rows_make_shorter_intervals() -> None:
    """A hundred times the rows in the same proportions: about a tenth of the length."""
    matrix = np.array([[[60, 10, 5], [8, 50, 7], [4, 6, 50]]])
    for name, (_, interval) in SCORES.items():
        few, many = interval(matrix, LEVEL), interval(matrix * 100, LEVEL)
        assert (few.upper - few.lower)[0] / (many.upper - many.lower)[0] == pytest.approx(10, rel=0.1), name
