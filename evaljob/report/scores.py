"""The scores of one series by fine bin: histogram by label, reliability diagram."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaljob.config import Evaluation
from evaljob.metrics.series import Series
from evaljob.report import numbers as n
from evaljob.report.figures.charts import Diagram
from evaljob.statistics import calibration, calibration_intervals
from evaljob.statistics.arrays import Floats, Integers, ratio
from evaljob.statistics.bins import SCORE_BINS, SCORE_UNIT, score_bin_edges

COARSE = 25  # bins of a histogram from 0 to 1
_LOW, _MOST = 0.02, 0.9  # with so many of the scores below this, a logarithmic axis shows more
_LOWEST = 1e-6


@dataclass(frozen=True)
class Scores:
    """Requests, those that came true, and the sum of their scores: each of shape (SCORE_BINS,)."""

    support: Integers
    positives: Integers
    score: Floats

    def histogram(self) -> tuple[Floats, tuple[Integers, Integers], bool]:
        """Edges, the counts of what did not come true and of what did, and whether the axis is to be logarithmic."""
        edges = score_bin_edges() / SCORE_UNIT
        logarithmic = self.support[edges[1:] <= _LOW].sum() > _MOST * self.support.sum()
        if logarithmic:
            shown = np.maximum(edges, _LOWEST / 10)
            return shown, (self.support - self.positives, self.positives), True
        counts = (_coarse(self.support - self.positives), _coarse(self.positives))
        return np.linspace(0, 1, COARSE + 1), counts, False

    def summary(self, names: Sequence[str]) -> str:
        """The median score of each label, in words."""
        told = [
            f"half of “{name}” score above {self._median(counts):.2g}"
            for name, counts in zip(names, (self.support - self.positives, self.positives), strict=True)
            if counts.sum()
        ]
        return f"{n.listed(told)}.".capitalize() if told else ""

    def diagram(self, evaluation: Evaluation) -> Diagram:
        """The reliability diagram in the evaluation's bins, with the isotonic fit and where it would lie."""
        fine = calibration.Bins(self.support[None, :], self.positives[None, :], self.score[None, :])
        configured = evaluation.calibration
        merge = calibration.uniform_bins if configured.strategy == "uniform" else calibration.quantile_bins
        bins = merge(fine, configured.bins)
        points = calibration.reliability(bins)
        observed = calibration_intervals.observed_ratio(bins, evaluation.confidence)
        expected = calibration_intervals.consistency_band(bins, evaluation.confidence)
        some = self.support > 0
        return Diagram(
            predicted=points.mean_predicted[0],
            observed=points.observed_ratio[0],
            lower=observed.lower[0],
            upper=observed.upper[0],
            support=bins.support[0],
            band_lower=expected.lower[0],
            band_upper=expected.upper[0],
            grid=ratio(self.score, self.support)[some],
            fitted=calibration.isotonic(fine)[0][some],
            edges=np.linspace(0, 1, COARSE + 1),
            shares=ratio(_coarse(self.support), self.support.sum()),
        )

    def _median(self, counts: Integers) -> float:
        place = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
        return float(score_bin_edges()[place] / SCORE_UNIT)


def scores_of(series: Series, place: int) -> Scores:
    """The scores of one series."""
    own = (series.outcomes["series"].to_numpy() == place) & (series.outcomes["bucket"].to_numpy() >= 0)
    cells, events = series.outcomes[own], series.events[own]
    bucket = cells["bucket"].to_numpy()

    def total(weights: np.ndarray) -> np.ndarray:
        return np.bincount(bucket, weights=weights, minlength=SCORE_BINS)

    count = cells["n"].to_numpy()
    return Scores(
        total(count).astype(np.int64),
        total(count * events).astype(np.int64),
        total(cells["score"].to_numpy()) / SCORE_UNIT,
    )


def _coarse(counts: Integers) -> Integers:
    """Counts of the fine bins in COARSE equal ones, whose edges are edges of fine bins."""
    low = score_bin_edges()[:-1]
    return np.bincount(low * COARSE // SCORE_UNIT, weights=counts, minlength=COARSE).astype(np.int64)
