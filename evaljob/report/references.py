"""What results are held against: numbers that are set, offline metrics, and what was said of the same time before."""

from evaljob.metrics.series import ALL
from evaljob.report import numbers as n
from evaljob.report.catalogue import called
from evaljob.report.judged import Judged, Reference
from evaljob.report.numbers import Number, Series
from evaljob.report.parts import Block, Cell, Table

_TITLES = {"fixed": "as it is set", "offline": "offline"}


def block(judged: Judged) -> Block | None:
    """Against references, and what waiting for labels has moved; None where nothing is held against anything."""
    tables = [table for table in (_compared(judged), _revised(judged)) if table is not None]
    intro = "What is set in the configuration, what MLflow holds of a version, and what an earlier window said."
    return Block("references", "References and late truth", intro, tables=tables) if tables else None


def _compared(judged: Judged) -> Table | None:
    series = [Series(judged.total.window, version) for version in (ALL, *judged.versions)]
    rows = [_row(found, s.version) for s in series for found in judged.references(s)]
    head = ["Metric", "Version", "Now", "Reference", "Difference", "Shown"]
    return Table("Against what is set, and offline", head, rows, "books") if rows else None


def _row(found: Reference, version: str) -> list[Cell]:
    measure, now = found.measure, found.now
    difference = Cell(n.signed(measure.distance, found.difference.value), measure.distances(found.difference))
    return [
        Cell(measure.title, _TITLES[found.reference]),
        Cell(n.name(version)),
        Cell(measure.form(now.value), n.interval(measure.form, now)),
        Cell(measure.form(now.value - found.difference.value)),
        difference,
        Cell("yes" if found.significant else "no", strong=found.significant),
    ]


def _revised(judged: Judged) -> Table | None:
    """How far the truth that came late has moved the main window since another window told of the same time."""
    rows = [
        [
            Cell(called(judged.evaluation, labels["of"]).title),
            Cell(n.name(labels["reference"])),
            Cell(_moved(judged, labels["of"], x)),
        ]
        for labels, x in judged.numbers.labeled("revision", judged.total)
        if x.defined
    ]
    head = ["Metric", "First told by", "Moved since"]
    return Table("What waiting for labels has changed", head, rows, "books") if rows else None


def _moved(judged: Judged, of: str, number: Number) -> str:
    return n.signed(called(judged.evaluation, of).distance, number.value)
