"""Full counts of a row store by DuckDB: its scanner extensions read the rows, and what it counts are the same cells.

The user's SELECT runs where it is written for, in the row store's own engine, which passes on the columns and the rows
that the count needs. They stay in a file that goes when the count is done. What cannot be passed on exactly as it is
makes the count fail here, so that it is done over by the row store itself.
"""

import importlib.util
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from evaljob.database import CONFIGURED, bounded
from evaljob.dialect import MYSQL, literally, quoted
from evaljob.errors import EvaluationError
from evaljob.join import Plan
from evaljob.join.resolve import exists, used
from evaljob.passing import Passed, identifier, passed
from evaljob.source import Source
from evaljob.timeout import limit_statements

SCANNERS = {"sqlite": "sqlite", "postgresql": "postgres", **dict.fromkeys(MYSQL, "mysql")}


class AccelerationError(EvaluationError):
    """DuckDB cannot do this count: the row store has to."""


@contextmanager
def accelerated(connection: sa.Connection, plan: Plan, t: datetime) -> Iterator[tuple[sa.Connection, Plan] | None]:
    """A DuckDB with the rows that a full count at `t` needs, and the plan over them; None where it is not asked for.

    Raises AccelerationError; what it says holds no secret.
    """
    if not asked_for(connection):
        yield None
        return
    _require_duckdb()
    with tempfile.TemporaryDirectory(prefix="evaljob-") as folder, _no_secrets(connection.engine.url):
        engine = _engine(Path(folder), connection)
        try:
            with engine.connect() as there:
                _attach(there, connection.engine.url)
                yield there, _staged(there, connection, plan, t)
        finally:
            engine.dispose()


def asked_for(connection: sa.Connection) -> bool:
    """Whether the configuration says `accelerate: duckdb`, and there is a scanner for the database."""
    database = connection.get_execution_options().get(CONFIGURED)
    return database is not None and database.accelerate == "duckdb" and connection.dialect.name in SCANNERS


def extension(scanner: str) -> Path:
    """The file of a scanner extension, from the package that brings it. Raises AccelerationError."""
    import duckdb  # noqa: PLC0415  (an extra)

    spec = importlib.util.find_spec(f"duckdb_extension_{scanner}_scanner")
    folders = [] if spec is None or spec.submodule_search_locations is None else list(spec.submodule_search_locations)
    name = f"extensions/v{duckdb.__version__}/{scanner}_scanner.duckdb_extension"
    found = next((file for folder in folders if (file := Path(folder) / name).exists()), None)
    if found is None:
        raise AccelerationError(
            f"there is no {scanner} scanner for DuckDB {duckdb.__version__}; pip install 'evaljob[accelerate]'"
        )
    return found


def _require_duckdb() -> None:
    if importlib.util.find_spec("duckdb") is None or importlib.util.find_spec("duckdb_sqlalchemy") is None:
        raise AccelerationError("DuckDB is not installed; pip install 'evaljob[accelerate]'")


@contextmanager
def _no_secrets(url: sa.URL) -> Iterator[None]:
    """What DuckDB says when it fails, as an AccelerationError without the password, which its errors can quote."""
    import duckdb  # noqa: PLC0415  (an extra)

    try:
        yield
    except (duckdb.Error, sa.exc.DBAPIError) as error:
        cause = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        said = str(cause).strip().splitlines()[0]
        secrets = {str(url.password), libpq_quoted(str(url.password))} if url.password else set()
        for secret in sorted(secrets, key=len, reverse=True):
            said = said.replace(secret, "***")
        raise AccelerationError(said) from None  # the cause would tell the password


def _engine(folder: Path, connection: sa.Connection) -> sa.Engine:
    """DuckDB over a file of its own, which compresses what it holds."""
    database = connection.get_execution_options()[CONFIGURED]
    settings = bounded(database.memory_limit, folder / "spilled") | {"preserve_insertion_order": False}
    settings |= {"autoinstall_known_extensions": False, "autoload_known_extensions": False}
    url = sa.URL.create("duckdb", database=str(folder / "rows.duckdb"))
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args={"config": settings})
    limit_statements(engine, database.statement_timeout)
    return engine


def _attach(there: sa.Connection, url: sa.URL) -> None:
    """Open the row store, read only. Past SQLAlchemy, for it would log what it executes."""
    driver: Any = there.connection.driver_connection
    scanner = SCANNERS[url.get_backend_name()]
    statements = [f"LOAD {quoted(str(extension(scanner)))}", "SET TimeZone = 'UTC'", *_opening(scanner, url)]
    for statement in statements:
        driver.execute(statement)


def _opening(scanner: str, url: sa.URL) -> list[str]:
    if scanner == "sqlite":
        return [f"ATTACH {quoted(str(url.database))} AS source (TYPE sqlite, READ_ONLY)"]
    parts = {
        "HOST": url.host,
        "PORT": url.port,
        "USER": url.username,
        "PASSWORD": url.password,
        "DATABASE": url.database,
    }
    given = ", ".join(f"{name} {quoted(str(value))}" for name, value in parts.items() if value is not None)
    settings = {
        "mysql": ["SET mysql_session_time_zone = '+00:00'", "SET mysql_tinyint1_as_boolean = false"],
        "postgres": [],
    }
    options = _libpq(url) if scanner == "postgres" else ""
    return [
        *settings[scanner],
        f"CREATE SECRET source_secret (TYPE {scanner}, {given})",
        f"ATTACH {quoted(options)} AS source (TYPE {scanner}, SECRET source_secret, READ_ONLY)",
    ]


def _libpq(url: sa.URL) -> str:
    """What the URL says beside where the database is, sslmode for one, as libpq takes it."""
    return " ".join(f"{name}='{libpq_quoted(str(value))}'" for name, value in url.query.items())


def libpq_quoted(value: str) -> str:
    """A value between the quotes of a connection string."""
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _staged(there: sa.Connection, connection: sa.Connection, plan: Plan, t: datetime) -> Plan:
    """The plan over tables of DuckDB that hold what it needs of both logs, as one transaction sees them."""
    driver: Any = there.connection.driver_connection
    timer = threading.Timer(
        connection.get_execution_options()[CONFIGURED].statement_timeout.total_seconds(), driver.interrupt
    )
    timer.daemon = True
    timer.start()
    try:
        driver.execute("BEGIN TRANSACTION")
        predictions, labels = (
            _stage(driver, connection, plan, source, t) for source in (plan.predictions, plan.labels)
        )
        driver.execute("COMMIT")
    finally:
        timer.cancel()
    return Plan(plan.evaluation, predictions, labels, mysql=False, indexed=False, prunes=True)


def _stage(driver: Any, connection: sa.Connection, plan: Plan, source: Source, t: datetime) -> Source:
    """One log's rows as a table of DuckDB. Raises AccelerationError where a column is of no one type."""
    names = used(plan, source)
    columns = {name: passed(connection.dialect.name, source, name) for name in names}
    unsure = [name for name, column in columns.items() if column is None]
    if unsure:
        raise AccelerationError(f"{source.path}: the type of the column {unsure[0]} cannot be told")
    certain: dict[str, Passed] = {name: column for name, column in columns.items() if column is not None}
    select = sa.select(*[column.sent.label(name) for name, column in certain.items()])
    select = select.where(*exists(plan, source, source.rows, t))
    reader = f"{SCANNERS[connection.dialect.name]}_query('source', {quoted(literally(connection, select))})"
    received = ", ".join(f"{column.received} AS {identifier(name)}" for name, column in certain.items())
    driver.execute(f"CREATE TABLE {source.log} AS SELECT {received} FROM {reader}")  # noqa: S608  (all of it quoted)
    kinds = {name: column.kind for name, column in certain.items()}
    return Source(source.log, source.path, f"FROM {source.log}", kinds)
