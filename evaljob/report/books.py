"""What was counted, and what could not be used: nothing is dropped in silence."""

from collections.abc import Iterator

from evaljob.report import numbers as n
from evaljob.report.judged import Judged
from evaljob.report.numbers import Series
from evaljob.report.parts import Block, Cell, Table

_COUNTED = (("Predictions", "predictions"), ("Labeled and not failed: support", "support"))
_BOOKS = (
    ("prediction_failures_ratio", "Failed predictions"),
    ("duplicate_predictions", "Duplicate predictions: the first one counts"),
    ("corrected_labels", "Corrected labels: the latest one counts"),
    ("orphan_labels", "Orphan labels: no prediction has their request_id"),
)


def block(judged: Judged) -> Block:
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
