"""Intervals of miscalibration, discrimination and uncertainty."""

import numpy as np
import pytest

from evaljob.statistics import calibration
from evaljob.statistics.calibration import Bins, Decomposition
from evaljob.statistics.corp_intervals import DecompositionLimits, corp
from evaljob.statistics.intervals import proportion
from tests.statistics.coverage import LEVEL, covered
from tests.statistics.logs import Cells, cells
from tests.statistics.sources import SOURCES

FEW = 30


def decomposed(counted: Cells) -> tuple[Decomposition, DecompositionLimits]:
    """The parts of each series and their intervals."""
    fine = counted.fine
    sums = (counted.positives, counted.positive_score, counted.squared_score)
    parts = calibration.corp(
        fine, calibration.brier_score(fine.support.sum(axis=1), *(part.sum(axis=1) for part in sums))
    )
    return parts, corp(fine, parts, LEVEL)


@pytest.mark.parametrize("n", [FEW, 100, 1000])
@pytest.mark.parametrize("name", SOURCES)
def test_intervals_cover(name: str, n: int) -> None:
    """1,000 logs of n rows; with thirty rows of which three are positive, discrimination is covered 90% of the time."""
    source = SOURCES[name]
    _, score = source.draw(1, 300_000, 999)
    chance = source.chance(score)
    truth = Decomposition(((score - chance) ** 2).mean(), chance.var(), chance.mean() * (1 - chance.mean()))
    parts, limits = decomposed(cells(*source.draw(1000, n, n)))
    share = [covered(limit, float(true), part) for limit, true, part in zip(limits, truth, parts, strict=True)]
    assert share[0] > 0.92
    assert share[1] > (0.89 if n == FEW else 0.93)
    assert share[2] > 0.92


def test_uncertainty_by_hand() -> None:
    """40 of 100: the proportion's interval is 0.309 to 0.498, so p(1 - p) lies between 0.214 and 0.250."""
    bins = Bins(np.array([[60, 40]]), np.array([[0, 40]]), np.array([[6.0, 36.0]]))
    share = proportion(40, 100, LEVEL)
    parts = Decomposition(np.array([0.01]), np.array([0.24]), np.array([0.24]))
    limits = corp(bins, parts, LEVEL).uncertainty
    assert limits.lower[0] == pytest.approx(float(share.lower * (1 - share.lower)))
    assert limits.upper[0] == pytest.approx(float(share.upper * (1 - share.upper)))


def test_uncertainty_around_one_half_reaches_a_quarter() -> None:
    """Half of the rows are positive: no prevalence is more uncertain than 1/2, whose uncertainty is 1/4."""
    parts, limits = decomposed(cells([0, 1] * 50, [0.3, 0.6] * 50))
    assert parts.uncertainty[0] == limits.uncertainty.upper[0] == 0.25
    assert limits.uncertainty.lower[0] < 0.25


def test_undefined_without_rows() -> None:
    """No rows, no parts, no intervals; beside them a series keeps its own."""
    y, score = SOURCES["calibrated"].draw(1, 100, 1)
    one = cells(y, score)
    beside = Cells(*(np.concatenate([part, 0 * part]) for part in vars(one).values()))
    for alone, both in zip(decomposed(one)[1], decomposed(beside)[1], strict=True):
        assert np.isnan([both.lower[1], both.upper[1]]).all()
        np.testing.assert_array_equal([alone.lower[0], alone.upper[0]], [both.lower[0], both.upper[0]])
