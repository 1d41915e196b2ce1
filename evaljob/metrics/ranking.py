"""How well scores rank, for binary tasks."""

from functools import partial

from evaljob.metrics.results import Results
from evaljob.metrics.scores import Scores
from evaljob.statistics import ranking
from evaljob.statistics import ranking_intervals as intervals


def add(results: Results, scores: Scores) -> None:
    """ROC AUC and average precision, at the resolution of the score bins."""
    confidence = results.series.evaluation.confidence
    counts = (scores.fine.positives, scores.negatives)
    sums = (scores.positive_score, scores.fine.score - scores.positive_score)
    area = ranking.roc_auc(*counts, *sums)
    results.measure("roc_auc", area, partial(intervals.roc_auc, area, *counts, confidence), support=scores.support)
    precision = ranking.average_precision(*counts, *sums, scores.squared_score)
    interval = partial(intervals.average_precision, precision, *counts, confidence)
    results.measure("average_precision", precision, interval, support=scores.support)
