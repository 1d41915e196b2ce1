"""Scores and durations to the bins and buckets of `bins`, and back, as arrays."""

import math
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from evaljob.statistics.arrays import Floats, Integers
from evaljob.statistics.bins import DURATION_GAMMA, DURATION_ZERO, SCORE_UNIT, score_bin_edges


@cache
def score_edges() -> Integers:
    """The edges of the fine score bins, int64, shape (SCORE_BINS + 1,). The array is read-only."""
    edges = np.array(score_bin_edges(), dtype=np.int64)
    edges.flags.writeable = False
    return edges


def score_bin_of(scores: ArrayLike) -> Integers:
    """The fine bin (0 to SCORE_BINS - 1) of scores on the grid (integers from 0 to SCORE_UNIT)."""
    return np.searchsorted(score_edges()[1:-1], np.asarray(scores), side="right")


def uniform_bin_of(bins: int, mean_score: ArrayLike) -> Integers:
    """The coarse bin (0 to `bins` - 1, each 1 / `bins` wide, closed below) that each fine bin falls in.

    `mean_score` has shape (series, SCORE_BINS), NaN where a fine bin is empty. Where a coarse edge cuts a fine bin,
    which happens only when 100 is not a multiple of `bins` or in the tails with more than 100, the fine bin goes as a
    whole to where its mean score lies; otherwise the mean score does not matter.
    """
    edges = score_edges()
    first, last = edges[:-1] * bins // SCORE_UNIT, np.minimum((edges[1:] - 1) * bins // SCORE_UNIT, bins - 1)
    scores = np.asarray(mean_score, dtype=np.float64)
    position = np.where(np.isnan(scores), 0.0, scores) * bins
    return np.clip(position.astype(np.int64), first, last)


def duration_bucket_of(microseconds: ArrayLike) -> Integers:
    """The bucket `floor(ln(us) / ln(DURATION_GAMMA))` of whole microseconds; DURATION_ZERO for 0 and below."""
    durations = np.asarray(microseconds, dtype=np.float64)
    bucket = np.floor(np.log(np.maximum(durations, 1.0)) / math.log(DURATION_GAMMA)).astype(np.int64)
    return np.where(durations < 1, DURATION_ZERO, bucket)


def duration_bucket_value(bucket: ArrayLike) -> Floats:
    """The seconds a bucket stands for: at most 1% from every duration in it; 0 for DURATION_ZERO.

    Bucket i spans `[g^i, g^(i+1))` microseconds with g = DURATION_GAMMA and stands for `2 g^(i+1) / (g + 1)`, the value
    whose relative error is the same at both ends. Source: Masson, Rim and Lee (2019), DDSketch, PVLDB 12(12).
    """
    number = np.asarray(bucket)
    value = 2 * DURATION_GAMMA ** (number + 1.0) / (DURATION_GAMMA + 1) / 1e6
    return np.where(number == DURATION_ZERO, 0.0, value)
