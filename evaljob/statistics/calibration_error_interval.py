"""The confidence interval of the expected calibration error."""

import numpy as np
from scipy.special import erf

from evaljob.statistics.arrays import Floats, ratio, unless
from evaljob.statistics.calibration import Bins, expected_calibration_error
from evaljob.statistics.intervals import Interval, normal_quantile
from evaljob.statistics.loss import mean_score
from evaljob.statistics.solve import last_true

_FARTHEST = 50.0  # standard errors and observed gaps: further than any score can be from its outcomes


def calibration_error_interval(value: Floats, bins: Bins, confidence: float) -> Interval:
    """Limits of the true expected calibration error over these bins: (series,), NaN where the value is.

    `value` is the plain or the debiased estimate; the interval is the same, widened to hold it. The error of a sample
    is larger than the true one, and larger by more the fewer rows there are, so the interval does not lie around it: it
    holds the true errors that make the error seen plausible. Bins are supposed to be off by a common multiple of what
    they seem off (plus a standard error); then the error seen has the mean, variance and skewness of a sum of folded
    normal variables with binomial variances. 0 is a limit unless calibration itself is implausible. Not from the
    literature; coverage is tested by simulation.
    """
    seen, rays = expected_calibration_error(bins), _Rays(bins)
    z, none = normal_quantile(confidence), np.zeros(len(seen))
    lower = last_true(lambda far: rays.typical(far, z) < seen, none, none + _FARTHEST)
    upper = last_true(lambda far: rays.typical(far, -z) < seen, none, none + _FARTHEST)
    limits = Interval(np.minimum(rays.error(lower), value), np.maximum(rays.error(upper), value))
    return Interval(*(unless(np.isnan(value), limit) for limit in limits))


class _Rays:
    """True shares of positives at a multiple `far` (one per series) of the seen distance from the mean scores."""

    def __init__(self, bins: Bins) -> None:
        self.rows, self.score = np.maximum(bins.support, 1), mean_score(bins)
        self.weight = np.nan_to_num(ratio(bins.support, bins.support.sum(axis=1, keepdims=True)))
        self.total = np.maximum(bins.support.sum(axis=1), 1)
        gap = np.where(bins.support > 0, bins.positives / self.rows - self.score, 0.0)
        self.share = (bins.positives + self.score) / (self.rows + 1)
        spread = self.share * (1 - self.share) / self.rows
        self.step = np.where(gap < 0, -1, 1) * np.sqrt(gap**2 + spread)

    def error(self, far: Floats) -> Floats:
        """The true expected calibration error there."""
        return np.asarray((self.weight * np.abs(self._share(far) - self.score)).sum(axis=1))

    def typical(self, far: Floats, z: float) -> Floats:
        """The error seen, were that true, z standard deviations above its mean, corrected for skewness."""
        true = self._share(far)
        gap = np.abs(true - self.score)
        share = (self.rows * true + self.share) / (self.rows + 1)
        spread = np.sqrt(share * (1 - share) / self.rows)
        mean, third = _folded_moments(gap, spread)
        variance = (self.weight**2 * (spread**2 + gap**2 - mean**2)).sum(axis=1)
        variance += np.maximum((self.weight * gap**2).sum(axis=1) - self.error(far) ** 2, 0.0) / self.total
        third = np.maximum(third, spread**2 * np.abs(1 - 2 * share) / self.rows)
        skewness = np.nan_to_num(ratio((self.weight**3 * third).sum(axis=1), variance**1.5))
        reach = (z + skewness * (z * z - 1) / 6) * np.sqrt(variance)
        return np.asarray((self.weight * mean).sum(axis=1) + reach)

    def _share(self, far: Floats) -> Floats:
        return np.asarray(np.clip(self.score + far[:, None] * self.step, 0.0, 1.0))


def _folded_moments(mean: Floats, deviation: Floats) -> tuple[Floats, Floats]:
    """The mean, and the third moment about it, of |X| with X normal."""
    standard = np.nan_to_num(ratio(mean, deviation))
    inner, outer = erf(standard / np.sqrt(2)), np.sqrt(2 / np.pi) * deviation * np.exp(-(standard**2) / 2)
    folded = mean * inner + outer
    third = mean * (mean**2 + 3 * deviation**2) * inner + (mean**2 + 2 * deviation**2) * outer
    return folded, third - 3 * folded * (deviation**2 + mean**2) + 2 * folded**3
