"""Results as people read them: a model's overall numbers by window and version, and the slices that do worst."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd
from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from evaljob.metrics.classification import MACRO
from evaljob.metrics.series import ALL, OVERALL

WORST = 6
UNDEFINED = "-"
LEGEND = f"{UNDEFINED} undefined: support below min_support, or nothing to count"
_WIDTH = 160  # a narrower terminal wraps lines, where a cut number would be another number
_SERIES = ["window", "model_version", "slice", "slice_value"]

Key: TypeAlias = tuple[str, str, str, str]  # of a series, as in _SERIES
Row: TypeAlias = Mapping[tuple[str, str], tuple[float, float, float]]  # (metric, quantile) to (value, lower, upper)


def text(results: pd.DataFrame) -> str:
    """The tables as standard output shows them: with colours on a terminal, plain elsewhere."""
    console = Console(markup=False, highlight=False, emoji=False)  # what comes from the logs is no markup
    console.width = max(console.width, _WIDTH)
    with console.capture() as captured:
        for part in tables(results):
            console.print(part)
    return captured.get()


def tables(results: pd.DataFrame) -> Iterator[RenderableType]:
    """For each model: its numbers by window and version, the join's books, and the slices that do worst."""
    for i, (model, mine) in enumerate(results.groupby("model", sort=False, observed=True)):
        if i:
            yield ""
        yield from _tables_of(_printable(str(model)), mine)


def _tables_of(model: str, results: pd.DataFrame) -> Iterator[RenderableType]:
    rows, longest = _rows(results), _longest(results)
    overall = [(_nested(key), row) for key, row in rows.items() if key[2] == OVERALL]
    title = f"{model} as of {results['as_of'].iloc[0]:%Y-%m-%d %H:%M:%S} UTC"
    yield from _table(title, "window\n  version", overall, _COLUMNS)
    yield _books(longest, rows[longest, ALL, OVERALL, ""])
    if worst := _worst({key: row for key, row in rows.items() if key[0] == longest and key[2] != OVERALL}):
        title = f"\nSlices that do worst in {_printable(longest)}"
        yield from _table(title, "slice", [(_slice(key), row) for key, row in worst.items()], _COLUMNS_OF_SLICES)


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    units = (("d", 86_400.0), ("h", 3_600.0), ("min", 60.0), ("s", 1.0), ("ms", 0.001))
    unit, size = next((found for found in units if seconds >= found[1]), units[-1])
    return f"{seconds / size:.{1 if seconds < 10 * size else 0}f}{unit}"


def count(number: float) -> str:
    """A count; from a million on in three digits."""
    unit, size = next((found for found in (("B", 1e9), ("M", 1e6)) if number >= found[1]), ("", 1.0))
    return f"{number / size:.3g}{unit}" if unit else f"{number:,.0f}"


@dataclass(frozen=True)
class _Column:
    """A column: several metrics, or quantiles of one, stand in it with a slash between them."""

    heading: str
    metrics: tuple[str, ...]
    form: Callable[[float], str] = "{:.3f}".format
    quantiles: tuple[str, ...] = ("",)

    @property
    def measures(self) -> list[tuple[str, str]]:
        return [(metric, quantile) for metric in self.metrics for quantile in self.quantiles]

    def text(self, row: Row) -> str:
        values = [row.get(key, (math.nan, math.nan, math.nan)) for key in self.measures]
        if all(math.isnan(value) for value, _, _ in values):
            return UNDEFINED
        return "/".join(UNDEFINED if math.isnan(value) else self.form(value) for value, _, _ in values)


class _Bounded(_Column):
    """A ratio with its interval."""

    def text(self, row: Row) -> str:
        lower, upper = (self.form(bound).removeprefix("0") for bound in row[self.metrics[0], ""][1:])
        text = super().text(row)
        return text if text == UNDEFINED else f"{text} [{lower}, {upper}]"


class _Coverage(_Column):
    """Undefined on every window on `labeled_at`, where it has no meaning: nothing is said then."""

    def text(self, row: Row) -> str:
        text = super().text(row)
        return "" if text == UNDEFINED and row["predictions", ""][0] else text


_BOTH = ("0.5", "0.99")
_SUPPORT = _Column("support/\npredictions", ("support", "predictions"), count)
_COVERAGE = _Coverage("coverage", ("label_coverage_ratio",), "{:.1%}".format)
_LAG = _Column("label lag\np50/p99", ("label_lag_seconds",), duration, _BOTH)
_COLUMNS_OF_SLICES = (
    _SUPPORT,
    _Bounded("accuracy", ("accuracy_ratio",)),
    _Column("precision", ("precision_ratio",)),
    _Column("recall", ("recall_ratio",)),
    _Column("MAE", ("mean_absolute_error",), "{:.4g}".format),
    _Column("RMSE", ("root_mean_squared_error",), "{:.4g}".format),
    _Column("mean\nerror", ("mean_error",), "{:.3g}".format),
    _Column("R2", ("r2_score",)),
    _Column("ECE", ("expected_calibration_error",)),
    _Column("AUC", ("roc_auc",)),
    _Column("latency\np50/p99", ("prediction_latency_seconds",), duration, _BOTH),
    _Column("cost\neach", ("cost_per_prediction",), "{:,.2f}".format),
)
_COLUMNS = (_SUPPORT, _COVERAGE, *_COLUMNS_OF_SLICES[1:-2], _LAG, *_COLUMNS_OF_SLICES[-2:])
_BOOKS = (
    ("duplicate_predictions", "duplicate predictions"),
    ("corrected_labels", "corrected labels"),
    ("orphan_labels", "orphan labels"),
    ("rejected_rows", "rejected rows"),
)
_WANTED = {key[0] for column in _COLUMNS for key in column.measures} | {metric for metric, _ in _BOOKS}
_WANTED.add("prediction_failures_ratio")


def _rows(results: pd.DataFrame) -> dict[Key, Row]:
    """The numbers of every series, of every window the total first.

    Of a metric per class: the positive class, or the average of the classes. Of rejected rows: all reasons together.
    """
    names = [*_SERIES, "metric", "quantile", "class", "value", "lower", "upper"]
    wanted = results[results["metric"].isin(_WANTED) & (results["column"] == "")][names]
    averaged = set(wanted.loc[wanted["class"] == MACRO, "metric"])
    rows: dict[Key, dict[tuple[str, str], tuple[float, float, float]]] = {}
    for *series, metric, quantile, class_, value, lower, upper in wanted.itertuples(index=False, name=None):
        row = rows.setdefault((series[0], series[1], series[2], series[3]), {})
        before = row.get((metric, quantile), (0.0,))[0] if metric == "rejected_rows" else 0.0
        if class_ == MACRO or metric not in averaged:
            row[metric, quantile] = (before + value, lower, upper)
    windows = list(dict.fromkeys(window for window, *_ in rows))
    return dict(sorted(rows.items(), key=lambda item: (windows.index(item[0][0]), item[0][1] != ALL)))


def _longest(results: pd.DataFrame) -> str:
    """The longest window; of two, the one that gives labels more time to come."""
    windows = results.drop_duplicates("window")
    spans = zip(windows["window"], windows["window_start"], windows["window_end"], strict=True)
    return str(max((end - start, -end.timestamp(), window) for window, start, end in spans)[-1])


def _table(
    title: str, heading: str, rows: Sequence[tuple[str, Row]], columns: Sequence[_Column]
) -> Iterator[RenderableType]:
    """The columns of which there is something in the rows, and the legend where something is undefined."""
    texts = {column: [column.text(row) for _, row in rows] for column in columns if _occurs(column, rows)}
    shown = {column.heading: cells for column, cells in texts.items() if any(cells)}
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(heading, overflow="fold")
    for name in shown:
        table.add_column(name, justify="right", no_wrap=True)
    for i, (name, _) in enumerate(rows):
        table.add_row(name, *(cells[i] for cells in shown.values()))
    yield Text(title, style="bold")
    yield table
    if any(UNDEFINED in cells for cells in shown.values()):
        yield LEGEND


def _occurs(column: _Column, rows: Sequence[tuple[str, Row]]) -> bool:
    return any(measure in row for measure in column.measures for _, row in rows)


def _books(window: str, total: Row) -> str:
    """The join's books of one window in a line."""
    counted = [f"{count(total[metric, ''][0])} {name}" for metric, name in _BOOKS]
    failed = total["prediction_failures_ratio", ""][0]
    share = UNDEFINED if math.isnan(failed) else f"{failed:.1%}"
    return f"{_printable(window)}: {', '.join([f'{share} failed predictions', *counted])}"


def _worst(slices: Mapping[Key, Row]) -> dict[Key, Row]:
    """The slices, of all versions together and of each, with the lowest accuracy or else the largest error.

    By the upper end of its interval, so that few labels alone do not make a slice bad.
    """
    for metric, place, sign in (("accuracy_ratio", 2, 1), ("mean_absolute_error", 0, -1)):
        numbers = {key: sign * row[metric, ""][place] for key, row in slices.items() if (metric, "") in row}
        known = [key for key in numbers if not math.isnan(numbers[key])]
        if known:
            return {key: slices[key] for key in sorted(known, key=numbers.__getitem__)[:WORST]}
    return {}


def _nested(key: Key) -> str:
    window, version, *_ = key
    return _printable(window) if version == ALL else f"  {_printable(version)}"


def _slice(key: Key) -> str:
    _, version, columns, value = key
    return _printable(f"{columns}={value}" if version == ALL else f"{columns}={value} {version}")


def _printable(text: str) -> str:
    """The text without characters that a terminal would take for commands."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
