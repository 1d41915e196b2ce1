"""The kinds of figures. Each takes numbers and gives SVG; what it shows stands beside it in words and in a table."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import FuncFormatter, MaxNLocator

from evaljob.report.figures.axes import shares, timed
from evaljob.report.figures.canvas import INK, LINE, MUTED, ONE, PAPER, SOFT, TWO, Chart
from evaljob.report.numbers import Form, money
from evaljob.statistics.arrays import Floats, Integers, Numbers
from evaljob.statistics.reliability import Diagram as Fit

_SQUARE = 3.6  # inches: the height of a reliability diagram
_STRIP = 0.12  # of that height: where the scores lie


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
        shares(axes, "both")
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
            shares(axes, "x")
        axes.set(xlabel="score", ylabel="share of the label's requests")
        shares(axes, "y")
        axes.set_ylim(bottom=0)
        axes.legend(loc="best")
    return chart.svg


def threshold_rates(name: str, thresholds: Floats, curves: Mapping[str, Floats]) -> str:
    """Rates at every threshold."""
    chart = Chart(name)
    with chart.drawing() as axes:
        for (label, values), colour in zip(curves.items(), (ONE, TWO), strict=True):
            axes.plot(thresholds, values, color=colour, linewidth=1.8, label=label)
        axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="threshold")
        shares(axes, "both")
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
        shares(axes, "x")
        axes.legend(loc="best")
    return chart.svg


@dataclass(frozen=True)
class Arrival:
    """The share of predictions that have their label by a time, with its interval."""

    times: Floats
    share: Floats
    lower: Floats
    upper: Floats


def label_lag(name: str, lags: Floats, share: Floats, arrival: Arrival | None = None) -> str:
    """The share of labels that came within a time, and of predictions, on a logarithmic axis."""
    chart = Chart(name)
    with chart.drawing() as axes:
        shown = np.maximum(lags, 1.0)
        style = {"color": ONE} if arrival is None else {"color": MUTED, "linestyle": (0, (4, 2))}
        axes.step(shown, share, where="post", linewidth=1.6, label="of the labels that came", **style)
        if arrival is not None:
            times = np.maximum(arrival.times, 1.0)
            axes.fill_between(times, arrival.lower, arrival.upper, step="post", color=SOFT, linewidth=0)
            axes.step(times, arrival.share, where="post", color=ONE, linewidth=1.8, label="of all predictions")
            axes.legend(loc="upper left")
        timed(axes, shown.min(), max(shown.max(), shown.min() * 10))
        axes.set(ylim=(0, 1.02), xlabel="time after the prediction")
        axes.grid(visible=True, axis="both")
        shares(axes, "y")
    return chart.svg
