"""One run, top to bottom: the table of contents of evaljob."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pandas as pd
import sqlalchemy as sa

from evaljob import gauges, history, join, journal, push, tracking
from evaljob.advance import Advanced, advance
from evaljob.attempts import persistently
from evaljob.config import Config, Evaluation
from evaljob.database import CONFIGURED, connect, reason, shown
from evaljob.dialect import MYSQL, SPARK
from evaljob.errors import ConfigError, EvaljobError, EvaluationError, PushError
from evaljob.failures import passes
from evaljob.join import Plan
from evaljob.metrics import evaluate
from evaljob.metrics.past import Past
from evaljob.past import Archive
from evaljob.source import open_sources
from evaljob.state import OvertakenError, Store, SupersededError, fingerprint
from evaljob.tracking.kept import Kept, load

INDEXED = ("sqlite", "postgresql", *MYSQL)  # engines that find rows by an index instead of a scan
CLOCK_ERROR = timedelta(days=1)  # a state further ahead of the clock is no other replica's
SLACK = 3.0  # seconds that a push may take besides its network's
RESTORATIONS = 3  # each is overtaken only by a worker that has pushed meanwhile
WORST_FIRST = (2, 1, 3, 0)  # exit codes: configuration, evaluation, push, done

logger = logging.getLogger(__name__)


@dataclass
class Run:
    """What became of one evaluation: its results, or why there are none."""

    model: str
    as_of: datetime
    clock: bool = False  # whether `as_of` is the clock's instant, and not one that was asked for
    results: pd.DataFrame | None = None
    advanced: Advanced | None = None
    mlflow: Kept | None = None  # what is known of MLflow when the run begins; None: not configured
    error: EvaljobError | None = None
    superseded: bool = False
    durations: dict[str, float] = field(default_factory=dict)

    def fail(self, error: sa.exc.SQLAlchemyError) -> None:
        """Note that a database failed."""
        self.error = EvaluationError(f"{self.model}: the database failed: {reason(error)}")
        self.error.__cause__ = error

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

    A model that fails does not keep the others from being published. Without `as_of` it is now; an evaluation that
    already stands at a later instant, for the clock was put back, is then not published over. Raises ConfigError
    before anything is counted or pushed when the SQL or the columns of every model are wrong.
    """
    with journal.run():
        runs = [Run(evaluation.model, as_of or now(config), clock=as_of is None) for evaluation in config.evaluations]
        each(config, runs, partial(_evaluate, full=full))
        if pushing:
            publish(config, runs)
            track(config, runs)
        tell(runs)
    return exit_code(runs), runs


@dataclass(frozen=True)
class Work:
    """What there is to evaluate one model with."""

    config: Config
    plan: Plan
    states: Store
    connection: sa.Connection


def each(config: Config, runs: list[Run], evaluate_one: Callable[[Run, Work], None]) -> None:
    """Call `evaluate_one` for every model of the configuration, in its order; what fails stands in the model's Run.

    Raises ConfigError before anything is counted when the SQL or the columns of every model are wrong.
    """
    with logs(config) as engine, _failing_all(runs):
        plans = _plans(config, engine, runs)
        with store(config) as states:
            for run_, plan in plans:
                with _failing(run_):
                    persistently(partial(_attempt, engine, evaluate_one, run_, partial(Work, config, plan, states)))


def _attempt(
    engine: sa.Engine, evaluate_one: Callable[[Run, Work], None], run_: Run, work: Callable[[sa.Connection], Work]
) -> None:
    with engine.connect() as connection:
        evaluate_one(run_, work(connection))


def publish(config: Config, runs: list[Run]) -> None:
    """Push the results of the runs, where a gateway is configured."""
    if config.pushgateway.url is not None:
        _publish(config, runs)


def tell(runs: list[Run]) -> None:
    """What became of each run, in the log."""
    for run_ in runs:
        journal.ended(run_.model, run_.as_of, run_.durations, _outcome(run_))


def _outcome(run_: Run) -> dict[str, Any]:
    done = run_.advanced
    known = {} if done is None else {
        "rows_read": done.rows_read, "cells": len(done.state.cells.frame), "revision": done.state.revision,
        "recounted": done.recounted, "full_recounts": done.state.full_recounts, "drift_cells": done.state.drift_cells,
    }  # fmt: skip
    return {
        "exit_code": 0 if run_.error is None else run_.error.exit_code,
        "error": None if run_.error is None else str(run_.error),
        "superseded": run_.superseded,
        "results": 0 if run_.results is None else len(run_.results),
        **known,
    }


def track(config: Config, runs: list[Run]) -> None:
    """Log the results to MLflow, where it is configured: after the push, with no say in how the run ended."""
    if config.mlflow.tracking_uri is None:
        return
    results = {run_.model: run_.results for run_ in runs if run_.results is not None and not run_.superseded}
    try:
        with store(config) as states:
            tracking.track(config, states.engine, results)
    except (EvaljobError, sa.exc.SQLAlchemyError) as error:
        logger.warning("MLflow: what became of it cannot be stored: %s", error)


def exit_code(runs: list[Run]) -> int:
    """The worst of what became of the runs."""
    codes = {run_.error.exit_code for run_ in runs if run_.error is not None}
    return next((code for code in WORST_FIRST if code in codes), 0)


def logged(code: int, runs: list[Run]) -> int:
    """The exit code, with what failed in the log: a worker has nobody to tell it to."""
    for run_ in runs:
        if run_.error is not None:
            logger.error("%s", run_.error)
    return code


@contextmanager
def logs(config: Config) -> Iterator[sa.Engine]:
    """The database of the logs, which is only read."""
    database = config.database
    engine = connect(
        database.url.get_secret_value(),
        read_only=True,
        statement_timeout=database.statement_timeout,
        memory_limit=database.memory_limit,
    )
    try:
        yield engine.execution_options(**{CONFIGURED: database})
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
    engine = connect(config.state.url.get_secret_value(), read_only=False, key="state.url")
    try:
        yield _opened(engine)
    finally:
        engine.dispose()


def _opened(engine: sa.Engine) -> Store:
    try:
        return persistently(partial(Store, engine))
    except sa.exc.SQLAlchemyError as error:
        where = engine.url.render_as_string(hide_password=True)
        kind = ConfigError if passes(error) is False else EvaluationError
        raise kind(f"state.url: {where} cannot be opened: {reason(error)}") from error


def _plans(config: Config, engine: sa.Engine, runs: list[Run]) -> list[tuple[Run, Plan]]:
    """Every evaluation over its checked sources; what is wrong with those of one stands in its run.

    Raises ConfigError naming the file and the column when no evaluation is left.
    """
    plans = []
    for run_, evaluation in zip(runs, config.evaluations, strict=True):
        try:
            plans.append((run_, persistently(partial(_planned, engine, evaluation))))
        except ConfigError as error:
            run_.error = error
    if runs and not plans:
        raise ConfigError("\n".join(str(run_.error) for run_ in runs))
    return plans


def _planned(engine: sa.Engine, evaluation: Evaluation) -> Plan:
    with engine.connect() as connection:
        return plan_of(connection, evaluation)


def plan_of(connection: sa.Connection, evaluation: Evaluation) -> Plan:
    """One evaluation over its checked sources. Raises ConfigError naming the file and the column."""
    name = connection.dialect.name
    sources = open_sources(connection, evaluation)
    return Plan(evaluation, *sources, mysql=name in MYSQL, indexed=name in INDEXED, repeats=name in SPARK)


def digest_of(config: Config, plan: Plan) -> str:
    """The fingerprint of an evaluation's state."""
    return fingerprint(plan, shown(config.database.url.get_secret_value()))


def unplaceable(connection: sa.Connection, plan: Plan, as_of: datetime) -> dict[str, int]:
    """Rows that no window can hold for want of a timestamp, by reason."""
    logs_ = {source.log.removesuffix("s"): source for source in (plan.predictions, plan.labels)}
    counts_of = {log: join.unplaceable(plan, source, as_of) for log, source in logs_.items()}
    found = {log: connection.execute(counts).mappings().one() for log, counts in counts_of.items()}
    return {f"{log}_{name}_null": rows for log, counts in found.items() for name, rows in counts.items()}


@contextmanager
def _failing_all(runs: list[Run]) -> Iterator[None]:
    """A database that cannot be reached fails every model that has no error of its own."""
    try:
        yield
    except EvaluationError as error:
        for run_ in runs:
            run_.error = error
    except sa.exc.SQLAlchemyError as error:
        for run_ in runs:
            run_.fail(error)


@contextmanager
def _failing(run_: Run) -> Iterator[None]:
    """What fails one model is noted in its run."""
    try:
        yield
    except SupersededError:
        run_.superseded = True
        logger.warning("%s: another worker has advanced the state meanwhile; nothing is pushed", run_.model)
    except EvaljobError as error:
        run_.error = error
    except sa.exc.SQLAlchemyError as error:
        run_.fail(error)


def _evaluate(run_: Run, work: Work, *, full: bool) -> None:
    plan, states = work.plan, work.states
    with run_.stage("load"):
        old = states.load(run_.model)
        run_.mlflow = known_of_mlflow(work, run_.model)
    if run_.clock and old is not None and run_.as_of < old.as_of:
        if old.as_of - run_.as_of <= CLOCK_ERROR:
            run_.superseded = True
            logger.warning("%s: stands at %s, which is later than now; nothing is done", run_.model, old.as_of)
            return
        logger.warning("%s: stands at %s, when the clock was wrong; now is counted afresh", run_.model, old.as_of)
        old, full = replace(old, as_of=run_.as_of), True
    with run_.stage("count"):
        advanced = advance(work.connection, plan, old, run_.as_of, digest_of(work.config, plan), full=full)
        missing = unplaceable(work.connection, plan, run_.as_of)
    with run_.stage("metrics"):
        past = known_of_past(work, run_, run_.as_of)
        results = evaluate(plan.evaluation, advanced.state.cells, run_.as_of, missing, past)
    with run_.stage("store"), states.engine.begin() as transaction:
        if advanced.kept:
            states.replace(transaction, run_.model, advanced.state)
        if run_.clock:
            history.forget_future(transaction, run_.model, run_.as_of)
        keep(transaction, work.config, results)
    run_.results, run_.advanced = results, advanced


def known_of_past(work: Work, run_: Run, as_of: datetime) -> Past:
    """What the results of a run are compared with."""
    offline = run_.mlflow.offline if run_.mlflow is not None else None
    with work.states.engine.connect() as connection:
        return Archive(connection, work.plan.evaluation).past(as_of, offline)


def known_of_mlflow(work: Work, model: str) -> Kept | None:
    """What earlier runs have found in MLflow, None where it is not configured."""
    if work.config.mlflow.tracking_uri is None:
        return None
    with work.states.engine.connect() as connection:
        return load(connection, model)


def keep(transaction: sa.Connection, config: Config, results: pd.DataFrame) -> None:
    """The results into the history, and out of it what is older than `state.history_retention`."""
    history.record(transaction, results)
    newest = min(results["as_of"].iloc[0], now(config))  # an instant asked for in the future makes nothing old
    history.forget(transaction, newest - config.state.history_retention)


def _publish(config: Config, runs: list[Run]) -> None:
    """Results and status of every run, and the end of groups whose model is not configured any more."""
    budget = push.Budget(config.pushgateway)
    evaluated = [run_ for run_ in runs if run_.results is not None and not run_.superseded]
    if evaluated:
        with _failing_all(evaluated), store(config) as states:
            for run_ in evaluated:
                with _failing(run_):
                    _push(config, run_, states, budget)
    for run_ in runs:
        if run_.error is not None and not isinstance(run_.error, PushError):  # those have told as far as they could
            _push_status(config, run_, budget)
    try:
        for model in push.groups(config.pushgateway, budget) - {run_.model for run_ in runs}:
            push.delete_model(config.pushgateway, model, budget)
    except PushError as error:
        logger.warning("groups of models taken out of the configuration may remain: %s", error)


def _push(config: Config, run_: Run, states: Store, budget: push.Budget) -> None:
    """A run's results and its status, unless another worker has newer ones; no worker gets newer ones meanwhile."""
    if run_.advanced is None or run_.results is None:
        return
    if run_.advanced.recounted and not run_.advanced.kept:
        logger.warning("%s: the results of %s go over later ones, as was asked for", run_.model, run_.as_of)
    seconds = max(budget.left, 0) + SLACK
    try:
        with budget.within(seconds), states.holding(run_.model, run_.advanced.state.revision, seconds):
            _push_results(config, run_, run_.results, budget)
            _push_status(config, run_, budget)
    except OvertakenError:
        run_.superseded = True
        logger.warning("%s: another worker came in between; its results are pushed again", run_.model)
        _restore(config, run_.model, states)


def _push_results(config: Config, run_: Run, results: pd.DataFrame, budget: push.Budget) -> None:
    try:
        with run_.stage("push"):
            registry = gauges.results_registry(results, run_.mlflow.offline if run_.mlflow else None)
            push.push_results(config.pushgateway, run_.model, registry, budget)
    except PushError as error:
        run_.error = error


def _push_status(config: Config, run_: Run, budget: push.Budget) -> None:
    try:
        push.push_status(config.pushgateway, run_.model, status(run_), budget)
    except PushError as error:
        run_.error = run_.error or error


def _restore(config: Config, model: str, states: Store) -> None:
    """Push the results that the state stands for, which older ones may have overwritten."""
    seconds = config.pushgateway.timeout.total_seconds()
    for _ in range(RESTORATIONS):
        newest = states.load(model)
        if newest is None:
            return
        with suppress(SupersededError), states.holding(model, newest.revision, seconds):
            with states.engine.connect() as connection:
                results = history.read(connection, history.Selection((model,), newest.as_of, newest.as_of))
            push.push_results(config.pushgateway, model, gauges.results_registry(results))
            return


def status(run_: Run) -> gauges.Status:
    """How a run ended, for the gateway."""
    done = run_.advanced
    known = (None, None, None) if done is None else (done.rows_read, done.state.full_recounts, done.state.drift_cells)
    told = gauges.Status(run_.error is None, datetime.now(UTC), run_.durations, *known)
    return told if run_.mlflow is None else replace(told, mlflow_failures=run_.mlflow.failures)
