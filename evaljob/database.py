"""Connections to the database of the logs and to evaljob's own, with the session settings that make engines agree."""

import math
import os
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import NoSuchModuleError, SQLAlchemyError

from evaljob.errors import ConfigError
from evaljob.failures import passes
from evaljob.timeout import limit_statements

# The extra that brings the driver, and how a URL names that driver.
EXTRAS = {
    "postgresql": ("postgres", "postgresql+psycopg"),
    "mysql": ("mysql", "mysql+pymysql"),
    "mariadb": ("mysql", "mariadb+pymysql"),
    "duckdb": ("duckdb", "duckdb"),
    "hive": ("spark", "hive"),
}
for _name, _class in {
    "hive": "SparkDialect",
    "hive.http": "SparkHTTPDialect",
    "hive.https": "SparkHTTPSDialect",
}.items():
    sa.dialects.registry.register(_name, "evaljob.spark", _class)
CONFIGURED = "evaljob_database"  # the execution option that carries the section `database` to who counts
_DEAD_PEER = {"connect_timeout": 10, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}  # seconds
_SESSION_READ_ONLY = {
    "postgresql": "SET default_transaction_read_only = on",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}
_SESSION_UTC = {
    "postgresql": "SET TIME ZONE 'UTC'",
    "mysql": "SET time_zone = '+00:00'",
    "mariadb": "SET time_zone = '+00:00'",
    "duckdb": "SET TimeZone = 'UTC'",
    "hive": "SET spark.sql.session.timeZone = UTC",
    "databricks": "SET TIME ZONE 'UTC'",
    "redshift": "SET TIME ZONE 'UTC'",
    "snowflake": "ALTER SESSION SET TIMEZONE = 'UTC'",
}
_CONNECTED_WITH: dict[str, dict[str, Any]] = {
    "trino": {"timezone": "UTC"},
    "clickhousedb": {  # NULLs as everywhere, and names of columns before those of results
        "session_timezone": "UTC",
        "join_use_nulls": 1,
        "group_by_use_nulls": 1,
        "cast_keep_nullable": 1,
        "prefer_column_name_to_alias": 1,
    },
}


@lru_cache(maxsize=8)
def connect(
    url: str,
    *,
    read_only: bool,
    statement_timeout: timedelta | None = None,
    key: str = "database.url",
    memory_limit: str | None = None,
) -> sa.Engine:
    """An engine for a SQLAlchemy URL, which the configuration has under `key`, whose sessions speak UTC.

    `read_only` engines refuse to make a missing SQLite or DuckDB file and never write; servers hold them to that. A
    statement that takes longer than `statement_timeout` is ended by the server, or by us where there is none. The same
    engine comes back for the same arguments, so that a worker compiles its statements once. DuckDB keeps to
    `memory_limit`.
    Raises ConfigError when the driver is not installed (naming the extra), or the file is missing or no database.
    """
    parsed = sa.make_url(url)
    backend = parsed.get_backend_name()
    file = Path(str(parsed.database)) if backend in ("sqlite", "duckdb") and _is_file(parsed) else None
    if file is not None:
        _require(file, key) if read_only else _make_room(file, key)
    try:
        engine = sa.create_engine(parsed, **_arguments(parsed, read_only=read_only, memory_limit=memory_limit))
    except (NoSuchModuleError, ImportError) as error:
        raise ConfigError(f"{key}: {_missing_driver(parsed)}") from error
    _on_connect(engine, backend, read_only=read_only)
    if statement_timeout is not None:
        limit_statements(engine, statement_timeout)
    if file is not None:
        _try_out(engine, file, key)
    return engine


def bounded(memory_limit: str | None, spilled: Path) -> dict[str, Any]:
    """DuckDB's settings for the memory it may take, with what does not fit in files under `spilled`, which go."""
    return {} if memory_limit is None else {"memory_limit": memory_limit, "temp_directory": str(spilled)}


def shown(url: str) -> str:
    """The URL without its password, for messages."""
    return sa.make_url(url).render_as_string(hide_password=True)


def reason(error: SQLAlchemyError) -> str:
    """What the database said, on one line, without the statement and its values."""
    cause = getattr(error, "orig", None) or error
    status = getattr(cause.args[0], "status", None) if cause.args else None  # Spark's answer, with the server's stack
    return str(status.errorMessage if status is not None else cause).strip().splitlines()[0]


def _arguments(url: sa.URL, *, read_only: bool, memory_limit: str | None) -> dict[str, Any]:
    backend = url.get_backend_name()
    if backend == "duckdb":
        config = bounded(memory_limit, Path(tempfile.gettempdir()) / f"evaljob-spilled-{os.getpid()}")
        return {"connect_args": {"read_only": read_only and _is_file(url), "config": config}}
    if backend in ("postgresql", "mysql", "mariadb"):
        # The snapshot makes the books and the cells of one run agree with each other.
        return {"pool_pre_ping": True, "isolation_level": "REPEATABLE READ", "connect_args": _connection_bounds(url)}
    return {"connect_args": _CONNECTED_WITH[backend]} if backend in _CONNECTED_WITH else {}


def _connection_bounds(url: sa.URL) -> dict[str, Any]:
    """What makes libpq notice a server that is gone without a word; what the URL says about it is left alone."""
    known = url.get_driver_name() in ("psycopg", "psycopg2")
    return {name: seconds for name, seconds in _DEAD_PEER.items() if known and name not in url.query}


def _on_connect(engine: sa.Engine, backend: str, *, read_only: bool) -> None:
    settings: dict[str, Callable[[Any], None]] = {"sqlite": _sqlite_read_only if read_only else _sqlite_writable}
    setting = settings.get(backend)

    @sa.event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        if setting is not None:
            setting(connection)
        elif backend in _SESSION_UTC:
            with closing(connection.cursor()) as cursor:
                cursor.execute(_SESSION_UTC[backend])
                if read_only and backend in _SESSION_READ_ONLY:
                    cursor.execute(_SESSION_READ_ONLY[backend])
            connection.commit()  # a rollback would take the setting back
            if backend == "postgresql":
                _notice_our_end(engine, connection)


def _notice_our_end(engine: sa.Engine, connection: Any) -> None:
    """Have PostgreSQL end the query of a client that was killed: else it goes on. Since 14, on most systems."""
    driver: Any = engine.dialect.dbapi
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("SET client_connection_check_interval = '5s'")
        connection.commit()
    except driver.Error:
        connection.rollback()


def _sqlite_read_only(connection: Any) -> None:
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA cache_size = -16384")
    _sqlite_mathematics(connection)


def _sqlite_writable(connection: Any) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA busy_timeout = 10000")


def _sqlite_mathematics(connection: Any) -> None:
    """Some builds of SQLite come without ln()."""
    try:
        connection.execute("SELECT ln(2.0)").fetchone()
    except sqlite3.OperationalError:
        connection.create_function("ln", 1, lambda x: None if x is None else math.log(x), deterministic=True)


def _is_file(url: sa.URL) -> bool:
    return bool(url.database) and url.database != ":memory:" and not str(url.database).startswith("file:")


def _require(file: Path, key: str) -> None:
    if not file.exists():
        mend = "make the logs first (`evaljob demo` makes some) or correct the path"
        raise ConfigError(f"{key}: {file}: there is no such file; {mend}")


def _make_room(file: Path, key: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise ConfigError(f"{key}: {file}: its directory cannot be made: {why}; correct the path") from error


def _try_out(engine: sa.Engine, file: Path, key: str) -> None:
    """Open the file once, so that a wrong one is told as what it is. What may pass is left for the run to meet."""
    try:
        with engine.connect() as connection:
            connection.execute(sa.text("SELECT count(*) FROM sqlite_master"))
    except SQLAlchemyError as error:
        if passes(error) is False:
            engine.dispose()
            raise ConfigError(f"{key}: {file}: {reason(error)}; name a database that can be opened") from error


def _missing_driver(url: sa.URL) -> str:
    if url.get_backend_name() not in EXTRAS:
        return f"no driver for {url.drivername}:// is installed; install its SQLAlchemy dialect, or correct the URL"
    extra, name = EXTRAS[url.get_backend_name()]
    rename = "" if url.drivername in (name, "mysql+pymysql") else f" and write {name}://"
    return f"the driver for {url.drivername}:// is not installed; pip install 'evaljob[{extra}]'{rename}"
