"""Errors of numeric predictions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from evaljob.statistics import regression

LABELS = st.lists(st.tuples(st.integers(-1000, 1000), st.integers(-1000, 1000)), min_size=2, max_size=40)


def test_errors_by_hand() -> None:
    """Errors 1, -1, 4: mean 4/3, absolute 2, squared 18/3 = 6. Labels 0, 3, 6 vary by 18 about their mean."""
    assert regression.mean_error(3, 4)[()] == pytest.approx(4 / 3)
    assert regression.mean_absolute_error(3, 6)[()] == 2
    assert regression.root_mean_squared_error(3, 18)[()] == pytest.approx(np.sqrt(6))
    assert regression.r2_score(3, 18, 9, 45)[()] == pytest.approx(1 - 18 / 18)


@given(rows=LABELS)
def test_agrees_with_scikit_learn(rows: list[tuple[int, int]]) -> None:
    """From sums what scikit-learn says of the rows; R2 where the labels differ."""
    label, prediction = np.array(rows, dtype=np.float64).T
    error, n = prediction - label, len(label)
    absolute, squared = np.abs(error).sum(), (error**2).sum()
    assert regression.mean_absolute_error(n, absolute) == pytest.approx(metrics.mean_absolute_error(label, prediction))
    reference = metrics.root_mean_squared_error(label, prediction)
    assert regression.root_mean_squared_error(n, squared) == pytest.approx(reference)
    found = regression.r2_score(n, squared, label.sum(), (label**2).sum())
    if np.ptp(label) > 0:
        assert found == pytest.approx(metrics.r2_score(label, prediction), rel=1e-6, abs=1e-6)
    else:
        assert np.isnan(found)


def test_undefined_without_rows() -> None:
    """No rows, no errors; equal labels, nothing to explain."""
    assert np.isnan(regression.mean_error(0, 0))
    assert np.isnan(regression.root_mean_squared_error(0, 0))
    assert np.isnan(regression.r2_score(0, 0, 0, 0))
    assert np.isnan(regression.r2_score(10, 4, 1, 0.1))
