"""The kinds of figures. Each takes numbers and gives SVG; what it shows stands beside it in words and in a table."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from evaljob.report.figures.canvas import INK, LINE, MUTED, ONE, PAPER, SOFT, THREE, TWO, Chart
from evaljob.report.numbers import Form, money, percent, seconds
from evaljob.statistics.arrays import Floats, Integers, Numbers
from evaljob.statistics.reliability import Diagram as Fit

_VERSIONS = (ONE, TWO, THREE)
_DAY = 86_400.0
_LONGEST = 9  # letters beside a line
_SMALL = 2.3  # inches: the height of a trend
_SHOWN = (4, 96)  # percentiles of a version's values that a trend makes room for
_LAGS = (1.0, 60.0, 3600.0, 86_400.0, 604_800.0, 2_592_000.0, 31_536_000.0)
_SQUARE = 3.6
_STRIP = 0.12  # of the height of a reliability diagram: where the scores lie


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


@dataclass(frozen=True)
class Diagram:
    """What a reliability diagram shows.

    Of each bin, NaN where it is empty: mean score, observed frequency with its interval, requests. `fit` is the
    isotonic fit with its consistency band; `shares` are those of all scores between `edges`.
    """

    predicted: Floats
    observed: Floats
    lower: Floats
    upper: Floats
    support: Integers
    fit: Fit
    edges: Floats
    shares: Floats

    @property
    def outside(self) -> float:
        """The share of requests at whose scores the fit lies outside its band."""
        fit = self.fit
        out = (fit.recalibrated < fit.lower) | (fit.recalibrated > fit.upper)
        return float(fit.support[out].sum() / fit.support.sum())


def reliability(name: str, diagram: Diagram) -> str:
    """Observed frequency by score beside what calibrated scores would give, and below it where the scores lie."""
    chart, fit = Chart(name), diagram.fit
    with chart.drawing(_SQUARE) as axes:
        axes.grid(visible=True, axis="both")
        axes.fill_between(fit.score, fit.lower, fit.upper, color=SOFT, linewidth=0)
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)))
        axes.stairs(_STRIP * diagram.shares / diagram.shares.max(), diagram.edges, fill=True, color=LINE)
        axes.plot(fit.score, fit.recalibrated, color=ONE, linewidth=1.6)
        known = ~np.isnan(diagram.predicted)
        distance = np.stack([diagram.observed - diagram.lower, diagram.upper - diagram.observed])[:, known]
        axes.errorbar(
            diagram.predicted[known], diagram.observed[known], yerr=np.maximum(distance, 0), fmt="o", color=INK,
            markersize=4.5, linewidth=1.2, zorder=5,
        )  # fmt: skip
        axes.set(xlim=(0, 1), ylim=(0, 1.01), xlabel="score", ylabel="observed frequency")
        _shares(axes, "both")
    return chart.svg


def scores(name: str, edges: Floats, counts: Mapping[str, Numbers], *, logarithmic: bool = False) -> str:
    """How scores are distributed among the requests of each label, each as shares of its own."""
    chart = Chart(name)
    with chart.drawing() as axes:
        for (label, number), colour in zip(counts.items(), (ONE, TWO), strict=True):
            share = number / max(int(number.sum()), 1)
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.28, linewidth=0)
            axes.stairs(share, edges, color=colour, linewidth=1.5, label=f"{label} ({int(number.sum()):,})")
        if logarithmic:
            axes.set_xscale("log")
        else:
            axes.set_xlim(0, 1)
            _shares(axes, "x")
        axes.set(xlabel="score", ylabel="share of the label's requests")
        _shares(axes, "y")
        axes.set_ylim(bottom=0)
        axes.legend(loc="best")
    return chart.svg


def threshold_rates(name: str, thresholds: Floats, curves: Mapping[str, Floats]) -> str:
    """Rates at every threshold."""
    chart = Chart(name)
    with chart.drawing() as axes:
        for (label, values), colour in zip(curves.items(), _VERSIONS, strict=False):
            axes.plot(thresholds, values, color=colour, linewidth=1.8, label=label)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="threshold")
        _shares(axes, "both")
        axes.legend(loc="best")
    return chart.svg


@dataclass(frozen=True)
class Curve:
    """A value at every threshold, with its interval."""

    at: Floats
    value: Floats
    lower: Floats
    upper: Floats

    def interval(self, i: int) -> str:
        """The bounds at one of the thresholds."""
        return f"{money(self.lower[i])} to {money(self.upper[i])}"


def cost_by_threshold(name: str, curve: Curve, made: float, cheapest: float, form: Form) -> str:
    """Cost per prediction at every threshold, beside what the predictions as made have cost."""
    chart = Chart(name)
    with chart.drawing() as axes:
        axes.fill_between(curve.at, curve.lower, curve.upper, color=SOFT, linewidth=0)
        axes.plot(curve.at, curve.value, color=INK, linewidth=1.8, label="at the threshold")
        axes.axhline(made, color=TWO, linewidth=1.4, linestyle=(0, (5, 3)), label="as predicted")
        axes.plot([cheapest], [np.interp(cheapest, curve.at, curve.value)], "o", color=ONE, markersize=7,
                  markeredgecolor=PAPER, label="cheapest", linestyle="none")  # fmt: skip
        axes.set(xlim=(0, 1), xlabel="threshold")
        axes.yaxis.set_major_locator(MaxNLocator(5))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda y, _: form(y)))
        _shares(axes, "x")
        axes.legend(loc="best")
    return chart.svg


def label_lag(name: str, lags: Floats, share: Floats, band: tuple[Floats, Floats] | None = None) -> str:
    """The share of labels that came within a time, on a logarithmic axis."""
    chart = Chart(name)
    with chart.drawing() as axes:
        shown = np.maximum(lags, 1.0)
        if band is not None:
            axes.fill_between(shown, *band, step="post", color=SOFT, linewidth=0)
        axes.step(shown, share, where="post", color=ONE, linewidth=1.8)
        axes.set_xscale("log")
        low, high = shown.min(), max(shown.max(), shown.min() * 10)
        ticks = [lag for lag in _LAGS if low / 3 <= lag <= high * 1.5]
        axes.set(xlim=(low * 0.9, high * 1.1), ylim=(0, 1.02), xlabel="time after the prediction")
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: seconds(x).replace(".0", "")))
        axes.grid(visible=True, axis="both")
        _shares(axes, "y")
    return chart.svg


def _limit(axes: Axes, total: Line, versions: Sequence[Line]) -> None:
    """All of the total and its band, but not the first points of a version, which rest on few labels."""
    shown = [total.value, total.lower, total.upper]
    shown += [np.nanpercentile(line.value, _SHOWN) for line in versions if not np.isnan(line.value).all()]
    low, high = np.nanmin(np.concatenate(shown)), np.nanmax(np.concatenate(shown))
    margin = 0.06 * (high - low) or 0.5
    axes.set_ylim(low - margin, high + margin)


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


def _shares(axes: Axes, which: str) -> None:
    for axis in (axes.xaxis, axes.yaxis):
        if which in ("both", axis.axis_name):
            axis.set_major_formatter(FuncFormatter(lambda x, _: percent(x).replace(".0%", "%")))
            axis.set_major_locator(MaxNLocator(5))


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
