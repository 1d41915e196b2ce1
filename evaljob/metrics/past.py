"""What a result is compared with: results of earlier evaluations, and numbers that others have found."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from evaljob.metrics.results import LABELS, Known, Results
from evaljob.metrics.series import Values
from evaljob.statistics.intervals import Interval

_KEY = ["model_version", "slice", "slice_value"]


@dataclass(frozen=True)
class Past:
    """Results as the history has them (columns: metrics.results.COLUMNS), and metrics from elsewhere.

    `previous`: by window, its results one length earlier. `first`: by window, the name of the window that looked at the
    same span of time earlier, and the results it had then. `offline`: by model version and metric, without interval.
    """

    previous: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    first: Mapping[str, tuple[str, pd.DataFrame]] = field(default_factory=dict)
    offline: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def in_past(results: Results, frames: Mapping[str, pd.DataFrame], of: str, class_: str) -> Known:
    """A metric of every series in the results of another time, given by the window that they are to stand beside."""
    found = np.full((3, len(results.series)), np.nan)
    for window, frame in frames.items():
        mine = np.flatnonzero((results.series.names["window"] == window).to_numpy())
        found[:, mine] = _aligned(results.series.names.iloc[mine], frame, of, class_)
    return Known(found[0], Interval(found[1], found[2]))


def _aligned(names: pd.DataFrame, frame: pd.DataFrame, of: str, class_: str) -> Values:
    """Value, lower and upper of a metric for the named series: shape (3, series)."""
    labels = {name: class_ if name == "class" else "" for name in LABELS}
    told = frame[(frame["metric"] == of) & np.logical_and.reduce([frame[k] == text for k, text in labels.items()])]
    numbers = ["value", "lower", "upper"]
    there = told[[*_KEY, *numbers]].astype(dict.fromkeys(_KEY, object))
    return names[_KEY].astype(object).merge(there, on=_KEY, how="left")[numbers].to_numpy(dtype="float64").T
