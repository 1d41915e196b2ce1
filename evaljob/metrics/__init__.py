"""Cells to results: every metric of every series at once. Pure: no clock, no I/O."""

from datetime import datetime

import numpy as np
import pandas as pd

from evaljob.cells import Cells
from evaljob.config import Evaluation
from evaljob.metrics import books, business, calibration, classification, durations, regression
from evaljob.metrics.results import Results
from evaljob.metrics.series import series_of


def evaluate(evaluation: Evaluation, cells: Cells, as_of: datetime, unplaceable: dict[str, int]) -> pd.DataFrame:
    """The results of an evaluation at `as_of`, a row a result (columns: metrics.results.COLUMNS).

    `unplaceable` are the rows that no window can hold, counted by reason. Undefined values are NaN.
    """
    results = Results(series_of(evaluation, cells))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # what has no rows is undefined, and told so
        books.add(results, unplaceable)
        if evaluation.task == "regression":
            regression.add(results)
        else:
            classification.add(results)
            calibration.add(results)
        durations.add(results)
        business.add(results)
    return results.frame(as_of)
