"""Labeled and unlabeled requests by their scores, against scipy and by hand."""

import numpy as np
import pytest
from scipy.stats import kstest

from evaljob.statistics.selection import kolmogorov_smirnov, kolmogorov_smirnov_p_value, population_stability_index

EVEN, TILTED = np.array([[10] * 10]), np.array([[19, 17, 15, 13, 11, 9, 7, 5, 3, 1]])


def test_distance_by_hand() -> None:
    """Of 4 labeled scores 3 lie in the lowest bin, of 4 others 1: after it the two differ most, by 3/4 - 1/4."""
    one, other = np.array([[3, 0, 1], [0, 0, 0]]), np.array([[1, 2, 1], [1, 0, 0]])
    assert kolmogorov_smirnov(one, other) == pytest.approx([0.5, np.nan], nan_ok=True)


@pytest.mark.parametrize("shift", [0, 5, 15])
def test_as_scipy(shift: int) -> None:
    """Distance and p-value of bins are those of samples that have only the bins' values, the latter to 15%."""
    chance = np.random.default_rng(shift)
    one, other = chance.integers(0, 60, 300), chance.integers(0, 60, 200) + shift
    counted = [np.bincount(sample, minlength=80)[None] for sample in (one, other)]
    distance = kolmogorov_smirnov(counted[0], counted[1])
    reference = kstest(one, other, method="asymp")
    assert distance[0] == pytest.approx(reference.statistic)
    p = kolmogorov_smirnov_p_value(distance, counted[0], counted[1])[0]
    assert p == pytest.approx(kstest(one, other, method="exact").pvalue, rel=0.15)


def test_equal_sources_are_rarely_told_apart() -> None:
    """Of 2,000 pairs of samples of one source at most 5.5% have p below 5%."""
    chance = np.random.default_rng(1)
    one, other = (chance.multinomial(n, np.full(180, 1 / 180), size=2000) for n in (300, 200))
    p = kolmogorov_smirnov_p_value(kolmogorov_smirnov(one, other), one, other)
    assert 0.02 < (p < 0.05).mean() < 0.055


def test_index_by_hand() -> None:
    """100 scores spread evenly over ten bins, and 100 that lean to the low ones.

    Together the ten groups are not the ten bins, so the arithmetic is that of the groups: see `grouped`.
    """
    both = (EVEN + TILTED)[0]
    middle = (np.cumsum(both) - both / 2) / both.sum()
    grouped = [np.bincount((middle * 10).astype(int), weights=c[0], minlength=10) + 0.5 for c in (EVEN, TILTED)]
    p, q = (counts / counts.sum() for counts in grouped)
    assert population_stability_index(EVEN, TILTED)[0] == pytest.approx(sum((p - q) * np.log(p / q)))
    assert population_stability_index(EVEN, EVEN)[0] == 0
    assert np.isnan(population_stability_index(EVEN, 0 * EVEN)[0])


def test_index_of_equal_sources() -> None:
    """Two samples of one source have an index of about 9 (1/500 + 1/400) = 0.04."""
    chance = np.random.default_rng(1)
    one, other = (chance.multinomial(n, np.full(180, 1 / 180), size=2000) for n in (500, 400))
    assert population_stability_index(one, other).mean() == pytest.approx(9 * (1 / 500 + 1 / 400), rel=0.1)


def test_index_is_symmetric() -> None:
    """Which of the two are the labeled ones does not matter."""
    assert population_stability_index(EVEN, TILTED)[0] == pytest.approx(population_stability_index(TILTED, EVEN)[0])
