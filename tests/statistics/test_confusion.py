"""Scores of confusion matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from sklearn import metrics

from evaljob.statistics import confusion

MATRICES = st.integers(2, 4).flatmap(lambda k: arrays(np.int64, (3, k, k), elements=st.integers(0, 6)))
SCORES = (confusion.accuracy, confusion.balanced_accuracy, confusion.cohen_kappa, confusion.matthews_correlation)


def rows_of(matrix: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The single (truth, prediction) pairs a matrix counts."""
    truth, predicted = np.indices(matrix.shape)
    return np.repeat(truth.ravel(), matrix.ravel()), np.repeat(predicted.ravel(), matrix.ravel())


@pytest.fixture
def finley() -> NDArray[np.int64]:
    """Finley's forecasts of 1884: 28 tornadoes (class 1) hit, 23 missed, 72 false alarms, 2680 right refusals."""
    return np.array([[[2680, 72], [23, 28]]])


def test_finley_tornadoes(finley: NDArray[np.int64]) -> None:
    """The table every textbook of forecast verification redoes (Murphy 1996): 96.6% right, and little skill."""
    outcomes = confusion.one_vs_rest(finley)
    assert confusion.accuracy(finley)[0] == pytest.approx((28 + 2680) / 2803)
    assert confusion.precision(outcomes)[0, 1] == pytest.approx(28 / 100)
    assert confusion.recall(outcomes)[0, 1] == pytest.approx(28 / 51)
    assert confusion.specificity(outcomes)[0, 1] == pytest.approx(2680 / 2752)
    assert confusion.f1(outcomes)[0, 1] == pytest.approx(56 / (56 + 72 + 23))
    assert confusion.prevalence(outcomes)[0, 1] == pytest.approx(51 / 2803)
    assert confusion.predicted_share(outcomes)[0, 1] == pytest.approx(100 / 2803)


def test_finley_skill(finley: NDArray[np.int64]) -> None:
    """Published of Finley's table: Heidke's skill 0.355, Peirce's (twice balanced accuracy, less 1) 0.523."""
    assert confusion.cohen_kappa(finley)[0] == pytest.approx(0.355, abs=0.0005)
    assert 2 * confusion.balanced_accuracy(finley)[0] - 1 == pytest.approx(0.523, abs=0.0005)
    # Doolittle's association ratio is the square of the correlation: 0.142 in his paper of 1885.
    assert confusion.matthews_correlation(finley)[0] ** 2 == pytest.approx(0.142, abs=0.0005)


def test_three_classes_by_hand() -> None:
    """Nine rows, three of each class; class 2 is never predicted, so its precision says nothing and is left out."""
    matrix = np.array([[[2, 1, 0], [0, 3, 0], [1, 2, 0]]])
    outcomes = confusion.one_vs_rest(matrix)
    assert outcomes.tp.tolist() == [[2, 3, 0]]
    assert outcomes.fp.tolist() == [[1, 3, 0]]
    assert outcomes.fn.tolist() == [[1, 0, 3]]
    assert outcomes.tn.tolist() == [[5, 3, 6]]
    np.testing.assert_allclose(confusion.precision(outcomes), [[2 / 3, 3 / 6, np.nan]])
    assert confusion.macro(confusion.precision(outcomes))[0] == pytest.approx((2 / 3 + 3 / 6) / 2)
    assert confusion.macro(confusion.recall(outcomes))[0] == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert confusion.weighted(confusion.precision(outcomes), outcomes)[0] == pytest.approx((3 * 2 / 3 + 3 * 3 / 6) / 6)


@pytest.mark.filterwarnings("ignore:y_pred contains classes not in y_true", "ignore:A single label was found")
@settings(max_examples=25)
@given(matrices=MATRICES)
def test_agrees_with_scikit_learn(matrices: NDArray[np.int64]) -> None:
    """Each of several series gets what scikit-learn says of its rows, where scikit-learn does not replace 0/0 by 0."""
    references = (
        metrics.accuracy_score,
        metrics.balanced_accuracy_score,
        metrics.cohen_kappa_score,
        metrics.matthews_corrcoef,
    )
    for i, matrix in enumerate(matrices):
        truth, predicted = rows_of(matrix)
        for score, reference in zip(SCORES, references, strict=True):
            value = score(matrices)[i]
            if not np.isnan(value):
                assert value == pytest.approx(reference(truth, predicted), abs=1e-12), score


@pytest.mark.parametrize("average", ["macro", "weighted"])
@settings(max_examples=25)
@given(matrices=MATRICES)
def test_averages_agree_with_scikit_learn(average: str, matrices: NDArray[np.int64]) -> None:
    """Averages over classes are scikit-learn's with zero_division=nan: undefined classes are left out."""
    outcomes = confusion.one_vs_rest(matrices)
    for name in ("precision", "recall", "f1"):
        per_class = getattr(confusion, name)(outcomes)
        ours = confusion.macro(per_class) if average == "macro" else confusion.weighted(per_class, outcomes)
        for i, matrix in enumerate(matrices):
            if not np.isnan(ours[i]):
                score = getattr(metrics, f"{name}_score")
                theirs = score(*rows_of(matrix), average=average, zero_division=np.nan, labels=range(len(matrix)))
                np.testing.assert_allclose(ours[i], theirs, atol=1e-12)


def test_undefined_is_nan() -> None:
    """No rows: nothing is defined. One class in truth and prediction: no correlation, no agreement beyond chance."""
    empty, single = np.zeros((1, 2, 2), dtype=np.int64), np.array([[[5, 0], [0, 0]]])
    for score in SCORES:
        assert np.isnan(score(empty)).all()
    assert confusion.accuracy(single)[0] == 1
    assert np.isnan(confusion.matthews_correlation(single)).all()
    assert np.isnan(confusion.cohen_kappa(single)).all()


@given(matrices=MATRICES, seed=st.integers(0, 1000))
def test_order_of_classes_does_not_matter(matrices: NDArray[np.int64], seed: int) -> None:
    """Renaming the classes permutes what is per class and leaves the rest as it was."""
    order = np.random.default_rng(seed).permutation(matrices.shape[1])
    permuted = matrices[:, order][:, :, order]
    for score in SCORES:
        np.testing.assert_allclose(score(permuted), score(matrices), atol=1e-12)
    before, after = confusion.one_vs_rest(matrices), confusion.one_vs_rest(permuted)
    np.testing.assert_array_equal(confusion.f1(after), confusion.f1(before)[:, order])


@given(matrices=MATRICES)
def test_replicates_are_computed_as_the_value_is(matrices: NDArray[np.int64]) -> None:
    """A trailing axis of replicates gives each what it would get alone."""
    stacked = np.stack([matrices, 2 * matrices, matrices.transpose(0, 2, 1)], axis=-1)
    for score in SCORES:
        for b in range(3):
            np.testing.assert_array_equal(score(stacked)[..., b], score(np.ascontiguousarray(stacked[..., b])))
    outcomes = confusion.one_vs_rest(stacked)
    macro = confusion.macro(confusion.f1(outcomes))
    np.testing.assert_array_equal(macro[..., 0], confusion.macro(confusion.f1(confusion.one_vs_rest(matrices))))


def test_large_counts_stay_exact() -> None:
    """A billion rows: n^4 leaves 64-bit integers, the correlation stays what it is for a thousandth of them."""
    small = np.array([[[400, 100], [200, 300]]])
    np.testing.assert_allclose(
        confusion.matthews_correlation(small * 10**6), confusion.matthews_correlation(small), rtol=1e-12
    )
