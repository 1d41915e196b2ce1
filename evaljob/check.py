"""Everything that can be wrong, found before it runs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from evaljob import push
from evaljob.config import Config, Evaluation
from evaljob.database import reason, shown
from evaljob.errors import ConfigError, EvaljobError, EvaluationError
from evaljob.join import Plan
from evaljob.opening import logs, own_tables, plan_of
from evaljob.partitions import misplaced
from evaljob.schema import STATE
from evaljob.source import Source
from evaljob.types import class_name, misordered

_SHOWN = 10


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: what, and what is wrong with it, if anything."""

    what: str
    detail: str
    error: EvaljobError | None = None


def check(config: Config) -> Iterator[Finding]:
    """Look at the logs of every evaluation, evaljob's tables, the gateway and MLflow; one failure hides no other."""
    for evaluation in config.evaluations:
        yield from _logs(config, evaluation)
    yield _tried("state", lambda: _state(config))
    yield _tried("pushgateway", lambda: _gateway(config))
    if config.mlflow.tracking_uri is not None:
        yield _tried("mlflow", lambda: _mlflow(config))


def _logs(config: Config, evaluation: Evaluation) -> Iterator[Finding]:
    def look() -> str:
        with logs(config) as engine, engine.connect() as connection:
            plan = plan_of(connection, evaluation)
            rows = [_look_at(connection, source) for source in (plan.predictions, plan.labels)]
            _look_for_positive(connection, plan)
        return ", ".join(rows)

    yield _tried(f"evaluation {evaluation.model}", look)


def _look_at(connection: sa.Connection, source: Source) -> str:
    """The log's size. SQLite's timestamps can take any form in any row, so every row is looked at."""
    for column in (source.stamp, source.known) if connection.dialect.name == "sqlite" else ():
        if wrong := misordered(connection, source.rows, column):
            form = "a UTC timestamp like 2026-06-01 12:00:00.000000"
            raise ConfigError(f"{source.path}: in {wrong:,} rows {column} is not {form}")
    if wrong_partition := misplaced(connection, source):
        raise ConfigError(f"{source.path}: {wrong_partition}")
    rows = connection.execute(sa.select(sa.func.count()).select_from(source.rows)).scalar_one()
    return f"{source.path.name}: {rows:,} rows of {', '.join(source.kinds)}"


def _look_for_positive(connection: sa.Connection, plan: Plan) -> None:
    """A positive label that is spelt otherwise than in the logs would make every prediction a true negative."""
    if plan.evaluation.task != "binary":
        return
    columns = (plan.predictions.rows.c.prediction, plan.labels.rows.c.label)
    distinct = [connection.execute(sa.select(column).where(column.is_not(None)).distinct()) for column in columns]
    found = {class_name(value) for values in distinct for value in values.scalars()}
    positive = plan.evaluation.positive_label
    if len(found) > 1 and class_name(positive) not in found:
        classes = ", ".join(sorted(found)[:_SHOWN])
        raise ConfigError(f"positive_label {positive!r} is in neither log; write one of their classes: {classes}")


def _state(config: Config) -> str:
    with own_tables(config) as engine, engine.begin() as transaction:
        transaction.execute(sa.delete(STATE).where(sa.false()))
    return shown(config.state.url.get_secret_value())


def _gateway(config: Config) -> str:
    if config.pushgateway.url is None:
        return "none is configured: results are only printed and stored"
    found = push.groups(config.pushgateway)
    return f"answers; holds results of {', '.join(sorted(found)) or 'no model yet'}"


def _mlflow(config: Config) -> str:
    from evaljob import tracking  # noqa: PLC0415  (with pandas, which looking at the rest does without)

    return tracking.check(config)


def _tried(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, look())
    except EvaljobError as error:
        return Finding(what, str(error), error)
    except sa.exc.SQLAlchemyError as error:
        failed = EvaluationError(f"the database failed: {reason(error)}")
        return Finding(what, str(failed), failed)
