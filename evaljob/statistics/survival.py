"""How labels arrive: the share of predictions that have theirs within an age, the not yet labeled being censored.

The product-limit estimator. Source: Kaplan and Meier (1958), Journal of the American Statistical Association 53; its
variance: Greenwood (1926).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from evaljob.statistics.arrays import Floats, Numbers, ratio
from evaljob.statistics.intervals import Interval, normal_quantile


@dataclass(frozen=True)
class Curve:
    """A step function of age, in seconds: at each of `times` (sorted) labels came.

    `waiting` is the share of predictions that still wait for theirs right after, `hazard` Greenwood's sum up to there,
    the variance of its logarithm. `last` is the greatest age that was followed; NaN where nothing was.
    """

    times: Floats
    waiting: Floats
    hazard: Floats
    last: float

    def at(self, age: ArrayLike) -> tuple[Floats, Floats]:
        """`waiting` and `hazard` at ages: 1 and 0 before the first label; constant after the last."""
        place = np.searchsorted(self.times, np.asarray(age, dtype=np.float64), side="right")
        return np.concatenate([[1.0], self.waiting])[place], np.concatenate([[0.0], self.hazard])[place]


def kaplan_meier(lag: ArrayLike, labeled: ArrayLike, age: ArrayLike, unlabeled: ArrayLike) -> Curve:
    """The curve of `labeled` predictions whose label came after `lag`, and `unlabeled` ones that have waited for `age`.

    Counts with their seconds, in any order. Waiting right after t is the product over label times s <= t of
    `1 - came(s) / at_risk(s)`, where at risk are those whose lag or age is s or more: a label at the age at which
    another prediction is lost sight of comes first.
    """
    times, came = _summed(lag, labeled)
    lost_at, lost = _summed(age, unlabeled)
    at_risk = _from(times, came, times) + _from(lost_at, lost, times)
    with np.errstate(divide="ignore"):  # where the last one at risk gets its label, nobody waits any more
        hazard = np.cumsum(came / (at_risk * (at_risk - came)))
    last = max((float(x[-1]) for x in (times, lost_at) if len(x)), default=np.nan)
    return Curve(times, np.asarray(np.cumprod(1 - came / at_risk), dtype=np.float64), hazard, last)


def arrived(curve: Curve, age: float) -> float:
    """The share of predictions that have their label within an age; NaN beyond what was followed, while some wait."""
    waiting = float(curve.at(age)[0])
    return 1 - waiting if age <= curve.last or waiting == 0 else np.nan


def arrived_interval(curve: Curve, age: float, confidence: float) -> tuple[float, float]:
    """The limits of that share, `waiting ^ exp(-+ z sd(log -log waiting))`: never outside 0 to 1.

    NaN before the first label and after the last possible one, where the curve has no variance. Source: Kalbfleisch and
    Prentice (1980), The Statistical Analysis of Failure Time Data, section 1.4.
    """
    waiting, hazard = (float(x) for x in curve.at(age))
    if not 0 < waiting < 1 or age > curve.last:
        return np.nan, np.nan
    limits = _log_log(np.array([waiting]), np.array([hazard]), confidence)
    return 1 - float(limits.upper[0]), 1 - float(limits.lower[0])


def expected_coverage(
    curve: Curve, labeled: int, age: Floats, unlabeled: Numbers, horizon: float, confidence: float
) -> tuple[float, float, float]:
    """The share of predictions that will have a label within the `horizon`, and its limits.

    Of those without one at an age a, `1 - waiting(horizon) / waiting(a)` will get one. With the curve of the same
    predictions this is the curve at the horizon itself (it is self-consistent: Efron (1967), Fifth Berkeley Symposium,
    volume 4), with the curve of others it carries over how labels arrive. Never below what is labeled already; NaN
    without predictions. The limits hold the coverage that comes about: they unite the curve's uncertainty, taken as
    the same for all ages, and chance.
    """
    total = labeled + unlabeled.sum()
    if total == 0:
        return np.nan, np.nan, np.nan
    (before, used), (end, all_) = curve.at(np.minimum(age, horizon)), curve.at(horizon)
    still = np.where(before > 0, ratio(np.broadcast_to(end, before.shape), before), 1.0)
    variance = np.where(np.isfinite(all_), np.maximum(all_ - np.minimum(used, all_), 0.0), 0.0)
    limits = _log_log(still, variance, confidence)
    value, lower, upper = (float(1 - (unlabeled * x).sum() / total) for x in (still, limits.upper, limits.lower))
    chance = float(normal_quantile(confidence) ** 2 * (unlabeled * still * (1 - still)).sum() / total**2)
    most = float(1 - (unlabeled * (still == 1)).sum() / total)
    return (
        value,
        max(labeled / total, value - float(np.hypot(value - lower, np.sqrt(chance)))),
        min(most, value + float(np.hypot(upper - value, np.sqrt(chance)))),
    )


def _log_log(share: Floats, variance: Floats, confidence: float) -> Interval:
    """Limits of a share from the variance of its logarithm; the share itself where it is 0 or 1."""
    inside = (share > 0) & (share < 1)
    log = np.log(np.where(inside, share, 0.5))
    reach = np.exp(normal_quantile(confidence) * np.sqrt(variance) / -log)
    return Interval(*(np.where(inside, np.exp(log * x), share) for x in (reach, 1 / reach)))


def _summed(values: ArrayLike, counts: ArrayLike) -> tuple[Floats, Floats]:
    """The values that occur, sorted, and how often."""
    number = np.asarray(counts, dtype=np.float64)
    found, place = np.unique(np.asarray(values, dtype=np.float64)[number > 0], return_inverse=True)
    return found, np.bincount(place, weights=number[number > 0], minlength=len(found)).astype(np.float64)


def _from(values: Floats, counts: Floats, least: Floats) -> Floats:
    """How many of the counted values are at least as great as each of `least`."""
    reached = np.concatenate([[0.0], np.cumsum(counts)])
    return np.asarray(reached[-1] - reached[np.searchsorted(values, least, side="left")])
