"""Other thresholds of a binary score: precision and recall, and what they would have cost."""

import numpy as np

from evaljob.metrics.scores import Scores
from evaljob.metrics.series import Series
from evaljob.metrics.thresholds import cost_curve
from evaljob.report import figures
from evaljob.report import numbers as n
from evaljob.report.gather import total_of
from evaljob.report.judged import Judged
from evaljob.report.parts import Block, Cell, Figure, Table
from evaljob.statistics.arrays import Floats, ratio
from evaljob.statistics.costs import outcomes_at, thresholds

_STEPS = 10  # rows of a table, less one


def block(judged: Judged, series: Series, scores: Scores) -> Block:
    """What other thresholds would have given on the requests of the main window."""
    parts, notes = [_rates(judged, scores.of(np.array([total_of(series, judged.window.name)])))], []
    if judged.evaluation.costs is not None:
        parts = [_cost(judged, series, scores), *parts]
        notes = ["The cheapest threshold is chosen on the very requests it is judged by: on new ones it saves less."]
    intro = "What other thresholds would have given on the same requests."
    return Block("thresholds", "Other thresholds", intro, figures=parts, notes=notes)


def _at() -> Floats:
    return np.minimum(thresholds(), 1.0)


def _rates(judged: Judged, scores: Scores) -> Figure:
    tp, fp, fn, _ = (part[0] for part in outcomes_at(scores.fine.positives, scores.negatives))
    curves = {"precision": ratio(tp, tp + fp), "recall": ratio(tp, tp + fn)}
    at = _at()
    svg = figures.threshold_rates(f"{judged.id}-thresholds", at, curves)
    rows = [[Cell(f"{at[i]:.2f}"), *(Cell(n.percent(curve[i])) for curve in curves.values())] for i in _shown(at)]
    title = "Precision and recall by threshold"
    text = "What precision and recall would have been, had a request been called positive from each score up."
    return Figure(title, svg, text, Table(title, ["Threshold", "Precision", "Recall"], rows, "data"))


def _cost(judged: Judged, series: Series, scores: Scores) -> Figure:
    assert judged.evaluation.costs is not None  # noqa: S101  (asked before)
    currency, at = judged.evaluation.costs.currency, _at()
    place = int(np.searchsorted(np.flatnonzero(series.overall), total_of(series, judged.window.name)))
    each, band = cost_curve(series, scores)
    curve = figures.Curve(at, each[place], band.lower[place], band.upper[place])
    made = judged.numbers.get("cost_per_prediction", judged.total)
    best, least = (
        judged.numbers.get(f"cheapest_threshold{name}", judged.total) for name in ("", "_cost_per_prediction")
    )
    svg = figures.cost_by_threshold(f"{judged.id}-cost", curve, made.value, best.value, n.whole)
    rows = [[Cell(f"{at[i]:.2f}"), Cell(n.money(curve.value[i])), Cell(curve.interval(i))] for i in _shown(at)]
    data = Table("Cost by threshold", ["Threshold", f"{currency} each", "Interval"], rows, "data")
    summary = f"As predicted, a request cost {n.money(made.value)} {currency}."
    if best.defined:
        bounds = f" ({n.interval(n.rough, best)})" if best.bounded else ""
        summary += (
            f" The threshold {n.rough(best.value)}{bounds} would have cost least, {n.money(least.value)} {currency}."
        )
    return Figure(f"Cost per prediction by threshold, {currency}", svg, summary, data)


def _shown(at: Floats) -> list[int]:
    return [int(np.argmin(np.abs(at - t))) for t in np.linspace(0, 1, _STEPS + 1)]
