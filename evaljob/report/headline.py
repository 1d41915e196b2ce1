"""The headline numbers of a model, and all its windows and versions beside each other."""

from evaljob.metrics.series import ALL
from evaljob.report import numbers as n
from evaljob.report.catalogue import Measure, main_measure, measures
from evaljob.report.change import Change
from evaljob.report.judged import Judged
from evaljob.report.numbers import Number, Series
from evaljob.report.parts import Block, Cell, Scale, Table, Tile, number_cell
from evaljob.window import Window


def tiles(judged: Judged) -> list[Tile]:
    """The headline numbers, and what they rest on."""
    found = [_tile(judged, measure) for measure in measures(judged.evaluation)]
    return [tile for tile in found if tile is not None] + _basis(judged)


def by_window(judged: Judged) -> Block:
    """Every window, all versions together and each."""
    told = measures(judged.evaluation)
    shown = [m for m in told if any(m.of(judged.numbers, s).defined for s in judged.numbers.series(m.metric))]
    rows = [row for window in judged.evaluation.windows for row in _rows(judged, window, shown)]
    head = ["Window and version", "Labeled of predicted", *(measure.heading for measure in shown)]
    table = Table(f"{judged.evaluation.model}: every window and version", head, rows, "numbers")
    return Block("windows", "Windows and versions", _explain(judged.evaluation.windows), tables=[table])


def versions(judged: Judged) -> Table | None:
    """The versions of the main window on one scale; None where there is but one."""
    measure = main_measure(judged.evaluation)
    found = [(v, measure.of(judged.numbers, Series(judged.total.window, v))) for v in judged.versions]
    if len(found) < 2:  # noqa: PLR2004
        return None
    scale = Scale([number for _, number in found], judged.main)
    rows = [
        [Cell(n.name(v)), number_cell(measure, x), Cell("", bar=scale.bar(x)), Cell(f"{x.support:,}")] for v, x in found
    ]
    return Table(
        f"{measure.title} by version", ["Version", measure.title, scale.heading(measure), "Support"], rows, "bars"
    )


def _tile(judged: Judged, measure: Measure) -> Tile | None:
    number = measure.of(judged.numbers, judged.total)
    if not number.defined:
        return None
    moved, bounds = next((c for c in judged.changes if c.measure == measure), None), n.interval(measure.form, number)
    told, tone = _moved(moved)
    return Tile(measure.title, measure.form(number.value), bounds, measure.explained, measure.unit, told, tone)


def _moved(moved: Change | None) -> tuple[str, str]:
    if moved is None:
        return "", ""
    if not moved.significant:
        return "no change shown", ""
    tone = "bad" if moved.worse else "good" if moved.improved else ""
    return n.signed(moved.measure.distance, moved.difference.value), tone


def _basis(judged: Judged) -> list[Tile]:
    support = judged.numbers.get("support", judged.total)
    predictions = judged.numbers.get("predictions", judged.total)
    coverage = judged.numbers.get("label_coverage_ratio", judged.total)
    of = f"of {n.whole(predictions.value)} predictions" if predictions.value > support.value else ""
    found = [
        Tile("Support", n.whole(support.value), of, "labeled requests that did not fail: what the numbers rest on")
    ]
    if coverage.defined:
        bounds = n.interval(n.percent, coverage)
        found.append(Tile("Label coverage", n.percent(coverage.value), bounds, "the share of predictions with a label"))
    return found


def _rows(judged: Judged, window: Window, shown: list[Measure]) -> list[list[Cell]]:
    present = [Series(window.name, version) for version in (ALL, *judged.versions)]
    return [
        [
            Cell(window.name if s.version == ALL else n.name(s.version), strong=s.version == ALL),
            _supported(judged, s),
            *(number_cell(measure, measure.of(judged.numbers, s)) for measure in shown),
        ]
        for s in present
    ]


def _supported(judged: Judged, series: Series) -> Cell:
    support, predictions = (judged.numbers.get(name, series).value for name in ("support", "predictions"))
    coverage: Number = judged.numbers.get("label_coverage_ratio", series)
    return Cell(f"{n.whole(support)} / {n.whole(predictions)}", n.percent(coverage.value) if coverage.defined else "")


def _explain(windows: tuple[Window, ...]) -> str:
    labeled = [w.name for w in windows if w.on == "labeled_at"]
    predicted = [w for w in windows if w.on == "predicted_at"]
    told = []
    if labeled:
        told.append(f"{n.listed(labeled)}: the labels that came in that time.")
    for window in predicted:
        mature = f", at least {n.span(window.maturity)} old so that labels had time to come" if window.maturity else ""
        told.append(f"{window.name}: the predictions of {n.span(window.length)}{mature}.")
    return " ".join(told)
