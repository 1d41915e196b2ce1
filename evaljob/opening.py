"""What a configuration names, opened: the logs, evaljob's own tables, an evaluation over its checked sources."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import sqlalchemy as sa

from evaljob import schema
from evaljob.attempts import persistently
from evaljob.config import Config, Evaluation
from evaljob.database import CONFIGURED, connect, reason
from evaljob.dialect import MYSQL, SPARK
from evaljob.errors import ConfigError, EvaluationError
from evaljob.failures import passes
from evaljob.join import Plan
from evaljob.source import open_sources

INDEXED = ("sqlite", "postgresql", *MYSQL)  # engines that find rows by an index instead of a scan


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
def own_tables(config: Config) -> Iterator[sa.Engine]:
    """The database of evaljob's own tables, which are there."""
    engine = connect(config.state.url.get_secret_value(), read_only=False, key="state.url")
    try:
        yield _brought_up(engine)
    finally:
        engine.dispose()


def _brought_up(engine: sa.Engine) -> sa.Engine:
    try:
        return persistently(partial(schema.opened, engine))
    except sa.exc.SQLAlchemyError as error:
        where = engine.url.render_as_string(hide_password=True)
        kind = ConfigError if passes(error) is False else EvaluationError
        raise kind(f"state.url: {where} cannot be opened: {reason(error)}") from error


def plan_of(connection: sa.Connection, evaluation: Evaluation) -> Plan:
    """One evaluation over its checked sources. Raises ConfigError naming the file and the column."""
    name = connection.dialect.name
    sources = open_sources(connection, evaluation)
    return Plan(
        evaluation,
        *sources,
        mysql=name in MYSQL,
        indexed=name in INDEXED,
        repeats=name in SPARK,
        prunes=name == "duckdb",
    )
