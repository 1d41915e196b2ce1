"""The business side, always beside the ML metric: what the outcomes cost, and what the labels were worth."""

import numpy as np

from evaljob.config import Costs
from evaljob.join.plan import OUTCOME
from evaljob.metrics.classification import confusion_matrix
from evaljob.metrics.results import Results
from evaljob.metrics.series import Values


def add(results: Results) -> None:
    """Cost of the outcomes where costs are configured, and the sums of the label log's value columns."""
    if results.series.evaluation.costs is not None:
        _add_cost(results, results.series.evaluation.costs)
    for i, name in enumerate(results.series.evaluation.values):
        _add_value(results, i, name)


def _add_cost(results: Results, costs: Costs) -> None:
    """Outcomes times their unit cost. Per prediction: over the labeled ones, for the others' outcomes are not known."""
    series = results.series
    matrix, _ = confusion_matrix(series)
    outcomes = costs.outcomes
    unit = np.array([[outcomes.tn, outcomes.fp], [outcomes.fn, outcomes.tp]])
    cost = (matrix * unit).sum(axis=(1, 2))
    results.count("cost", cost)
    results.measure("cost_per_prediction", _ratio(cost, series.support))


def _add_value(results: Results, number: int, name: str) -> None:
    """Sum of a value column of the labels. Per prediction: over all predictions of the window, labeled or not."""
    series = results.series
    total = series.real(series.of_kind(OUTCOME), f"value_{number}")
    results.count("value_sum", total, support=series.labeled, column=name)
    results.count("value_per_prediction", _ratio(total, series.predictions), support=series.predictions, column=name)


def _ratio(a: Values, b: np.ndarray) -> Values:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(a / b, dtype="float64")
