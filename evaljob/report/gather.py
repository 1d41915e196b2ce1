"""What a report is made from: the stored states and the history, and from the logs' database the exact statements.

Nothing is written. The logs may be out of reach: the report is then made without its statements.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import sqlalchemy as sa

from evaljob import history, statements
from evaljob.cells import Cells
from evaljob.clock import now
from evaljob.config import Config, Evaluation
from evaljob.database import connect, reason
from evaljob.errors import ConfigError, EvaluationError
from evaljob.history import Block, Selection
from evaljob.metrics.series import ALL, OVERALL, Series, series_of
from evaljob.opening import logs, plan_of
from evaljob.past import EARLIER
from evaljob.report.catalogue import measures
from evaljob.schema import STATE
from evaljob.state import State, Store

POINTS = 160  # of a trend: more cannot be told apart on the page
_TRENDS = ("support", "label_coverage_ratio")


@dataclass(frozen=True)
class Material:
    """What is known of one model at `as_of`; `results` are None where it was never evaluated.

    `series` are the stored cells at `as_of`, None where there are none of that instant. `before` are the results of the
    same windows one length of the main window earlier, and `past` are those of the days before, as they were published.
    """

    evaluation: Evaluation
    as_of: datetime | None = None
    results: pd.DataFrame | None = None
    series: Series | None = None
    state: State | None = None
    before: pd.DataFrame | None = None
    past: tuple[Block, ...] = ()
    statements: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sql:
    """The statements of each model, or why there are none."""

    by_model: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problem: str | None = None


def gather(config: Config, days: int) -> tuple[list[Material], Sql]:
    """The material of every model, with `days` of history. Raises ConfigError and EvaluationError."""
    with _states(config) as engine:
        found = [_model(engine, evaluation, timedelta(days=days)) for evaluation in config.evaluations]
    instants = {m.evaluation.model: m.as_of or now(config) for m in found}
    return found, _sql(config, instants)


def main_window(evaluation: Evaluation) -> str:
    """The name of the window that is told of first: the longest; of two, the one that gives labels more time."""
    return max(evaluation.windows, key=lambda window: (window.length, window.maturity)).name


@contextmanager
def _states(config: Config) -> Iterator[sa.Engine | None]:
    """Evaljob's own tables, which are only read; None where nothing ever ran."""
    url = sa.make_url(config.state.url.get_secret_value())
    embedded = url.get_backend_name() in ("sqlite", "duckdb") and url.database and ":" not in url.database
    if embedded and not Path(str(url.database)).exists():
        yield None
        return
    engine = connect(config.state.url.get_secret_value(), read_only=True, key="state.url")
    try:
        yield engine if sa.inspect(engine).has_table(STATE.name) else None
    except sa.exc.SQLAlchemyError as error:
        raise EvaluationError(f"state.url: the state cannot be read: {reason(error)}") from error
    finally:
        engine.dispose()


def _model(engine: sa.Engine | None, evaluation: Evaluation, span: timedelta) -> Material:
    if engine is None:
        return Material(evaluation)
    model = evaluation.model
    state = Store.read(engine, model)
    with engine.connect() as connection:
        instants = history.instants(connection, model, Selection())
        if not instants:
            return Material(evaluation, state=state)
        as_of = state.as_of if state is not None and state.as_of in instants else instants[-1]
        results = _at(connection, model, as_of)
        kept = [instant for instant in instants if instant <= as_of]
        before = _before(evaluation, kept)
        past = [t for t in kept if t > as_of - span]
        series, notes = _series(evaluation, state, as_of, results)
        return Material(
            evaluation,
            as_of,
            results,
            series,
            state,
            None if before is None else _at(connection, model, before),
            tuple(_past(connection, evaluation, thinned(past))),
            notes=(*notes, *_later(as_of, instants[-1])),
        )


def _at(connection: sa.Connection, model: str, as_of: datetime) -> pd.DataFrame:
    return history.read(connection, Selection((model,), as_of, as_of))


def _before(evaluation: Evaluation, instants: Sequence[datetime]) -> datetime | None:
    """The last instant at which the main window ended before it begins now."""
    length = next(w.length for w in evaluation.windows if w.name == main_window(evaluation))
    latest = instants[-1] - length
    earlier = [instant for instant in instants if latest - length / EARLIER <= instant <= latest]
    return earlier[-1] if earlier else None


def _past(connection: sa.Connection, evaluation: Evaluation, instants: Sequence[datetime]) -> Iterator[Block]:
    metrics = (*(measure.metric for measure in measures(evaluation)), *_TRENDS)
    for instant in instants:
        window, overall = (main_window(evaluation),), ((OVERALL, ""),)
        chosen = Selection((evaluation.model,), instant, instant, windows=window, slices=overall, metrics=metrics)
        yield from history.blocks(connection, chosen)


def thinned(instants: Sequence[datetime], points: int = POINTS) -> list[datetime]:
    """At most so many of the instants, spread evenly over their time, the first and the last among them."""
    if len(instants) <= points:
        return list(instants)
    times = np.array([instant.timestamp() for instant in instants])
    places = np.searchsorted(times, np.linspace(times[0], times[-1], points))
    return [instants[i] for i in np.unique(places)]


def _series(
    evaluation: Evaluation, state: State | None, as_of: datetime, results: pd.DataFrame
) -> tuple[Series | None, tuple[str, ...]]:
    """The stored cells, if they are those that the results came from, and otherwise what there is to say."""
    again = "Run `evaljob run` to see the distributions behind the numbers"
    if state is None or state.as_of != as_of:
        return None, (f"There are no cells of this instant. {again}.",)
    if state.unreadable:
        return None, (f"The stored cells are damaged. {again}; it counts them afresh.",)
    series = _made(evaluation, state.cells)
    if series is None or not _agrees(series, results):
        return None, (f"The configuration has changed since the last run. {again} as they are configured now.",)
    return series, ()


def _made(evaluation: Evaluation, cells: Cells) -> Series | None:
    """The cells as series, None where they have windows or slices that are not configured."""
    frame = cells.frame
    windows, slices = (int(frame[name].max()) if len(frame) else 0 for name in ("window", "slice"))
    possible = windows < len(evaluation.windows) and slices <= len(evaluation.slices)
    return series_of(evaluation, cells) if possible else None


def _agrees(series: Series, results: pd.DataFrame) -> bool:
    """Whether the results rest on the very requests that the cells count, series by series."""
    names = ["window", "model_version", "slice", "slice_value"]
    stored = results[results["metric"] == "support"][[*names, "value"]].astype(dict.fromkeys(names, object))
    counted = series.names.astype(object).assign(counted=series.support)
    both = counted.merge(stored, how="outer", on=names)
    return bool((both["counted"] == both["value"]).all())


def _later(as_of: datetime, last: datetime) -> Iterator[str]:
    if last > as_of:
        yield f"The history also has results of later instants, up to {last.astimezone(UTC):%Y-%m-%d %H:%M} UTC."


def _sql(config: Config, instants: dict[str, datetime]) -> Sql:
    """The statements as they would run; the report does without them where the logs are out of reach."""
    try:
        with logs(config) as engine, engine.connect() as connection:
            return Sql({
                plan.evaluation.model: tuple(statements.of(config, connection, plan, instants[plan.evaluation.model]))
                for plan in (plan_of(connection, evaluation) for evaluation in config.evaluations)
            })  # fmt: skip
    except (ConfigError, EvaluationError) as error:
        return Sql(problem=str(error))
    except sa.exc.SQLAlchemyError as error:
        return Sql(problem=f"the database failed: {reason(error)}")


def total_of(series: Series, window: str) -> int:
    """The number of a window's series of all rows and versions."""
    names = series.names
    mask = (names["window"] == window) & (names["model_version"] == ALL) & (names["slice"] == OVERALL)
    return int(np.flatnonzero(mask.to_numpy())[0])
