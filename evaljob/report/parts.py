"""What a page is made of, as plain data for its template: tiles, tables with bars in them, and figures."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from evaljob.report.catalogue import Measure
from evaljob.report.numbers import UNDEFINED, Number, interval


@dataclass(frozen=True)
class Bar:
    """An interval on a scale, in percent of its width; `reference` is where the number of all rows lies."""

    left: float
    width: float
    at: float
    reference: float | None = None


@dataclass(frozen=True)
class Cell:
    """A cell of a table: a text, a smaller one beneath, perhaps a bar, or a share from 0 to 1 as its shade."""

    text: str
    sub: str = ""
    bar: Bar | None = None
    shade: float | None = None
    strong: bool = False


@dataclass(frozen=True)
class Table:
    """A table; the first cell of a row is its heading. `numeric` tells which columns hold numbers."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    kind: str = ""
    corner: str = ""  # what stands above all columns but the first


@dataclass(frozen=True)
class Tile:
    """One headline number."""

    title: str
    text: str
    sub: str
    explained: str
    unit: str = ""
    moved: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Figure:
    """A figure: what it shows in words, and its numbers as a table."""

    title: str
    svg: str
    summary: str
    data: Table
    wide: bool = False


@dataclass(frozen=True)
class Block:
    """A part of a model's section, under a heading of its own."""

    id: str
    title: str
    intro: str = ""
    tiles: Sequence[Tile] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def number_cell(measure: Measure, number: Number, *, strong: bool = False) -> Cell:
    """A number with its interval beneath."""
    text = measure.form(number.value) if number.defined else UNDEFINED
    return Cell(text, interval(measure.form, number), strong=strong)


class Scale:
    """A common scale of the bars of one table."""

    def __init__(self, numbers: Sequence[Number], reference: Number | None = None) -> None:
        known = [x for number in numbers if number.defined for x in _ends(number)]
        self.low, self.high = (min(known), max(known)) if known else (0.0, 1.0)
        margin = (self.high - self.low) * 0.04 or 0.5
        shares = self.low >= 0 and self.high <= 1
        self.low, self.high = self.low - margin, self.high + margin
        if shares:
            self.low, self.high = max(self.low, 0.0), min(self.high, 1.0)
        self.reference = None if reference is None or not reference.defined else self._at(reference.value)

    def heading(self, measure: Measure) -> str:
        """What stands above the bars: where the scale begins and ends."""
        return f"Interval, on {measure.form(self.low)} to {measure.form(self.high)}"

    def bar(self, number: Number) -> Bar | None:
        """The bar of a number, None where it is undefined."""
        if not number.defined:
            return None
        left, right = (self._at(x) for x in (_ends(number)[0], _ends(number)[-1]))
        return Bar(left, round(right - left, 2), self._at(number.value), self.reference)

    def _at(self, x: float) -> float:
        return round(float(np.clip(100 * (x - self.low) / (self.high - self.low), 0, 100)), 2)


def _ends(number: Number) -> tuple[float, ...]:
    return (number.lower, number.value, number.upper) if number.bounded else (number.value,)
