"""The CORP reliability diagram and its consistency bands."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.isotonic import IsotonicRegression

from evaljob.statistics.calibration import Bins
from evaljob.statistics.reliability import corp_diagram
from tests.statistics.coverage import LEVEL
from tests.statistics.logs import cells
from tests.statistics.sources import SOURCES


def test_by_hand() -> None:
    """Shares 1/4, 0/4, 3/4 at scores 0.1, 0.4, 0.9: the first two pool to 1/8."""
    bins = Bins(np.array([[4, 0, 4, 4]]), np.array([[1, 0, 0, 3]]), np.array([[0.4, 0.0, 1.6, 3.6]]))
    diagram = corp_diagram(bins, LEVEL)
    assert diagram.score.tolist() == pytest.approx([0.1, 0.4, 0.9])
    assert diagram.recalibrated.tolist() == [0.125, 0.125, 0.75]
    assert diagram.support.tolist() == [4, 4, 4]
    assert diagram.positives.tolist() == [1, 0, 3]


def test_band_of_one_score_is_binomial() -> None:
    """With a single score there is nothing to pool: the band are the binomial quantiles of 200 rows at 0.3."""
    diagram = corp_diagram(Bins(np.array([[200]]), np.array([[70]]), np.array([[60.0]])), LEVEL)
    assert diagram.lower[0] * 200 == pytest.approx(stats.binom.ppf(0.025, 200, 0.3), abs=1)
    assert diagram.upper[0] * 200 == pytest.approx(stats.binom.ppf(0.975, 200, 0.3), abs=1)


@pytest.mark.parametrize("source", ["calibrated", "uneven"])
def test_calibrated_curves_stay_in_the_band(source: str) -> None:
    """150 calibrated logs of 300 rows: 95% of the curve's points lie inside, weighted by their rows."""
    y, score = SOURCES[source].draw(150, 300, 4)
    inside, rows = 0, 0
    for label, scores in zip(y, score, strict=True):
        diagram = corp_diagram(cells(label, scores).fine, LEVEL, seed=1)
        within = (diagram.lower <= diagram.recalibrated) & (diagram.recalibrated <= diagram.upper)
        inside, rows = inside + int(diagram.support[within].sum()), rows + int(diagram.support.sum())
    assert inside / rows == pytest.approx(0.955, abs=0.02)


def test_extreme_scores_leave_the_band() -> None:
    """Scores with twice the logit they should have: near both ends the curve of 5,000 rows is outside."""
    y, score = SOURCES["too extreme"].draw(1, 5000, 4)
    diagram = corp_diagram(cells(y, score).fine, LEVEL)
    assert (diagram.recalibrated > diagram.upper)[(diagram.score > 0.02) & (diagram.score < 0.2)].mean() > 0.9
    assert (diagram.recalibrated < diagram.lower)[(diagram.score > 0.8) & (diagram.score < 0.98)].mean() > 0.9


@settings(max_examples=20)
@given(rows=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 10**9)), min_size=1, max_size=60))
def test_curve_is_scikit_learns(rows: list[tuple[int, int]]) -> None:
    """Isotonic regression of the bins' shares, weighted by their rows; and the curve never falls."""
    y, score = np.array(rows).T * np.array([[1], [1e-9]])
    diagram = corp_diagram(cells(y, score).fine, LEVEL)
    theirs = IsotonicRegression().fit_transform(
        np.arange(len(diagram.score)), diagram.positives / diagram.support, sample_weight=diagram.support
    )
    np.testing.assert_allclose(diagram.recalibrated, theirs, atol=1e-12)
    assert (np.diff(diagram.recalibrated) >= 0).all()
    assert (diagram.lower <= diagram.score).all()
    assert (diagram.score <= diagram.upper).all()


def test_a_rerun_repeats_it() -> None:
    """The same seed gives the same band, another one a slightly different one."""
    y, score = SOURCES["calibrated"].draw(1, 500, 1)
    fine = cells(y, score).fine
    np.testing.assert_array_equal(corp_diagram(fine, LEVEL, seed=3), corp_diagram(fine, LEVEL, seed=3))
    assert (corp_diagram(fine, LEVEL, seed=3).lower != corp_diagram(fine, LEVEL, seed=4).lower).any()


def test_nothing_and_too_much() -> None:
    """Without rows there are no points; two series are not one diagram."""
    nothing = Bins(*(np.zeros((1, 5)) for _ in range(3)))
    assert [len(part) for part in corp_diagram(nothing, LEVEL)] == [0] * 6
    with pytest.raises(ValueError, match="one series, not 2"):
        corp_diagram(Bins(*(np.zeros((2, 5)) for _ in range(3))), LEVEL)
