"""The business side, always beside the ML metric: what the outcomes cost, and what the labels were worth."""

from functools import partial

import numpy as np

from evaljob.join.plan import OUTCOME
from evaljob.metrics import pricing
from evaljob.metrics.classification import confusion_matrix
from evaljob.metrics.results import Results
from evaljob.metrics.series import Counts, Series, Values
from evaljob.statistics.arrays import ratio
from evaljob.statistics.costs import cost_per_row_interval
from evaljob.statistics.intervals import Interval, proportion
from evaljob.statistics.means import mean_interval, positive_mean_interval


def add(results: Results) -> None:
    """Cost of the outcomes where costs are configured, and the sums of the label log's value columns.

    The interval of a sum is that of its mean, times the rows that were there.
    """
    if results.series.evaluation.costs is not None:
        _add_cost(results)
    for i, name in enumerate(results.series.evaluation.values):
        _add_value(results, i, name)


def _add_cost(results: Results) -> None:
    """Per prediction: over the labeled ones, for the others' outcomes are not known."""
    series = results.series
    bill = pricing.billed(series)
    cost, squares = (series.summed(series.outcomes, part) for part in bill)
    support, confidence = series.support, series.evaluation.confidence
    prices = _fixed_prices(series)
    if prices is not None:
        counts = confusion_matrix(series)[0].reshape(len(series), -1)
        interval = partial(cost_per_row_interval, counts, prices, confidence)
    else:
        mean = positive_mean_interval if (bill.total >= 0).all() else mean_interval
        interval = partial(mean, support, cost, squares, confidence)
    results.count("cost", cost, lambda: _times(interval(), support))
    results.measure("cost_per_prediction", ratio(cost, support), interval)


def _fixed_prices(series: Series) -> Values | None:
    """Of a binary task whose prices are all numbers: those of the confusion matrix, row by row."""
    costs = series.evaluation.costs
    prices = [] if costs is None or costs.outcomes is None else [getattr(costs.outcomes, k) for k in pricing.OUTCOMES]
    if not prices or any(price.column is not None for price in prices):
        return None
    return np.array([price.factor for price in prices])


def _add_value(results: Results, number: int, name: str) -> None:
    """Sum of a value column of the labels. Per prediction: over all predictions of the window, labeled or not."""
    series, confidence = results.series, results.series.evaluation.confidence
    cells = series.of_kind(OUTCOME)
    each, squared = (series.real_of(cells, f"{kind}_{number}") for kind in ("value", "squared_value"))
    total, squares = series.summed(cells, each), series.summed(cells, squared)

    def interval() -> Interval:
        """Of a proportion where all values are 0 or 1, such as clicks; of a positive mean where none is below 0."""
        n = series.predictions
        if each.any() and np.array_equal(each, squared):
            return proportion(total, n, confidence)
        return (positive_mean_interval if (each >= 0).all() else mean_interval)(n, total, squares, confidence)

    n = series.predictions
    results.count("value_sum", total, lambda: _times(interval(), n), support=series.labeled, column=name)
    results.count("value_per_prediction", ratio(total, n), interval, support=n, column=name)


def _times(limits: Interval, rows: Counts) -> Interval:
    return Interval(limits.lower * rows, limits.upper * rows)
