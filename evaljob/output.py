"""Results as programs read them: JSON and the Prometheus text format."""

import json
import math
from collections.abc import Iterator
from typing import Any

import pandas as pd

_TIMES = ("as_of", "window_start", "window_end")
_ALWAYS = (
    "model",
    "model_version",
    "window",
    "slice",
    "slice_value",
    "class",
    "metric",
    "value",
    "lower",
    "upper",
    "support",
    *_TIMES,
)


def as_json(results: pd.DataFrame) -> str:
    """One array with an object a result, a line each; an undefined value is null, times are ISO 8601 in UTC."""
    return "[\n" + ",\n".join(json.dumps(record, ensure_ascii=False) for record in records(results)) + "\n]\n"


def records(results: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Each result as plain values. Further labels of a metric are there only where it has them."""
    texts = results.assign(**{name: results[name].map(lambda t: t.isoformat()) for name in _TIMES})
    for row in texts.to_dict("records"):
        record = {str(name): value for name, value in row.items() if name in _ALWAYS or value != ""}
        yield record | {name: _number(record[name]) for name in ("value", "lower", "upper")}


def as_prometheus(results: pd.DataFrame) -> str:
    """The Prometheus text format, with the model as a label, which a push has in its grouping key."""
    from evaljob import gauges  # noqa: PLC0415  (with prometheus_client)

    return gauges.text(gauges.results_registry(results, with_model=True))


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
