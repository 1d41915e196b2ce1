"""The scores of the main window by fine bin: histogram by label, reliability diagram."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from evaljob.config import Evaluation
from evaljob.report import numbers as n
from evaljob.report.figures.charts import Diagram
from evaljob.statistics import calibration, calibration_intervals
from evaljob.statistics.arrays import Floats, Integers, ratio
from evaljob.statistics.binning import score_edges
from evaljob.statistics.bins import SCORE_UNIT
from evaljob.statistics.reliability import corp_diagram

COARSE = 25  # bins of a histogram from 0 to 1
_LOW, _MOST = 0.02, 0.9  # with so many of the scores below this, a logarithmic axis shows more
_LOWEST = 1e-7  # where that axis begins


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, of what did not come true and of what did."""

    edges: Floats
    negatives: Integers
    positives: Integers
    logarithmic: bool


@dataclass(frozen=True)
class Spread:
    """The scores of one series: fine bins of shape (1, SCORE_BINS)."""

    fine: calibration.Bins

    @property
    def positives(self) -> Integers:
        """Requests that came true, by bin."""
        return np.asarray(self.fine.positives[0])

    @property
    def negatives(self) -> Integers:
        """Requests that did not, by bin."""
        return np.asarray(self.fine.support[0]) - self.positives

    def histogram(self) -> Histogram:
        """In equal bins, or where most scores are close to 0 in the fine ones."""
        edges, support = score_edges() / SCORE_UNIT, self.fine.support[0]
        if support[edges[1:] <= _LOW].sum() > _MOST * support.sum():
            return Histogram(np.maximum(edges, _LOWEST), self.negatives, self.positives, logarithmic=True)
        equal = np.linspace(0, 1, COARSE + 1)
        return Histogram(equal, _coarse(self.negatives), _coarse(self.positives), logarithmic=False)

    def summary(self, names: Sequence[str]) -> str:
        """The median score of each label, in words; `names` are those of negatives and positives."""
        told = [
            f"half of “{name}” score above {_median(counts):.2g}"
            for name, counts in zip(names, (self.negatives, self.positives), strict=True)
            if counts.any()
        ]
        return f"{n.listed(told)}.".capitalize()

    def diagram(self, evaluation: Evaluation) -> Diagram:
        """The reliability diagram: the evaluation's bins, and the isotonic fit with its consistency band."""
        configured = evaluation.calibration
        merge = calibration.uniform_bins if configured.strategy == "uniform" else calibration.quantile_bins
        bins = merge(self.fine, configured.bins)
        points = calibration.reliability(bins)
        observed = calibration_intervals.observed_ratio(bins, evaluation.confidence)
        return Diagram(
            predicted=points.mean_predicted[0],
            observed=points.observed_ratio[0],
            lower=observed.lower[0],
            upper=observed.upper[0],
            support=bins.support[0],
            fit=corp_diagram(self.fine, evaluation.confidence),
            edges=np.linspace(0, 1, COARSE + 1),
            shares=ratio(_coarse(self.fine.support[0]), self.fine.support.sum()),
        )


def _coarse(counts: Integers) -> Integers:
    """Counts of the fine bins in COARSE equal ones, whose edges are edges of fine bins."""
    low = score_edges()[:-1]
    return np.bincount(low * COARSE // SCORE_UNIT, weights=counts, minlength=COARSE).astype(np.int64)


def _median(counts: Integers) -> float:
    place = int(np.searchsorted(np.cumsum(counts), counts.sum() / 2))
    return float(score_edges()[place] / SCORE_UNIT)
