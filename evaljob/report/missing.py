"""What was missing: labels that are late or never come, and the books of what could not be used."""

from collections.abc import Iterator

import numpy as np

from evaljob.join.plan import LAG
from evaljob.report import figures
from evaljob.report import numbers as n
from evaljob.report.gather import total_of
from evaljob.report.numbers import Series
from evaljob.report.parts import Block, Cell, Figure, Table
from evaljob.report.verdict import Judged
from evaljob.statistics.bins import duration_bucket_value

_BOOKS = (
    ("prediction_failures_ratio", "Failed predictions"),
    ("duplicate_predictions", "Duplicate predictions: the first one counts"),
    ("corrected_labels", "Corrected labels: the latest one counts"),
    ("orphan_labels", "Orphan labels: no prediction has their request_id"),
)
_QUANTILES = ("0.5", "0.95", "0.99")
_ROWS = 14


def labels(judged: Judged) -> Block:
    """How long labels take."""
    lag = [judged.numbers.get("label_lag_seconds", judged.total, quantile=q) for q in _QUANTILES]
    if not lag[0].defined:
        return Block("labels", "When labels come", notes=["No label lag was measured in this window."])
    half, most, last = (n.seconds(number.value) for number in lag)
    intro = f"Half of the labels came within {half}, 95% within {most}, 99% within {last}."
    found = [_lag(judged)] if judged.material.series is not None else []
    return Block("labels", "When labels come", intro, figures=found, tables=[_quantiles(judged)])


def books(judged: Judged) -> Block:
    """Nothing is dropped in silence."""
    windows = [window.name for window in judged.evaluation.windows]
    rows = [
        *(_row(judged, title, metric, windows) for title, metric in _COUNTED),
        [Cell("Never labeled so far"), *(Cell(_unlabeled(judged, w)) for w in windows)],
        *(_book(judged, metric, title, windows) for metric, title in _BOOKS),
        *_rejected(judged, windows),
    ]
    table = Table("What was counted, and what could not be used", ["", *windows], rows, "books")
    intro = "Every row of both logs is in these books."
    return Block("books", "What was missing", intro, tables=[table], notes=_none_rejected(judged, windows))


_COUNTED = (("Predictions", "predictions"), ("Labeled and not failed: support", "support"))


def _lag(judged: Judged) -> Figure:
    series = judged.material.series
    assert series is not None  # noqa: S101  (asked before)
    cells = series.of_kind(LAG)
    own = cells[cells["series"] == total_of(series, judged.window.name)].groupby("bucket")["n"].sum()
    lags = duration_bucket_value(own.index.to_numpy())
    share = np.cumsum(own.to_numpy()) / own.sum()
    svg = figures.label_lag(f"{judged.id}-lag", lags, share)
    places = np.unique(np.searchsorted(share, np.linspace(0, 1, _ROWS)).clip(max=len(share) - 1))
    rows = [[Cell(n.seconds(lags[i])), Cell(n.percent(share[i]))] for i in places]
    summary = "The share of the labels that came within a time after their prediction, among those that came."
    return Figure("Label lag", svg, summary, Table("Label lag", ["Within", "Labels"], rows, "data"))


def _quantiles(judged: Judged) -> Table:
    kinds = (("label_lag_seconds", "Label lag"), ("prediction_latency_seconds", "Prediction latency"))
    rows = []
    for metric, title in kinds:
        found = [judged.numbers.get(metric, judged.total, quantile=q) for q in _QUANTILES]
        if found[0].defined:
            rows.append([
                Cell(title),
                *(Cell(n.seconds(x.value), n.interval(n.seconds, x)) for x in found),
                Cell(f"{found[0].support:,}"),
            ])  # fmt: skip
    return Table("Percentiles", ["", "p50", "p95", "p99", "Measured"], rows, "books")


def _row(judged: Judged, title: str, metric: str, windows: list[str]) -> list[Cell]:
    return [Cell(title), *(Cell(f"{judged.numbers.get(metric, Series(w)).value:,.0f}") for w in windows)]


def _unlabeled(judged: Judged, window: str) -> str:
    coverage = judged.numbers.get("label_coverage_ratio", Series(window))
    if not coverage.defined:
        return n.UNDEFINED
    missing = coverage.support * (1 - coverage.value)
    return f"{missing:,.0f} ({n.percent(1 - coverage.value)})"


def _book(judged: Judged, metric: str, title: str, windows: list[str]) -> list[Cell]:
    cells = []
    for window in windows:
        number = judged.numbers.get(metric, Series(window))
        if metric.endswith("_ratio"):
            count = (
                f"{number.value * number.support:,.0f} ({n.percent(number.value)})" if number.defined else n.UNDEFINED
            )
        else:
            count = f"{number.value:,.0f}" if number.defined else n.UNDEFINED
        cells.append(Cell(count))
    return [Cell(title), *cells]


def _rejected(judged: Judged, windows: list[str]) -> Iterator[list[Cell]]:
    """A row for each reason that occurs."""
    for reason in _reasons(judged, windows):
        found = [judged.numbers.get("rejected_rows", Series(w), reason=reason) for w in windows]
        if any(x.value > 0 for x in found):
            counts = [Cell(f"{x.value:,.0f}" if x.defined else n.UNDEFINED) for x in found]
            yield [Cell(f"Rejected: {reason.replace('_', ' ')}"), *counts]


def _none_rejected(judged: Judged, windows: list[str]) -> list[str]:
    """The reasons that do not occur."""
    reasons = _reasons(judged, windows)
    none = [
        r
        for r in reasons
        if not any(judged.numbers.get("rejected_rows", Series(w), reason=r).value > 0 for w in windows)
    ]
    return [f"No row was rejected for: {n.listed([r.replace('_', ' ') for r in none])}."] if none else []


def _reasons(judged: Judged, windows: list[str]) -> list[str]:
    return list(dict.fromkeys(r for w in windows for r in judged.numbers.by("rejected_rows", Series(w), "reason")))
