"""Differences of two numbers from requests that have nothing in common: another window, or another version."""

import math
from dataclasses import dataclass
from statistics import NormalDist

from scipy.stats import false_discovery_control

from evaljob.report.catalogue import HIGHER, NEITHER, Measure
from evaljob.report.numbers import Number


@dataclass(frozen=True)
class Change:
    """How a measure moved from one number to another: `difference` has the interval of `after - before`.

    `p_value` is the probability of a difference at least as large by chance alone; 1 where nothing can be said.
    """

    measure: Measure
    before: Number
    after: Number
    difference: Number
    p_value: float
    significant: bool = False

    @property
    def worse(self) -> bool:
        """Whether it is shown to have become worse."""
        return self.significant and self.measure.better != NEITHER and not self._better

    @property
    def improved(self) -> bool:
        """Whether it is shown to have become better."""
        return self.significant and self.measure.better != NEITHER and self._better

    @property
    def _better(self) -> bool:
        return (self.difference.value > 0) == (self.measure.better == HIGHER)


def change(measure: Measure, before: Number, after: Number, confidence: float) -> Change:
    """The difference with the interval made from the two numbers' own.

    `d -+ sqrt(distance^2 + distance^2)` of the distances to the limits that face each other; independent requests.
    Source: Newcombe (1998), Statistics in Medicine 17, method 10; for other measures Zou and Donner (2008), Statistics
    in Medicine 27 ("MOVER"). The p-value takes the interval's side towards zero for a normal's.
    """
    if not (before.bounded and after.bounded):
        return Change(measure, before, after, Number(after.value - before.value), 1.0)
    d = after.value - before.value
    below = math.hypot(after.value - after.lower, before.upper - before.value)
    above = math.hypot(after.upper - after.value, before.value - before.lower)
    towards_zero = below if d > 0 else above
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    standard = 0.0 if d == 0 else abs(d) * z / towards_zero if towards_zero else math.inf
    p = 2 * NormalDist().cdf(-standard)
    return Change(measure, before, after, Number(d, d - below, d + above, after.support), p)


def judged(changes: list[Change], confidence: float) -> list[Change]:
    """Which of several changes are shown, with at most `1 - confidence` of those expected to be chance.

    Source: Benjamini and Hochberg (1995), Journal of the Royal Statistical Society B 57.
    """
    if not changes:
        return []
    adjusted = false_discovery_control([found.p_value for found in changes])
    return [
        Change(c.measure, c.before, c.after, c.difference, c.p_value, significant=bool(q <= 1 - confidence))
        for c, q in zip(changes, adjusted, strict=True)
    ]
