"""Logs for laws: few requests, few instants and few values, so that hypothesis makes everything meet everything."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from evaljob.config import LabelsDefault
from tests.logs import DAY, Row, window

CLASSES: dict[str, list[Any]] = {"binary": [0, 1], "multiclass": ["a", "b", "ä"], "regression": [-1.5, 0.0, 0.25, 7.0]}
BAD: dict[str, list[Any]] = {"binary": [], "multiclass": [], "regression": [2e9, float("-inf")]}
WINDOWS = (
    window("1h"),
    window("3h"),
    window("2h", on="predicted_at", name="predicted"),
    window("2h", on="predicted_at", maturity="1h", name="mature"),
)
NOON = DAY + timedelta(hours=12)
HOURS = 6  # the logs' length; windows reach back four hours
DELAYS = [timedelta(0), timedelta(minutes=30), timedelta(hours=2)]


@dataclass(frozen=True)
class World:
    """Two logs, what to evaluate of them, and two instants."""

    predictions: list[Row]
    labels: list[Row]
    keys: dict[str, Any]
    before: datetime
    after: datetime


instants = st.builds(
    lambda halves, seconds, micro: NOON + timedelta(minutes=30 * halves, seconds=seconds, microseconds=micro),
    st.integers(0, 2 * HOURS),
    st.sampled_from([0, 0, 0, 90, 1799]),
    st.sampled_from([0, 0, -1, 1]),
)
"""Mostly on half hours, where windows have their edges, and a microsecond beside them."""
ids = st.sampled_from(["a", "b", "c", "d", "e", "A", None])
scores = st.sampled_from([None, None, 1.2, -0.1, *(cent / 100 for cent in range(0, 101, 4))])


@st.composite
def keys(draw: st.DrawFn, task: str) -> dict[str, Any]:
    """An evaluation of a task, with and without default labels and a bound on the lag."""
    default = LabelsDefault(label=CLASSES[task][0], after=draw(st.sampled_from(DELAYS[1:])))
    return {
        "task": task,
        "positive_label": 1 if task == "binary" else None,
        "windows": WINDOWS,
        "slices": (("country",),),
        "values": ("paid",),
        "labels_default": draw(st.sampled_from([None, default])),
        "max_lag": draw(st.sampled_from([None, None, timedelta(minutes=90)])),
    }


@st.composite
def predictions(draw: st.DrawFn, task: str, *, shipped: bool) -> Row:
    """A row of the prediction log."""
    row = {
        "request_id": draw(ids),
        "predicted_at": draw(instants),
        "model_version": draw(st.sampled_from(["v1", "v2", None])),
        "prediction": draw(st.sampled_from([*CLASSES[task], None, *BAD[task]])),
        "score": draw(scores) if task != "regression" else None,
        "latency_seconds": draw(st.sampled_from([None, 0.0, 0.02, 1.5, -1.0, float("inf")])),
        "country": draw(st.sampled_from(["NP", "np", None])),
    }
    return row | ({"ingested_at": row["predicted_at"] + draw(st.sampled_from(DELAYS))} if shipped else {})


@st.composite
def labels(draw: st.DrawFn, task: str, *, shipped: bool) -> Row:
    """A row of the label log; NULL takes the label back."""
    row = {
        "request_id": draw(ids),
        "label": draw(st.sampled_from([*CLASSES[task], *CLASSES[task], None, *BAD[task]])),
        "labeled_at": draw(instants),
        "paid": draw(st.sampled_from([None, 0.5, -2.25, 100.0, 1e13])),
    }
    return row | ({"ingested_at": row["labeled_at"] + draw(st.sampled_from(DELAYS))} if shipped else {})


@st.composite
def worlds(draw: st.DrawFn, tasks: tuple[str, ...] = tuple(CLASSES)) -> World:
    """Logs of up to fourteen rows each, an evaluation, and two instants in order."""
    task = draw(st.sampled_from(tasks))
    shipped = [draw(st.booleans()), draw(st.booleans())]
    said = draw(st.lists(predictions(task, shipped=shipped[0]), min_size=1, max_size=14))
    told = draw(st.lists(labels(task, shipped=shipped[1]), min_size=1, max_size=14))
    before, after = sorted((draw(instants), draw(instants)))
    return World(said, told, draw(keys(task)), before, after)
