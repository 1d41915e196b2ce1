"""The reliability diagram of one series in full: the isotonic curve, and where it would lie were scores calibrated."""

from typing import NamedTuple

import numpy as np

from evaljob.statistics.arrays import Floats, Integers
from evaljob.statistics.calibration import Bins, isotonic
from evaljob.statistics.intervals import normal_quantile

_REPLICATES = 1000


class Diagram(NamedTuple):
    """Points of the curve in ascending order of score, each array of shape (points,), one point a bin with rows.

    `score` is the bin's mean score, `recalibrated` the isotonic fit of the outcomes there: the share of positives that
    such scores turn out to mean. Calibrated: the two are equal. `lower` and `upper` are the consistency band: where
    the fit would lie with the given confidence, point by point, were the scores calibrated. `support` counts rows, and
    `positives` those among them.
    """

    score: Floats
    recalibrated: Floats
    lower: Floats
    upper: Floats
    support: Integers
    positives: Integers


def corp_diagram(bins: Bins, confidence: float, *, seed: int = 0) -> Diagram:
    """The CORP reliability diagram of one series (bins of shape (1, bins), fine ones for the full resolution).

    The band is simulated: outcomes are drawn as the scores say, 1,000 times, each fitted anew; its limits are quantiles
    of the fits. The seed repeats them. Without rows every array is empty. Rows of one bin are taken to have its mean
    score. Raises ValueError for more series than one. Source: Dimitriadis, Gneiting and Jordan (2021), PNAS 118(8),
    "consistency bands".
    """
    normal_quantile(confidence)  # refuses what is no confidence
    if len(bins.support) != 1:
        raise ValueError(f"a diagram shows one series, not {len(bins.support)}")
    place = np.flatnonzero(bins.support[0])
    support, positives = (np.asarray(counts[0, place], dtype=np.int64) for counts in (bins.support, bins.positives))
    score = np.clip(bins.score[0, place] / support, 0.0, 1.0)
    drawn = np.random.default_rng(seed).binomial(support, score, (_REPLICATES, len(place)))
    shape = drawn.shape
    fits = isotonic(Bins(np.broadcast_to(support, shape), drawn, np.broadcast_to(support * score, shape)))
    tails = (1 - confidence) / 2, (1 + confidence) / 2
    lower, upper = np.quantile(fits, tails, axis=0) if len(place) else (np.zeros(0), np.zeros(0))
    recalibrated = isotonic(bins)[0, place]
    return Diagram(score, recalibrated, np.minimum(lower, score), np.maximum(upper, score), support, positives)
