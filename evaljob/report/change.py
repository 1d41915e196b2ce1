"""Differences of two numbers from requests that have nothing in common: another window, or another version."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from evaljob.report.catalogue import HIGHER, NEITHER, Measure
from evaljob.report.numbers import Number
from evaljob.statistics.differences import difference_interval, p_value, significant
from evaljob.statistics.intervals import Interval


@dataclass(frozen=True)
class Change:
    """How a measure moved from one number to another: `difference` has the interval of `after - before`.

    `p_value` is the probability of a difference at least as large by chance alone; NaN where nothing can be said.
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
    """The difference with the interval made from the two numbers' own (statistics.differences)."""
    limits = difference_interval(*_bounded(after), *_bounded(before))
    difference = np.array([after.value - before.value])
    p = p_value(difference, limits, confidence)
    told = Number(float(difference[0]), float(limits.lower[0]), float(limits.upper[0]), after.support)
    return Change(measure, before, after, told, float(p[0]))


def judged(changes: Sequence[Change], confidence: float) -> list[Change]:
    """Which of several changes are shown when all are looked at; at most `1 - confidence` of those are chance."""
    p = np.array([found.p_value for found in changes])
    shown = significant(p, np.zeros(len(p)), 1 - confidence)
    return [replace(found, significant=bool(s == 1)) for found, s in zip(changes, shown, strict=True)]


def _bounded(number: Number) -> tuple[np.ndarray, Interval]:
    value, lower, upper = (np.array([x]) for x in (number.value, number.lower, number.upper))
    return value, Interval(lower, upper)
