"""One run, top to bottom: the table of contents of evaljob."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

import pandas as pd
import sqlalchemy as sa

from evaljob import history, join, journal
from evaljob.advance import advance
from evaljob.attempts import persistently
from evaljob.clock import now
from evaljob.config import Config, Evaluation
from evaljob.database import shown
from evaljob.errors import ConfigError, EvaljobError
from evaljob.join import Plan
from evaljob.metrics import evaluate
from evaljob.metrics.past import Past
from evaljob.opening import logs, plan_of
from evaljob.past import Archive
from evaljob.runs import Run, exit_code, failing, failing_all, tell
from evaljob.state import Store, fingerprint, store
from evaljob.tracking.kept import Kept, load

CLOCK_ERROR = timedelta(days=1)  # a state further ahead of the clock is no other replica's

logger = logging.getLogger(__name__)


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
    with logs(config) as engine, failing_all(runs):
        plans = _plans(config, engine, runs)
        with store(config) as states:
            for run_, plan in plans:
                with failing(run_):
                    persistently(partial(_attempt, engine, evaluate_one, run_, partial(Work, config, plan, states)))


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


def _attempt(
    engine: sa.Engine, evaluate_one: Callable[[Run, Work], None], run_: Run, work: Callable[[sa.Connection], Work]
) -> None:
    with engine.connect() as connection:
        evaluate_one(run_, work(connection))


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
    del old  # with cells as many as the new ones
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


def digest_of(config: Config, plan: Plan) -> str:
    """The fingerprint of an evaluation's state."""
    return fingerprint(plan, shown(config.database.url.get_secret_value()))


def unplaceable(connection: sa.Connection, plan: Plan, as_of: datetime) -> dict[str, int]:
    """Rows that no window can hold for want of a timestamp, by reason."""
    logs_ = {source.log.removesuffix("s"): source for source in (plan.predictions, plan.labels)}
    counts_of = {log: join.unplaceable(plan, source, as_of) for log, source in logs_.items()}
    found = {log: connection.execute(counts).mappings().one() for log, counts in counts_of.items()}
    return {f"{log}_{name}_null": rows for log, counts in found.items() for name, rows in counts.items()}


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


def publish(config: Config, runs: list[Run]) -> None:
    """Push the results of the runs, where a gateway is configured."""
    if config.pushgateway.url is not None:
        from evaljob import publish as publishing  # noqa: PLC0415  (a run that pushes nothing imports nothing for it)

        publishing.publish(config, runs)


def track(config: Config, runs: list[Run]) -> None:
    """Log the results to MLflow, where it is configured: after the push, with no say in how the run ended."""
    if config.mlflow.tracking_uri is None:
        return
    from evaljob import tracking  # noqa: PLC0415

    results = {run_.model: run_.results for run_ in runs if run_.results is not None and not run_.superseded}
    try:
        with store(config) as states:
            tracking.track(config, states.engine, results)
    except (EvaljobError, sa.exc.SQLAlchemyError) as error:
        logger.warning("MLflow: what became of it cannot be stored: %s", error)
