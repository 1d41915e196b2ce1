"""How a number moved: the total with its band, and its versions."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FuncFormatter, MaxNLocator

from evaljob.report.figures.canvas import INK, ONE, SOFT, TWO, Chart
from evaljob.report.numbers import Form
from evaljob.statistics.arrays import Floats

_VERSIONS = (ONE, TWO)
_DAY = 86_400.0
_LONGEST = 9  # letters beside a line
_SMALL = 2.3  # inches: the height of a trend
_SHOWN = (4, 96)  # percentiles of a version's values that a trend makes room for


@dataclass(frozen=True)
class Line:
    """A value over time; NaN where it is undefined, and in the bounds where it has no interval."""

    name: str
    times: Sequence[datetime]
    value: Floats
    lower: Floats
    upper: Floats


def trend(name: str, total: Line, versions: Sequence[Line], form: Form) -> str:
    """A value over time with its band, and beside it the versions'."""
    chart = Chart(name)
    with chart.drawing(_SMALL, beside=52, labeled=False) as axes:
        times = _days(total.times)
        axes.fill_between(times, total.lower, total.upper, color=SOFT, linewidth=0)
        for line, colour in zip(versions, _VERSIONS, strict=False):
            axes.plot(_days(line.times), line.value, color=colour, linewidth=1.2)
        axes.plot(times, total.value, color=INK, linewidth=2.0)
        axes.set_xlim(times[0], times[-1])
        _limit(axes, total, versions)
        _mark_ends(axes, [(total, INK), *zip(versions, _VERSIONS, strict=False)])
        _dated(axes)
        axes.yaxis.set_major_locator(MaxNLocator(4))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: form(y)))
    return chart.svg


def _limit(axes: Axes, total: Line, versions: Sequence[Line]) -> None:
    """All of the total and its band, but not the first points of a version, which rest on few labels."""
    shown = [total.value, total.lower, total.upper]
    shown += [np.nanpercentile(line.value, _SHOWN) for line in versions if not np.isnan(line.value).all()]
    low, high = np.nanmin(np.concatenate(shown)), np.nanmax(np.concatenate(shown))
    margin = 0.06 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)


def _mark_ends(axes: Axes, lines: Sequence[tuple[Line, str]]) -> None:
    """The names of the lines at their ends, moved apart where they would lie on each other."""
    known = [(line, colour, _last(line.value)) for line, colour in lines]
    told = sorted(((p, line, c) for line, c, p in known if not np.isnan(p)), key=lambda found: found[0])
    if len(lines) == 1 or not told:
        return
    low, high = axes.get_ylim()
    for at, (_, line, colour) in zip(_apart([place for place, _, _ in told], 0.13 * (high - low)), told, strict=True):
        axes.annotate(_short(line.name), (_days(line.times[-1:])[0], at), xytext=(5, 0), textcoords="offset points",
                      color=colour, va="center", annotation_clip=False, fontsize=9.5)  # fmt: skip


def _apart(places: list[float], least: float) -> list[float]:
    """Ascending places moved so that no two are closer than this, about as far up as down."""
    moved = list(places)
    for i in range(1, len(moved)):
        moved[i] = max(moved[i], moved[i - 1] + least)
    surplus = sum(moved) / len(moved) - sum(places) / len(places)
    return [place - surplus for place in moved]


def _last(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known[-1]) if len(known) else float("nan")


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"


def _days(times: Sequence[datetime]) -> list[float]:
    """Instants as matplotlib counts them."""
    return [t.timestamp() / _DAY for t in times]


def _dated(axes: Axes) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=6, tz="UTC")  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    form = ConciseDateFormatter(locator, tz="UTC", show_offset=False)  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_formatter(form)
