"""Other thresholds of a binary score: precision and recall, and what they would have cost."""

import numpy as np

from evaljob.report import figures
from evaljob.report import numbers as n
from evaljob.report.parts import Block, Cell, Figure, Table
from evaljob.report.scores import Scores
from evaljob.report.verdict import Judged
from evaljob.statistics.arrays import Floats, ratio
from evaljob.statistics.confusion import Outcomes
from evaljob.statistics.costs import Costs, cheapest, cost_at, cost_per_row_interval, outcomes_at, thresholds

_STEPS = 10  # rows of a table, less one


def block(judged: Judged, found: Scores) -> Block:
    """What other thresholds would have given on the requests of the main window."""
    outcomes = outcomes_at(found.positives[None, :], (found.support - found.positives)[None, :])
    at = np.minimum(thresholds(), 1.0)
    parts, notes = [_rates(judged, outcomes, at)], []
    if judged.evaluation.costs is not None:
        prices = Costs(**judged.evaluation.costs.outcomes.model_dump())
        parts = [_cost(judged, outcomes, prices, at), *parts]
        notes = ["The cheapest threshold is chosen on the very requests it is judged by: on new ones it saves less."]
    intro = "What other thresholds would have given on the same requests."
    return Block("thresholds", "Other thresholds", intro, figures=parts, notes=notes)


def _rates(judged: Judged, outcomes: Outcomes, at: Floats) -> Figure:
    tp, fp, fn, _ = (part[0] for part in outcomes)
    curves = {"precision": ratio(tp, tp + fp), "recall": ratio(tp, tp + fn)}
    svg = figures.threshold_rates(f"{judged.id}-thresholds", at, curves)
    rows = [[Cell(f"{at[i]:.2f}"), *(Cell(n.percent(curve[i])) for curve in curves.values())] for i in _shown(at)]
    title = "Precision and recall by threshold"
    text = "What precision and recall would have been, had a request been called positive from each score up."
    return Figure(title, svg, text, Table(title, ["Threshold", "Precision", "Recall"], rows, "data"))


def _cost(judged: Judged, outcomes: Outcomes, prices: Costs, at: Floats) -> Figure:
    assert judged.evaluation.costs is not None  # noqa: S101  (asked before)
    currency, counts = judged.evaluation.costs.currency, np.stack([part[0] for part in outcomes], axis=1)
    each, best = ratio(cost_at(outcomes, prices)[0], counts.sum(axis=1)), float(cheapest(outcomes, prices).threshold[0])
    band = cost_per_row_interval(counts, prices, judged.evaluation.confidence)
    made = judged.numbers.get("cost_per_prediction", judged.total).value
    svg = figures.cost_by_threshold(f"{judged.id}-cost", at, each, band, made, best, n.whole)
    least = f"{n.money(float(np.interp(best, at, each)))} {currency} at {best:.2g}, the cheapest"
    summary = f"{least}, against {n.money(made)} {currency} as predicted."
    rows = [
        [Cell(f"{at[i]:.2f}"), Cell(n.money(each[i])), Cell(f"{n.money(band.lower[i])} to {n.money(band.upper[i])}")]
        for i in _shown(at)
    ]
    data = Table("Cost by threshold", ["Threshold", f"{currency} each", "Interval"], rows, "data")
    return Figure(f"Cost per prediction by threshold, {currency}", svg, summary, data)


def _shown(at: Floats) -> list[int]:
    return [int(np.argmin(np.abs(at - t))) for t in np.linspace(0, 1, _STEPS + 1)]
