"""One page from the material: what the template is given, and what comes out of it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from evaljob.config import Config
from evaljob.gauges import release
from evaljob.metrics.scores import scores_of
from evaljob.report import (
    appendix,
    books,
    calibration,
    confusion,
    errors,
    headline,
    labels,
    references,
    slices,
    thresholds,
    trends,
)
from evaljob.report import numbers as n
from evaljob.report.findings import Finding, Tone, findings
from evaljob.report.gather import Material, Sql, total_of
from evaljob.report.judged import Judged
from evaljob.report.parts import Block, Table, Tile
from evaljob.report.scores import Spread
from evaljob.report.verdict import answer, first_sentence, freshness, status


@dataclass(frozen=True)
class Model:
    """The section of one model."""

    id: str
    name: str
    tone: Tone
    status: str
    sentence: str
    window: str = ""
    as_of: str = ""
    findings: Sequence[Finding] = ()
    tiles: Sequence[Tile] = ()
    compared: str = ""
    versions: Table | None = None
    blocks: Sequence[Block] = ()
    notes: Sequence[str] = ()
    sources: Sequence[tuple[str, str]] = ()
    statements: Sequence[str] = ()
    facts: Sequence[tuple[str, str]] = ()


def render(config: Config, materials: Sequence[Material], sql: Sql, now: datetime, days: int) -> str:
    """The page as HTML. The same arguments give the same bytes."""
    models = [_model(material, sql, f"m{i}", days) for i, material in enumerate(materials, start=1)]
    instants = [m.as_of for m in materials if m.as_of is not None]
    stale = freshness(config, min(instants), now) if instants else None
    environment = Environment(
        loader=PackageLoader("evaljob.report"), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["coded"] = _coded
    return environment.get_template("page.html.j2").render(
        answer=answer(list(materials)),
        models=models,
        as_of=n.moment(max(instants)) if instants else None,
        stale=stale,
        made=n.moment(now),
        days=days,
        configuration=appendix.configuration(config),
        sql_problem=sql.problem,
        version=release(),
    )


def _coded(text: str) -> Markup:
    """Text with what stands between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704  (escaped before)


def _model(material: Material, sql: Sql, id_: str, days: int) -> Model:
    name = n.name(material.evaluation.model)
    tone, told = status(material)
    if material.results is None or material.as_of is None:
        todo = "There are no results of this model yet. Run `evaljob run`, and `evaljob backfill` for its past."
        return Model(id_, name, tone, told, todo, sources=appendix.sources(material.evaluation))
    judged = Judged(material, id_)
    return Model(
        id_,
        name,
        tone,
        told,
        first_sentence(judged),
        judged.window.name,
        n.moment(material.as_of),
        findings(judged),
        headline.tiles(judged),
        _compared(judged),
        headline.versions(judged),
        _blocks(judged, days),
        (*material.notes, *_nothing_before(judged)),
        appendix.sources(material.evaluation),
        sql.by_model.get(material.evaluation.model, ()),
        _facts(judged),
    )


def _blocks(judged: Judged, days: int) -> list[Block]:
    found = [
        trends.block(judged, days),
        headline.by_window(judged),
        *_of_outcomes(judged),
        slices.block(judged),
        references.block(judged),
        labels.block(judged),
        books.block(judged),
    ]
    return [block for block in found if block is not None]


def _of_outcomes(judged: Judged) -> Iterator[Block | None]:
    """What there is for classifiers: from the stored cells, as far as they are there."""
    if judged.evaluation.task == "regression":
        yield errors.block(judged)
        return
    yield confusion.block(judged)
    series = judged.material.series
    if series is None:
        return
    scores = scores_of(series)
    found = Spread(scores.of(np.array([total_of(series, judged.window.name)])).fine)
    if found.fine.support.any():
        yield calibration.block(judged, found)
        if judged.evaluation.task == "binary":
            yield thresholds.block(judged, series, scores)


def _nothing_before(judged: Judged) -> list[str]:
    if judged.material.before is not None:
        return []
    length = n.span(judged.window.length)
    return [
        f"The history has no {judged.window.name} window {length} earlier to compare with; `evaljob backfill` makes it."
    ]


def _compared(judged: Judged) -> str:
    """What changes are against."""
    if judged.material.before is None:
        return ""
    row = judged.material.before[judged.material.before["window"] == judged.window.name].iloc[0]
    start, end = (n.moment(row[name].to_pydatetime()) for name in ("window_start", "window_end"))
    return (
        f"Changes are against the {judged.window.name} window before, {start} to {end} UTC; tiles show them likewise."
    )


def _facts(judged: Judged) -> list[tuple[str, str]]:
    """How the numbers came about."""
    state, instant = judged.material.state, judged.material.as_of
    assert instant is not None  # noqa: S101  (who judges has looked)
    found = [
        (w.name, f"{n.moment(w.bounds(instant)[0])} to {n.moment(w.bounds(instant)[1])} UTC, on {w.on}")
        for w in judged.evaluation.windows
    ]
    if state is not None:
        found += [("Full recounts", f"{state.full_recounts:,} since the state was made")]
        found += [("Drift", f"{state.drift_cells:,} cells differed at the last reconciliation")]
    return found
