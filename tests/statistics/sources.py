"""Models that logs are drawn from, and what is true of them."""

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from evaljob.statistics import calibration, ranking
from evaljob.statistics.calibration import Bins
from tests.statistics.logs import cells

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Source:
    """Scores from a beta distribution, and how the chance of a positive follows from the score."""

    a: float
    b: float
    kind: Literal["calibrated", "too extreme", "too low", "too high"] = "calibrated"

    def chance(self, score: Floats) -> Floats:
        """Of a positive."""
        if self.kind == "too extreme":
            return np.asarray(expit(0.5 * logit(score)))
        return np.minimum(score * {"calibrated": 1.0, "too low": 1.5, "too high": 0.5}[self.kind], 1.0)

    def draw(self, series: int, rows: int, seed: int) -> tuple[NDArray[np.int64], Floats]:
        """Labels and scores, each of shape (series, rows)."""
        rng = np.random.default_rng(seed)
        score = np.asarray(np.round(np.clip(rng.beta(self.a, self.b, (series, rows)), 1e-6, 1 - 1e-6), 9), np.float64)
        return rng.binomial(1, self.chance(score)), score

    @cache  # noqa: B019  (a few sources, each its whole run long)
    def truth(self) -> "Truth":
        """From 300,000 scores and their chances, without drawing a label."""
        _, score = self.draw(1, 300_000, 999)
        p = self.chance(score)
        counted = cells(np.zeros_like(score), score)
        place = np.nonzero(counted.negatives[0])[0]
        expected = np.zeros(counted.negatives.shape)
        expected[0, place] = _sums(score[0], p[0], counted.negatives[0, place])
        fine = Bins(counted.negatives, expected, counted.negative_score)
        return Truth(
            roc_auc=ranking.roc_auc(expected, counted.negatives - expected)[0],
            average_precision=ranking.average_precision(expected, counted.negatives - expected)[0],
            calibration_error=calibration.expected_calibration_error(calibration.uniform_bins(fine, 10))[0],
            bias=float((score - p).mean()),
            brier=float((p * (1 - score) ** 2 + (1 - p) * score**2).mean()),
            log_loss=float(-(p * np.log(score) + (1 - p) * np.log1p(-score)).mean()),
        )


@dataclass(frozen=True)
class Truth:
    """What a log of endless length would show."""

    roc_auc: float
    average_precision: float
    calibration_error: float
    bias: float
    brier: float
    log_loss: float


def _sums(score: Floats, p: Floats, support: NDArray[np.int64]) -> Floats:
    """The sums of p over the bins with rows, from scores in any order."""
    ordered = p[np.argsort(score, kind="stable")]
    return np.add.reduceat(ordered, np.concatenate([[0], np.cumsum(support)[:-1]]))


SOURCES = {
    "calibrated": Source(1, 1),
    "sharp": Source(0.5, 0.5),
    "uneven": Source(1, 9),
    "too extreme": Source(0.5, 0.5, "too extreme"),
    "too low": Source(1, 9, "too low"),
    "too high": Source(1, 9, "too high"),
}
