"""How the headline numbers moved, as they were published at each instant."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import numpy as np

from evaljob.history import Block as Past
from evaljob.metrics.series import ALL
from evaljob.report import numbers as n
from evaljob.report.catalogue import Measure, measures
from evaljob.report.figures import trend
from evaljob.report.figures.trends import Line
from evaljob.report.judged import Judged
from evaljob.report.parts import Block, Cell, Figure, Table
from evaljob.state import from_microseconds

MOST_VERSIONS = 2
_ROWS = 24  # of the table beside a trend
_FURTHER = (
    Measure("label_coverage_ratio", "Label coverage", "", "percent"),
    Measure("support", "Support", "", "count"),
)


def block(judged: Judged, days: int) -> Block:
    """A small figure a number."""
    intro = (
        f"Each point is the {judged.window.name} window as it was published at that instant; the band is its interval."
    )
    if len(judged.material.past) < 2:  # noqa: PLR2004
        missing = (
            f"The last {days} days of the history hold fewer than two instants. `evaljob backfill` fills in the past."
        )
        return Block("trends", "Trends", notes=[missing])
    versions = judged.versions[:MOST_VERSIONS] if len(judged.versions) > 1 else []
    found = [_figure(judged, measure, versions) for measure in (*measures(judged.evaluation), *_FURTHER)]
    return Block("trends", "Trends", intro, figures=[figure for figure in found if figure is not None])


def _figure(judged: Judged, measure: Measure, versions: Sequence[str]) -> Figure | None:
    total = line("all", judged.material.past, measure, ALL)
    if np.isnan(total.value).all():
        return None
    parts = [line(n.name(v), judged.material.past, measure, v) for v in versions] if measure.better and versions else []
    svg = trend(f"{judged.id}-{measure.metric}", total, parts, _short(measure))
    return Figure(measure.heading, svg, _summary(measure, total), _data(measure, total))


def line(name: str, past: Iterable[Past], measure: Measure, version: str) -> Line:
    """One number of one version at every instant; NaN where it is not told."""
    times: list[datetime] = []
    found: list[tuple[float, float, float]] = []
    for run in past:
        mask = run.names.among("metric", (measure.metric,)) & run.names.among("model_version", (version,))
        for label, value in measure.labels.items():
            mask &= run.names.among(label, (value,))
        place = int(mask.argmax()) if mask.any() else None
        for i, as_of in enumerate(run.as_of):
            times.append(from_microseconds(int(as_of)))
            numbers = (run.value, run.lower, run.upper)
            found.append((np.nan,) * 3 if place is None else tuple(float(x[i, place]) for x in numbers))  # type: ignore[arg-type]
    value, lower, upper = np.array(found).T
    return Line(name, times, value, lower, upper)


def _short(measure: Measure) -> n.Form:
    """The labels of an axis: without unit and needless digits."""
    form = n.FORMS[measure.kind]
    if measure.kind == "percent":
        return lambda x: n.percent(x).replace(".0%", "%")
    return {"money": n.whole, "score": n.plain}.get(measure.kind, form)


def _summary(measure: Measure, total: Line) -> str:
    known = np.flatnonzero(~np.isnan(total.value))
    first, last = known[0], known[-1]
    low, high = np.nanmin(total.value), np.nanmax(total.value)
    return (
        f"From {measure.told(total.value[first])} on {n.day(total.times[first])} to {measure.told(total.value[last])} "
        f"on {n.day(total.times[last])}; lowest {measure.told(low)}, highest {measure.told(high)}."
    )


def _data(measure: Measure, total: Line) -> Table:
    places = np.unique(np.linspace(0, len(total.times) - 1, _ROWS).round().astype(int))
    rows = [
        [
            Cell(n.day(total.times[i])),
            Cell(measure.form(total.value[i])),
            Cell(n.interval(measure.form, n.Number(total.value[i], total.lower[i], total.upper[i]))),
        ]
        for i in places
    ]
    return Table(f"{measure.title} over time", ["As of", measure.title, "Interval"], rows, "data")
