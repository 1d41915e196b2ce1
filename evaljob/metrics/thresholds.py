"""What a binary model's predictions would be at other thresholds of its score, and which would cost least."""

from functools import cache, partial

import numpy as np
import pandas as pd

from evaljob.metrics import pricing
from evaljob.metrics.results import Results
from evaljob.metrics.scores import Scores
from evaljob.metrics.series import Counts, Series, Values
from evaljob.statistics.arrays import ratio
from evaljob.statistics.bins import SCORE_BINS, SCORE_UNIT, score_bin_edges
from evaljob.statistics.confusion import Outcomes
from evaljob.statistics.costs import cost_per_row_interval, curve, outcomes_at
from evaljob.statistics.intervals import Interval, proportion
from evaljob.statistics.means import mean_interval, positive_mean_interval
from evaljob.statistics.threshold_intervals import CheapestLimits, Decisions, cheapest_interval

DEFAULT = (0.1, 0.3, 0.5, 0.7, 0.9)
_CALLED, _LEFT = ("fp", "tp"), ("tn", "fn")  # of negatives and positives


def add(results: Results, scores: Scores, seed: int) -> None:
    """Of the slice `overall`: precision and recall at a few thresholds; with costs also what they would cost."""
    series, confidence = results.series, results.series.evaluation.confidence
    chosen = series.evaluation.thresholds or DEFAULT
    places = np.searchsorted(score_bin_edges(), [round(t * SCORE_UNIT) for t in chosen])
    overall = scores.of(np.flatnonzero(series.overall))
    outcomes = Outcomes(*(part[:, places] for part in outcomes_at(overall.fine.positives, overall.negatives)))
    said, true = outcomes.tp + outcomes.fp, outcomes.tp + outcomes.fn
    each = partial(results.each, names=[f"{t:g}" for t in chosen], label="threshold", where=series.overall)
    for name, whole in (("precision", said), ("recall", true)):
        interval = partial(proportion, outcomes.tp, whole, confidence)
        each(f"threshold_{name}_ratio", values=ratio(outcomes.tp, whole), interval=interval, support=overall.support)
    if series.evaluation.costs is not None:
        spending = _Spending(series)
        each(
            "threshold_cost_per_prediction",
            values=ratio(spending.at(places), overall.support[:, None]),
            interval=partial(spending.interval, outcomes, places, confidence),
            support=overall.support,
        )
        _add_cheapest(results, spending, overall.support, seed)


def _add_cheapest(results: Results, spending: "_Spending", support: Counts, seed: int) -> None:
    series, found = results.series, spending.decisions.cheapest()

    @cache
    def limits() -> CheapestLimits:
        keys = series.keys[np.flatnonzero(series.overall)]
        return cheapest_interval(spending.decisions, keys, seed, series.evaluation.confidence)

    tell = partial(results.measure, support=support, where=series.overall)
    tell("cheapest_threshold", found.threshold, lambda: limits().threshold)
    tell("cheapest_threshold_cost_per_prediction", found.cost, lambda: limits().cost)


def cost_curve(series: Series, scores: Scores) -> tuple[Values, Interval]:
    """The cost of a row at every threshold of `statistics.costs.thresholds`, and its interval.

    Of each series of the slice `overall`, in their order: (overall series, SCORE_BINS + 1); NaN without scored rows.
    """
    spending, overall = _Spending(series), scores.of(np.flatnonzero(series.overall))
    places = np.arange(SCORE_BINS + 1)
    outcomes = outcomes_at(overall.fine.positives, overall.negatives)
    limits = spending.interval(outcomes, places, series.evaluation.confidence)
    return ratio(spending.at(places), overall.support[:, None]), limits


class _Spending:
    """What the rows of each fine bin cost when called positive and otherwise, of the slice `overall`."""

    def __init__(self, series: Series) -> None:
        self.series, self.rows_of = series, np.flatnonzero(series.overall)
        costs = series.evaluation.costs
        self._prices = {} if costs is None else dict(costs.prices())
        scored = series.outcomes["bucket"].to_numpy() >= 0
        cells, events = series.outcomes[scored], series.events[scored]
        self._parts = [cells[~events], cells[events]]
        rows = np.stack([self._by_bin(part, part["n"].to_numpy()) for part in self._parts])
        (called, self._called_squares), (left, self._left_squares) = self._spent(_CALLED), self._spent(_LEFT)
        self.decisions = Decisions(rows, called, left)

    def at(self, places: Counts) -> Values:
        """The cost at each threshold, (series, thresholds)."""
        return curve(self.decisions.called.sum(axis=0), self.decisions.left.sum(axis=0))[:, places]

    def interval(self, outcomes: Outcomes, places: Counts, confidence: float) -> Interval:
        """Of the cost of a row at each threshold."""
        prices = [self._prices[name] for name in Outcomes._fields]
        if all(price.column is None for price in prices):
            factors = [price.factor for price in prices]
            counts = (np.stack([part[:, i] for part in outcomes], axis=1) for i in range(len(places)))
            limits = [cost_per_row_interval(part, factors, confidence) for part in counts]
        else:
            total = self.at(places)
            squares = curve(self._called_squares.sum(axis=0), self._left_squares.sum(axis=0))[:, places]
            mean = positive_mean_interval if self._never_below_zero() else mean_interval
            rows = self.decisions.rows.sum(axis=(0, 2))
            limits = [mean(rows, total[:, i], squares[:, i], confidence) for i in range(len(places))]
        return Interval(*(np.stack(part, axis=1) for part in zip(*limits, strict=True)))

    def _never_below_zero(self) -> bool:
        return bool((self.decisions.called >= 0).all() and (self.decisions.left >= 0).all())

    def _spent(self, names: tuple[str, str]) -> tuple[Values, Values]:
        """The cost of negatives and positives at these outcomes, and of its squares: (2, series, SCORE_BINS)."""
        found = [
            pricing.spent(self.series, part, self._prices[name]) for part, name in zip(self._parts, names, strict=True)
        ]
        total, squares = (
            np.stack([self._by_bin(part, spent[i]) for part, spent in zip(self._parts, found, strict=True)])
            for i in (0, 1)
        )
        return total, squares

    def _by_bin(self, cells: pd.DataFrame, numbers: Values) -> Values:
        place = cells["series"].to_numpy() * SCORE_BINS + cells["bucket"].to_numpy()
        summed = np.bincount(place, weights=numbers, minlength=len(self.series) * SCORE_BINS)
        return summed.reshape(len(self.series), SCORE_BINS)[self.rows_of].astype("float64")
