"""Slices ranked by what they lose, each with its interval on one scale."""

from dataclasses import dataclass

from evaljob.metrics.series import ALL, OVERALL
from evaljob.report import numbers as n
from evaljob.report.catalogue import HIGHER, Measure, called, main_measure, measures
from evaljob.report.judged import Judged
from evaljob.report.numbers import Number, Series
from evaljob.report.parts import Block, Cell, Scale, Table, number_cell

MOST = 15
_RATIO = Measure("slice_ratio", "", "")


@dataclass(frozen=True)
class _Slice:
    """One slice: its main number and the loss it is ranked by, which is at least this."""

    series: Series
    main: Number
    loss: float
    cost: Number


def block(judged: Judged) -> Block | None:
    """The slices that lose most for certain; None where none are configured."""
    if not judged.evaluation.slices:
        return None
    measure, found = main_measure(judged.evaluation), _slices(judged)
    known = sorted((s for s in found if s.main.defined), key=lambda s: (-s.loss, s.series.slice, s.series.value))
    intro = (
        f"Ranked by loss, the worst first: by the end of the interval of {measure.title.lower()} that speaks for the "
        "slice, so that few labels alone make none look bad. The dashed line is the whole."
    )
    few = len(found) - len(known)
    notes = (
        [f"{few} slices with fewer than {judged.evaluation.min_support:,} labeled requests are not ranked."]
        if few
        else []
    )
    if len(known) > MOST:
        notes.append(
            f"{len(known) - MOST} more do better than those shown: `evaljob run` and Prometheus have them all."
        )
    ranked = [_table(judged, measure, known[:MOST])] if known else []
    return Block("slices", "Slices", intro, tables=[*ranked, *_gaps(judged)], notes=notes)


def _slices(judged: Judged) -> list[_Slice]:
    measure, cost = main_measure(judged.evaluation), _cost(judged)
    found = []
    for series in judged.numbers.series(measure.metric):
        if series.window == judged.total.window and series.version == ALL and series.slice != OVERALL:
            main = measure.of(judged.numbers, series)
            spoken = (main.upper if measure.better == HIGHER else main.lower) if main.bounded else main.value
            each = cost.of(judged.numbers, series) if cost is not None else Number()
            found.append(_Slice(series, main, -measure.better * spoken, each))
    return found


def _cost(judged: Judged) -> Measure | None:
    return next((m for m in measures(judged.evaluation) if m.metric == "cost_per_prediction"), None)


def _table(judged: Judged, measure: Measure, known: list[_Slice]) -> Table:
    scale, cost = Scale([s.main for s in known], judged.main), _cost(judged)
    errors = measure.metric == "accuracy_ratio"
    head = ["Slice", measure.title, scale.heading(measure), "Support"]
    head += ["Share of requests", "Share of errors"] if errors else []
    head += [cost.heading] if cost is not None else []
    rows = []
    for s in known:
        row = [
            Cell(n.name(s.series.value), n.name(s.series.slice)),
            number_cell(measure, s.main),
            Cell("", bar=scale.bar(s.main)),
            Cell(f"{s.main.support:,}"),
        ]
        row += _shares(judged, s) if errors else []
        row += [number_cell(cost, s.cost)] if cost is not None else []
        rows.append(row)
    return Table(f"Slices by {measure.title.lower()}", head, rows, "bars")


def _gaps(judged: Judged) -> list[Table]:
    """How unlike the values of a slice are: what notions of fairness ask."""
    rows = []
    for labels, gap in judged.numbers.labeled("slice_gap", judged.total):
        of = called(judged.evaluation, labels["of"])
        ratio = judged.numbers.get("slice_ratio", judged.total, of=labels["of"], column=labels["column"])
        if gap.defined:
            told = Cell(of.distance(gap.value), n.interval(n.percent, gap).replace("%", ""))
            rows.append([Cell(n.name(labels["column"]), of.title), told, number_cell(_RATIO, ratio)])
    head = ["Slice", "Largest gap", "Smallest ratio"]
    return [Table("How far values of a slice lie apart", head, rows, "books")] if rows else []


def _shares(judged: Judged, s: _Slice) -> list[Cell]:
    requests = s.main.support / judged.support
    missed = judged.support * (1 - judged.main.value)
    errors = s.main.support * (1 - s.main.value) / missed if missed else float("nan")
    return [Cell(n.percent(requests)), Cell(n.percent(errors), strong=errors > requests)]
