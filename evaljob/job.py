"""One run, top to bottom: the table of contents of evaljob."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pandas as pd
import sqlalchemy as sa

from evaljob import gauges, join, push
from evaljob.advance import advance
from evaljob.config import Config, Evaluation
from evaljob.database import connect, reason, shown
from evaljob.dialect import MYSQL
from evaljob.errors import EvaljobError, EvaluationError, PushError
from evaljob.join import Plan
from evaljob.metrics import evaluate
from evaljob.source import open_sources
from evaljob.state import State, Store, SupersededError, fingerprint

INDEXED = ("sqlite", "postgresql", *MYSQL)  # engines that find rows by an index instead of a scan
WORST_FIRST = (2, 1, 3, 0)  # exit codes: configuration, evaluation, push, done

logger = logging.getLogger(__name__)


@dataclass
class Run:
    """What became of one evaluation: its results, or why there are none."""

    model: str
    as_of: datetime
    results: pd.DataFrame | None = None
    error: EvaljobError | None = None
    state: State | None = None
    rows_read: int | None = None
    recounted: str | None = None
    superseded: bool = False
    durations: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a part of the run."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.durations[name] = time.perf_counter() - start


def now(config: Config) -> datetime:
    """The instant to evaluate: behind the clock by `settle`, for rows on their way, to the whole second."""
    return (datetime.now(UTC) - config.schedule.settle).replace(microsecond=0)


def run(
    config: Config, as_of: datetime | None = None, *, full: bool = False, pushing: bool = True
) -> tuple[int, list[Run]]:
    """Evaluate every model at `as_of`, keep the states and push the results. Returns the exit code and a Run a model.

    A model that fails does not keep the others from being published.
    """
    at = as_of or now(config)
    with logs(config) as engine, store(config) as states:
        runs = [_evaluated(config, evaluation, engine, states, at, full=full) for evaluation in config.evaluations]
    if pushing and config.pushgateway.url is not None:
        _publish(config, runs)
    codes = {run_.error.exit_code for run_ in runs if run_.error is not None}
    return next((code for code in WORST_FIRST if code in codes), 0), runs


@contextmanager
def logs(config: Config) -> Iterator[sa.Engine]:
    """The database of the logs, which is only read."""
    engine = connect(config.database.url.get_secret_value(), read_only=True)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def writable_logs(config: Config) -> Iterator[sa.Engine]:
    """The database of the logs, for the demo to write to."""
    engine = connect(config.database.url.get_secret_value(), read_only=False)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def store(config: Config) -> Iterator[Store]:
    """Evaljob's own tables."""
    engine = connect(config.state.url.get_secret_value(), read_only=False)
    try:
        yield Store(engine)
    finally:
        engine.dispose()


def plan_of(connection: sa.Connection, evaluation: Evaluation) -> Plan:
    """The evaluation over its checked sources. Raises ConfigError naming the file and the column."""
    engine = connection.dialect.name
    return Plan(evaluation, *open_sources(connection, evaluation), mysql=engine in MYSQL, indexed=engine in INDEXED)


def digest_of(config: Config, plan: Plan) -> str:
    """The fingerprint of an evaluation's state."""
    return fingerprint(plan, shown(config.database.url.get_secret_value()))


def unplaceable(connection: sa.Connection, plan: Plan) -> dict[str, int]:
    """Rows that no window can hold for want of a timestamp, by reason."""
    sources = (plan.predictions, plan.labels)
    found = [(source, connection.execute(join.unplaceable(source)).one()._mapping) for source in sources]  # noqa: SLF001  (SQLAlchemy's public name)
    return {
        f"{source.log.removesuffix('s')}_{name}_null": rows for source, counts in found for name, rows in counts.items()
    }


def _evaluated(
    config: Config, evaluation: Evaluation, engine: sa.Engine, states: Store, at: datetime, *, full: bool
) -> Run:
    run_ = Run(evaluation.model, at)
    try:
        with engine.connect() as connection:
            _evaluate(run_, config, evaluation, connection, states, full=full)
    except SupersededError:
        run_.superseded = True
        logger.warning("%s: another worker has advanced the state meanwhile; nothing is pushed", evaluation.model)
    except EvaljobError as error:
        run_.error = error
    except sa.exc.SQLAlchemyError as error:
        run_.error = EvaluationError(f"{evaluation.model}: the database failed: {reason(error)}")
        run_.error.__cause__ = error
    return run_


def _evaluate(
    run_: Run, config: Config, evaluation: Evaluation, connection: sa.Connection, states: Store, *, full: bool
) -> None:
    with run_.stage("check"):
        plan = plan_of(connection, evaluation)
    with run_.stage("load"):
        old = states.load(evaluation.model)
    with run_.stage("count"):
        advanced = advance(connection, plan, old, run_.as_of, digest_of(config, plan), full=full)
        missing = unplaceable(connection, plan)
    with run_.stage("metrics"):
        results = evaluate(evaluation, advanced.state.cells, run_.as_of, missing)
    with run_.stage("store"), states.engine.begin() as transaction:
        if advanced.kept:
            states.replace(transaction, evaluation.model, advanced.state)
    run_.results, run_.state, run_.rows_read, run_.recounted = (
        results,
        advanced.state,
        advanced.rows_read,
        advanced.recounted,
    )


def _publish(config: Config, runs: list[Run]) -> None:
    """Results and status of every run, and the end of groups whose model is not configured any more."""
    budget = push.Budget(config.pushgateway)
    for run_ in runs:
        if not run_.superseded:
            _push(config, run_, budget)
    try:
        for model in push.groups(config.pushgateway, budget) - {run_.model for run_ in runs}:
            push.delete_model(config.pushgateway, model, budget)
    except PushError as error:
        logger.warning("groups of models taken out of the configuration may remain: %s", error)


def _push(config: Config, run_: Run, budget: push.Budget) -> None:
    try:
        with run_.stage("push"):
            if run_.results is not None:
                push.push_results(config.pushgateway, run_.model, gauges.results_registry(run_.results), budget)
    except PushError as error:
        run_.error = error
    try:
        push.push_status(config.pushgateway, run_.model, status(run_), budget)
    except PushError as error:
        run_.error = run_.error or error


def status(run_: Run) -> gauges.Status:
    """How a run ended, for the gateway."""
    known = (None, None) if run_.state is None else (run_.state.full_recounts, run_.state.drift_cells)
    return gauges.Status(run_.error is None, datetime.now(UTC), run_.durations, run_.rows_read, *known)
