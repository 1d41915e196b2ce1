"""The Poisson bootstrap over cells, for statistics that have no interval in closed form."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr, ndtri

from evaljob.statistics.arrays import Floats, Integers
from evaljob.statistics.intervals import Interval, normal_quantile

_TABLE = 64
_MIX = tuple(np.uint64(constant) for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))


def resample(counts: ArrayLike, keys: ArrayLike, replicates: int, seed: int) -> Integers:
    """Counts of cells as other samples of the same source might have had them: (cells,) to (cells, replicates).

    Each is drawn from a Poisson distribution whose mean is the count, which for anything that depends on shares alone
    is drawing whole rows with replacement. The draws of a cell depend on its key (any 64-bit integer, such as a hash of
    its series and its place there), the seed and nothing else: other series, and the order of cells, leave them as they
    are. Source: Chamandy, Muralidharan, Najmi and Naidu (2012), "Estimating uncertainty for massive data streams".
    """
    size = np.asarray(counts, dtype=np.int64)
    uniform = _uniform(np.asarray(keys).astype(np.uint64), replicates, seed)
    drawn = np.empty(uniform.shape, dtype=np.int64)
    large = size >= _TABLE
    drawn[large] = _large_poisson(size[large, None], uniform[large])
    for count in np.unique(size[~large]):
        cells = size == count
        drawn[cells] = np.searchsorted(_distribution(int(count)), uniform[cells])
    return drawn


def bootstrap_interval(replicates: Floats, value: Floats, confidence: float) -> Interval:
    """The bias-corrected percentile interval, of replicates (series, B) and the value itself (series,).

    Undefined replicates are left out. Source: Efron (1981), Canadian Journal of Statistics 9(2).
    """
    z, defined = normal_quantile(confidence), ~np.isnan(replicates)
    below = (replicates < value[:, None]).sum(axis=1) + 0.5 * (replicates == value[:, None]).sum(axis=1)
    n = np.maximum(defined.sum(axis=1), 1)
    bias = ndtri(np.clip(below / n, 0.5 / n, 1 - 0.5 / n))
    ordered = np.sort(replicates, axis=1)  # NaN last
    limits = (_order_statistic(ordered, n, ndtr(2 * bias + side * z)) for side in (-1, 1))
    return Interval(*(np.where(np.isnan(value), np.nan, limit) for limit in limits))


def _uniform(keys: NDArray[np.uint64], replicates: int, seed: int) -> Floats:
    """Numbers in (0, 1) that are a hash of key, replicate and seed: the output function of SplitMix64, twice."""
    with np.errstate(over="ignore"):
        stream = _mixed(keys + np.uint64(seed % 2**64) * _MIX[0])
        bits = _mixed(stream[:, None] + np.arange(1, replicates + 1, dtype=np.uint64) * _MIX[0])
    return ((bits >> np.uint64(11)).astype(np.float64) + 0.5) / 2**53


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    bits = (bits ^ (bits >> np.uint64(30))) * _MIX[1]
    bits = (bits ^ (bits >> np.uint64(27))) * _MIX[2]
    return np.asarray(bits ^ (bits >> np.uint64(31)))


def _distribution(mean: int) -> Floats:
    """P(X <= k) of a Poisson variable for k = 0, 1, ... as far as double precision tells."""
    probability = [np.exp(-float(mean))]
    for k in range(1, mean + 12 * int(np.sqrt(mean) + 1)):
        probability.append(probability[-1] * mean / k)
    return np.cumsum(probability)


def _large_poisson(mean: Integers, uniform: Floats) -> Integers:
    """The quantile of a Poisson variable by Cornish and Fisher's expansion, off by less than one from a mean of 64."""
    z, deviation = ndtri(uniform), np.sqrt(mean)
    quantile = mean + deviation * z + (z**2 - 1) / 6 + (z - z**3) / (72 * deviation)
    return np.asarray(np.floor(quantile + 0.5), dtype=np.int64)


def _order_statistic(ordered: Floats, n: Integers, probability: Floats) -> Floats:
    place = np.clip(np.floor(probability * n).astype(np.int64), 0, n - 1)
    return np.take_along_axis(ordered, place[:, None], axis=1)[:, 0]
