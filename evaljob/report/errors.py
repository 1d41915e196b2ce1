"""How far a regression is off: its errors by quantile."""

from collections.abc import Iterator

from evaljob.report import numbers as n
from evaljob.report.judged import Judged
from evaljob.report.parts import Block, Cell, Table


def block(judged: Judged) -> Block | None:
    """Percentiles of the absolute error; None where they were not published."""
    rows = list(_rows(judged))
    if not rows:
        return None
    intro = "Half of the predictions are closer to their label than p50, 95% than p95."
    return Block(
        "errors", "How far off", intro, tables=[Table("Absolute error", ["Percentile", "Error"], rows, "books")]
    )


def _rows(judged: Judged) -> Iterator[list[Cell]]:
    for quantile, number in judged.numbers.by("absolute_error", judged.total, "quantile").items():
        if number.defined:
            yield [Cell(f"p{float(quantile) * 100:g}"), Cell(n.plain(number.value), n.interval(n.plain, number))]
