"""Connections that give up soon, and a lock for what must not happen twice at once."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from examples.iris.tables import MYSQL

PATIENCE = 2  # seconds: who asks for a prediction waits no longer for its log
_LOCK = 0x69726973
_ARGUMENTS: dict[str, dict[str, Any]] = {
    "sqlite": {"timeout": PATIENCE, "check_same_thread": False},
    "postgresql": {
        "connect_timeout": PATIENCE,
        "tcp_user_timeout": PATIENCE * 1000,
        "options": f"-c timezone=UTC -c statement_timeout={PATIENCE * 1000}",
    },
    "mysql": {
        "connect_timeout": PATIENCE,
        "read_timeout": PATIENCE,
        "write_timeout": PATIENCE,
        "init_command": "SET time_zone = '+00:00'",
    },
}
_ARGUMENTS["mariadb"] = _ARGUMENTS["mysql"]


def connect(url: str) -> sa.Engine:
    """An engine for a SQLAlchemy URL. A SQLite file is made where there is none, and is open to several processes."""
    parsed = sa.make_url(url)
    backend = parsed.get_backend_name()
    engine = sa.create_engine(parsed, connect_args=_ARGUMENTS.get(backend, {}), pool_timeout=PATIENCE)
    if backend == "sqlite":
        Path(str(parsed.database)).parent.mkdir(parents=True, exist_ok=True)
        sa.event.listen(engine, "connect", _on_connect)
        sa.event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # or else the driver would begin transactions behind SQLAlchemy's back
    connection.execute("PRAGMA journal_mode = WAL")  # evaljob reads while we write


def _on_begin(connection: sa.Connection) -> None:
    # Deferred, a transaction that reads first and then writes fails at once when another one wrote in between.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


@contextmanager
def exclusive(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A transaction that no other `exclusive` one overlaps, in whatever process or on whatever host it runs.

    On SQLite no two transactions of this module overlap anyway. PostgreSQL, MySQL and MariaDB take a lock of their own
    for it; other engines take none.
    """
    with engine.connect() as connection, _lock(connection):
        yield connection
        connection.commit()


@contextmanager
def _lock(connection: sa.Connection) -> Iterator[None]:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))  # ends with the transaction
    if connection.dialect.name not in MYSQL:
        yield
        return
    if not connection.scalar(sa.select(sa.func.get_lock(str(_LOCK), PATIENCE))):
        raise sa.exc.TimeoutError(f"waited {PATIENCE} s for the lock of another process")
    try:
        yield
    finally:
        connection.execute(sa.select(sa.func.release_lock(str(_LOCK))))
