"""A bound on how long one statement may take, by each engine's own means."""

import threading
import time
from datetime import timedelta
from typing import Any

import sqlalchemy as sa

_CHECK_EVERY = 100_000  # instructions of SQLite's virtual machine, a few milliseconds


def limit_statements(engine: sa.Engine, timeout: timedelta) -> None:
    """End statements of this engine that take longer. Engines that know no bound are left without one."""
    backend, seconds = engine.url.get_backend_name(), timeout.total_seconds()
    if backend == "sqlite":
        _with_progress_handler(engine, seconds)
    elif backend == "duckdb":
        _with_interrupt(engine, seconds)
    elif backend in _SETTINGS:
        _with_setting(engine, seconds)


_SETTINGS = {
    "postgresql": "SET statement_timeout = {milliseconds}",
    "mariadb": "SET max_statement_time = {seconds}",
    "mysql": "SET max_execution_time = {milliseconds}",
    "hive": "SET spark.sql.thriftServer.queryTimeout = {seconds:.0f}",
    "databricks": "SET STATEMENT_TIMEOUT = {seconds:.0f}",
    "redshift": "SET statement_timeout = {milliseconds}",
    "snowflake": "ALTER SESSION SET STATEMENT_TIMEOUT_IN_SECONDS = {seconds:.0f}",
}


def _with_setting(engine: sa.Engine, seconds: float) -> None:
    @sa.event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT version()")
            (version,) = cursor.fetchone()
            # A MariaDB answers under mysql:// as well, and knows nothing of MySQL's setting.
            kind = "mariadb" if "MariaDB" in version else engine.url.get_backend_name()
            cursor.execute(_SETTINGS[kind].format(seconds=seconds, milliseconds=int(seconds * 1000)))
        connection.commit()  # a rollback would take the setting back


def _with_progress_handler(engine: sa.Engine, seconds: float) -> None:
    """SQLite works while rows are fetched, too: it asks by itself whether to go on."""

    @sa.event.listens_for(engine, "before_cursor_execute")
    def _(connection: sa.Connection, *_: object) -> None:
        deadline = time.monotonic() + seconds
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(lambda: time.monotonic() > deadline, _CHECK_EVERY)


def _with_interrupt(engine: sa.Engine, seconds: float) -> None:
    @sa.event.listens_for(engine, "before_cursor_execute")
    def _(connection: sa.Connection, *_: object) -> None:
        driver: Any = connection.connection.driver_connection
        timer = threading.Timer(seconds, driver.interrupt)
        timer.daemon = True
        timer.start()
        connection.info["statement_timer"] = timer

    @sa.event.listens_for(engine, "after_cursor_execute")
    def _(connection: sa.Connection, *_: object) -> None:
        connection.info.pop("statement_timer").cancel()

    @sa.event.listens_for(engine, "handle_error")
    def _(context: sa.engine.ExceptionContext) -> None:
        if context.connection is not None and "statement_timer" in context.connection.info:
            context.connection.info.pop("statement_timer").cancel()
