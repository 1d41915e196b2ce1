"""How far the cheapest threshold may be off."""

import numpy as np
import pytest

from evaljob.statistics.threshold_intervals import Decisions, cheapest_interval
from tests.statistics.coverage import LEVEL, covered
from tests.statistics.logs import Cells, cells
from tests.statistics.sources import SOURCES

FALSE_ALARM, MISS = 1.0, 3.0  # the cheapest threshold of calibrated scores is 1 / (1 + 3)


def decisions(counted: Cells) -> Decisions:
    """The costs of each bin's negatives and positives, called and left."""
    rows = np.stack([counted.negatives, counted.positives])
    return Decisions(rows, rows * [[[FALSE_ALARM]], [[0.0]]], rows * [[[0.0]], [[MISS]]])


def test_interval_of_the_cost_covers() -> None:
    """400 logs of 500 uniform calibrated scores: at 0.25 a row costs 3/32 of misses and 9/32 of false alarms.

    The least cost of a sample is a little below the least cost of all, and the threshold of it is no smooth function of
    the sample, so somewhat fewer than 95% are covered.
    """
    found = decisions(cells(*SOURCES["calibrated"].draw(400, 500, 1)))
    limits, value = cheapest_interval(found, np.arange(400), 7, LEVEL), found.cheapest()
    assert covered(limits.cost, 3 / 32 + 9 / 32, value.cost) > 0.85
    assert covered(limits.threshold, 0.25, value.threshold) > 0.85


def test_series_do_not_touch_each_other() -> None:
    """The same key and seed give the same interval, whichever series are beside it; another seed gives another."""
    many = decisions(cells(*SOURCES["calibrated"].draw(70, 100, 1)))
    alone = Decisions(*(part[:, 69:] for part in many))
    keys = np.arange(70) - 2**62
    both, one, other = (
        cheapest_interval(many, keys, 7, LEVEL),
        cheapest_interval(alone, keys[69:], 7, LEVEL),
        cheapest_interval(alone, keys[69:], 8, LEVEL),
    )
    assert [limit[69] for part in both for limit in part] == [limit[0] for part in one for limit in part]
    assert [limit[0] for part in other for limit in part] != [limit[0] for part in one for limit in part]


def test_undefined_without_rows() -> None:
    """No rows, no threshold, no interval; no series, none at all."""
    nothing = np.zeros((2, 1, 180))
    assert np.isnan(np.array(cheapest_interval(Decisions(nothing, nothing, nothing), np.array([1]), 7, LEVEL))).all()
    none = np.zeros((2, 0, 180))
    assert cheapest_interval(Decisions(none, none, none), np.zeros(0, dtype=np.int64), 7, LEVEL).cost.lower.shape == (
        0,
    )


def test_perfect_scores_leave_a_range_of_thresholds() -> None:
    """Scores about 0.2 without and 0.8 with positives: no cost, and a threshold between them whatever is drawn."""
    rng = np.random.default_rng(3)
    y = rng.binomial(1, 0.5, 200)
    found = decisions(cells(y, 0.2 + 0.6 * y))
    limits, value = cheapest_interval(found, np.array([1]), 7, LEVEL), found.cheapest()
    assert value.cost[0] == limits.cost.lower[0] == limits.cost.upper[0] == 0
    assert value.threshold[0] == pytest.approx(0.5, abs=0.01)
    assert 0.2 < limits.threshold.lower[0] <= limits.threshold.upper[0] <= 0.8
