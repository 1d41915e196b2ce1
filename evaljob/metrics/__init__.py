"""Cells to results: every metric of every series at once. Pure: no clock, no I/O."""

from datetime import UTC, datetime
from functools import cache

import numpy as np
import pandas as pd

from evaljob.cells import Cells
from evaljob.config import Evaluation
from evaljob.metrics import (
    books,
    business,
    calibration,
    change,
    classification,
    confusion_counts,
    fairness,
    missing,
    quantiles,
    ranking,
    regression,
    revision,
    thresholds,
)
from evaljob.metrics.past import Past
from evaljob.metrics.results import Results
from evaljob.metrics.scores import scores_of
from evaljob.metrics.series import hashed, series_of


def evaluate(
    evaluation: Evaluation, cells: Cells, as_of: datetime, unplaceable: dict[str, int], past: Past | None = None
) -> pd.DataFrame:
    """The results of an evaluation at `as_of`, a row a result (columns: metrics.results.COLUMNS).

    `unplaceable` are the rows that no window can hold, counted by reason. Undefined values are NaN; what would be
    compared with a past that is not there is left out.
    """
    results = Results(series_of(evaluation, cells))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # what has no rows is undefined, and told so
        books.add(results, unplaceable)
        if evaluation.task == "regression":
            regression.add(results)
        else:
            classification.add(results)
            _add_scores(results, as_of)
        if evaluation.metrics.missing:
            missing.add(results, as_of)
        if evaluation.metrics.quantiles:
            quantiles.add(results)
        if evaluation.metrics.business:
            business.add(results)
        _add_comparisons(results, past or Past())
    return results.frame(as_of)


def _add_comparisons(results: Results, past: Past) -> None:
    """What has been collected beside other slices and other times, as far as it is wanted."""
    evaluation = results.series.evaluation
    if evaluation.metrics.fairness and evaluation.task != "regression":
        fairness.add(results)
    if evaluation.metrics.missing:
        revision.add(results, past)
    if evaluation.metrics.change:
        change.add(results, past)


def _add_scores(results: Results, as_of: datetime) -> None:
    """What the confusion matrix does not say, as far as it is wanted."""
    evaluation, binary = results.series.evaluation, results.series.evaluation.task == "binary"
    wanted, scores = evaluation.metrics, cache(lambda: scores_of(results.series))
    if wanted.confusion:
        confusion_counts.add(results)
    if wanted.calibration:
        calibration.add(results, scores())
    if wanted.ranking and binary:
        ranking.add(results, scores())
    if wanted.thresholds and binary:
        thresholds.add(results, scores(), hashed(f"{evaluation.model} {as_of.astimezone(UTC).isoformat()}"))
