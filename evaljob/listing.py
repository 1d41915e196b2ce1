"""The history as people and programs read it: a table, JSON, CSV."""

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Any, TypeAlias

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from evaljob.metrics.results import COLUMNS, LABELS
from evaljob.output import records

HEADLINES = (
    "support", "accuracy_ratio", "mean_absolute_error", "root_mean_squared_error", "r2_score",
    "expected_calibration_error", "roc_auc", "cost_per_prediction",
)  # fmt: skip
ROWS = 300  # of a table; who wants more wants CSV
_KEY = ("as_of", "model", "window", "model_version", "slice", "slice_value")
_WIDEST = 10_000  # columns of text: a terminal wraps lines, where a cut number would be another number
_TIMES = ("as_of", "window_start", "window_end")

Row: TypeAlias = dict[str, str]  # heading to text


def as_table(frames: Iterable[pd.DataFrame]) -> Iterator[str]:
    """A row an instant and series with a column a metric, the newest ROWS of them."""
    rows: dict[tuple[Any, ...], Row] = {}
    for result in chain.from_iterable(frame.to_dict("records") for frame in frames):
        rows.setdefault(tuple(result[name] for name in _KEY), {})[_heading(result)] = _text(result)
    newest = sorted(rows, key=lambda key: key[0])[-ROWS:]
    yield _drawn({key: rows[key] for key in newest})
    if len(rows) > ROWS:
        yield f"{len(rows) - ROWS:,} earlier rows are not shown: see --output csv\n"


def as_json(frames: Iterable[pd.DataFrame]) -> Iterator[str]:
    """One array with an object a result, a line each, as `evaljob run --output json` writes them."""
    before = "[\n"
    for record in chain.from_iterable(records(frame) for frame in frames):
        yield f"{before}{json.dumps(record, ensure_ascii=False)}"
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def as_csv(frames: Iterable[pd.DataFrame]) -> Iterator[str]:
    """A header and a line a result; an undefined value is empty, times are ISO 8601 in UTC."""
    yield f"{','.join(COLUMNS)}\n"
    for frame in frames:
        texts = frame.assign(**{name: frame[name].map(lambda t: t.isoformat()) for name in _TIMES})
        yield texts.to_csv(index=False, header=False, lineterminator="\n")


FORMS: Mapping[str, Callable[[Iterable[pd.DataFrame]], Iterator[str]]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
}


def _heading(result: Mapping[Any, Any]) -> str:
    own = [result[name] for name in LABELS if result[name]]
    return "\n".join([result["metric"].removesuffix("_ratio").replace("_", " "), *own])


def _text(result: Mapping[Any, Any]) -> str:
    value, lower, upper = (result[name] for name in ("value", "lower", "upper"))
    if math.isnan(value):
        return "-"
    return f"{value:.4g}" if math.isnan(lower) else f"{value:.3f} [{lower:.3f}, {upper:.3f}]"


def _drawn(rows: Mapping[tuple[Any, ...], Row]) -> str:
    """The table; a part of the key that is the same everywhere is left out, except the time."""
    if not rows:
        return "no results\n"
    telling = [i for i, name in enumerate(_KEY) if name == "as_of" or len({key[i] for key in rows}) > 1]
    headings = list(dict.fromkeys(chain.from_iterable(rows.values())))
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for i in telling:
        table.add_column(_KEY[i].replace("_", " "), no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for key, row in rows.items():
        table.add_row(*(_shown(key[i]) for i in telling), *(row.get(heading, "") for heading in headings))
    console = Console(markup=False, highlight=False, emoji=False, width=_WIDEST)
    with console.capture() as captured:
        console.print(table)
    return captured.get()


def _shown(value: Any) -> str:
    """Without characters that a terminal would take for commands."""
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in value)
