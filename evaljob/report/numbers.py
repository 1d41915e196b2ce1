"""Results as numbers to look up, and numbers as texts to read."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeAlias

import pandas as pd

from evaljob.metrics.results import LABELS
from evaljob.metrics.series import ALL, OVERALL
from evaljob.tables import count, duration

UNDEFINED = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
_LONGEST_NAME = 64
_CENTS = 100.0  # an amount below this is told to the cent
_LEAST_CHANCE = 0.001
_KEPT = (40, 16)  # characters of a longer name: where it begins and where it ends

Form: TypeAlias = Callable[[float], str]
Further: TypeAlias = tuple[str, ...]  # a metric's own labels, in the order of LABELS


@dataclass(frozen=True)
class Number:
    """A value with its interval and what it rests on; NaN where it is undefined or has no interval."""

    value: float = math.nan
    lower: float = math.nan
    upper: float = math.nan
    support: int = 0

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return self.defined and not math.isnan(self.lower)


NOTHING = Number()


@dataclass(frozen=True)
class Series:
    """What a number is of: a window, a version (`all`), a slice (`overall`) and one value of it."""

    window: str
    version: str = ALL
    slice: str = OVERALL
    value: str = ""


class Numbers:
    """The results of one model at one instant, by metric, series and the metric's own labels."""

    def __init__(self, results: pd.DataFrame) -> None:
        self._found: dict[tuple[str, Series], dict[Further, Number]] = {}
        labels = [name for name in LABELS if name in results.columns]
        names = ["metric", "window", "model_version", "slice", "slice_value", "value", "lower", "upper", "support"]
        columns = [results[name].astype(object).to_numpy() for name in (*names, *labels)]
        for metric, window, version, slice_, text, value, lower, upper, support, *further in zip(*columns, strict=True):
            own = self._found.setdefault((metric, Series(window, version, slice_, text)), {})
            own[tuple(further)] = Number(value, lower, upper, int(support))
        self._labels = labels

    def get(self, metric: str, series: Series, **labels: str) -> Number:
        """The number of a metric; one without a value where there is none."""
        wanted = tuple(labels.get(name, labels.get(f"{name}_", "")) for name in self._labels)
        return self._found.get((metric, series), {}).get(wanted, NOTHING)

    def labeled(self, metric: str, series: Series) -> list[tuple[Mapping[str, str], Number]]:
        """All numbers of a metric with its own labels, in the order in which they were evaluated."""
        found = self._found.get((metric, series), {}).items()
        return [(dict(zip(self._labels, own, strict=True)), number) for own, number in found]

    def by(self, metric: str, series: Series, label: str) -> dict[str, Number]:
        """The same by one of the labels."""
        return {labels.get(label, ""): number for labels, number in self.labeled(metric, series)}

    def series(self, metric: str) -> Iterator[Series]:
        """The series that have a metric."""
        return (series for found, series in self._found if found == metric)


def percent(value: float) -> str:
    """A share: 86.5%."""
    return UNDEFINED if math.isnan(value) else f"{value:.1%}".replace("-", MINUS)


def score(value: float) -> str:
    """A score between -1 and 1 or a loss: 0.928."""
    return UNDEFINED if math.isnan(value) else f"{value:.3f}".replace("-", MINUS)


def plain(value: float) -> str:
    """A number in four significant digits."""
    if math.isnan(value):
        return UNDEFINED
    return (f"{value:,.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:.4g}").replace("-", MINUS)  # noqa: PLR2004


def rough(value: float) -> str:
    """A number in two significant digits."""
    return f"{value:.2g}"


def money(value: float) -> str:
    """An amount, to the cent where cents matter."""
    if math.isnan(value):
        return UNDEFINED
    return f"{value:,.{2 if abs(value) < _CENTS else 0}f}".replace("-", MINUS)


def chance(value: float) -> str:
    """A probability that may be tiny."""
    return f"below {_LEAST_CHANCE}" if value < _LEAST_CHANCE else score(value)


def whole(value: float) -> str:
    """A count."""
    return UNDEFINED if math.isnan(value) else count(value)


def seconds(value: float) -> str:
    """A duration in the unit that reads best."""
    return UNDEFINED if math.isnan(value) else duration(value)


def points(value: float) -> str:
    """A difference of shares, without its sign: 4.2 points."""
    return UNDEFINED if math.isnan(value) else f"{abs(value) * 100:.1f} points"


def signed(form: Form, value: float) -> str:
    """A difference with its sign."""
    text = form(abs(value))
    return text if math.isnan(value) else f"{MINUS if value < 0 else '+'}{text}"


def interval(form: Form, number: Number) -> str:
    """The bounds of a number: `85.3 to 87.6%`; empty where it has none."""
    if not number.bounded:
        return ""
    lower, upper = form(number.lower), form(number.upper)
    shared = "%" if lower.endswith("%") else ""
    return f"{lower.removesuffix(shared)} to {upper}"


def span(length: timedelta) -> str:
    """A length of time in words: `7 days`, `90 minutes`."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        number, rest = divmod(int(length.total_seconds()), size)
        if number and not rest:
            return f"{number} {unit}{'s' * (number != 1)}"
    return f"{int(length.total_seconds())} seconds"


def moment(t: datetime) -> str:
    """An instant, to the minute, in UTC."""
    return f"{t.day} {t:%B %Y}, {t:%H:%M}"


def day(t: datetime) -> str:
    """An instant in few characters."""
    return f"{t.day} {t:%b} {t:%H:%M}"


def name(text: str) -> str:
    """A name from the logs, short enough to read and without characters that would turn the text around it."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    if len(shown) <= _LONGEST_NAME:
        return shown
    begin, end = _KEPT
    return f"{shown[:begin]} … {shown[-end:]}"


def listed(texts: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} {last} {texts[-1]}"


FORMS: Mapping[str, Form] = {
    "percent": percent,
    "score": score,
    "plain": plain,
    "money": money,
    "count": whole,
    "chance": chance,
}
