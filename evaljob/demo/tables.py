"""The log tables, as sql/schema.sql defines them, and writing the demo's rows to them."""

from typing import Any

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from evaljob.demo.logs import Logs
from evaljob.dialect import MYSQL
from evaljob.errors import ConfigError


class _Text(sa.types.TypeDecorator[str]):
    """VARCHAR compared byte for byte, which MariaDB and MySQL must be told to do."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self._length = length

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name not in MYSQL:
            return sa.String(self._length)
        collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
        return mysql.VARCHAR(self._length, charset="utf8mb4", collation=collation)


# DATETIME without a precision drops the microseconds there.
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)

_METADATA = sa.MetaData()
PREDICTIONS = sa.Table(
    "predictions",
    _METADATA,
    sa.Column("model", _Text(64), nullable=False),
    sa.Column("request_id", _Text(64), nullable=False),
    sa.Column("predicted_at", _INSTANT, nullable=False),
    sa.Column("model_version", _Text(64), nullable=False),
    sa.Column("prediction", _Text(64)),
    sa.Column("score", sa.Double),
    sa.Column("latency_seconds", sa.Double),
    sa.Column("country", _Text(8)),
    sa.Column("device", _Text(16)),
    sa.Index("predictions_request_id", "request_id"),
    sa.Index("predictions_predicted_at", "predicted_at"),
)
LABELS = sa.Table(
    "labels",
    _METADATA,
    sa.Column("model", _Text(64), nullable=False),
    sa.Column("request_id", _Text(64), nullable=False),
    sa.Column("label", _Text(64)),
    sa.Column("labeled_at", _INSTANT, nullable=False),
    sa.Column("revenue", sa.Double),
    sa.Index("labels_request_id", "request_id"),
    sa.Index("labels_labeled_at", "labeled_at"),
)


def write_logs(engine: sa.Engine, logs: Logs) -> None:
    """Make the tables where they are missing and replace the rows of the demo's models; rows of other models stay.

    One transaction: readers see the old rows or the new ones. Raises ConfigError for a table that lacks a column.
    """
    with engine.begin() as connection:
        _METADATA.create_all(connection)
        for table, frame in ((PREDICTIONS, logs.predictions), (LABELS, logs.labels)):
            _check_columns(connection, table)
            connection.execute(sa.delete(table).where(table.c.model.in_(sorted(frame["model"].unique()))))
            _insert(connection, table, frame)
    _analyze(engine)


def _check_columns(connection: sa.Connection, table: sa.Table) -> None:
    found = {column["name"] for column in sa.inspect(connection).get_columns(table.name)}
    missing = [column.name for column in table.columns if column.name not in found]
    if missing:
        raise ConfigError(
            f"the database has a table {table.name} of another kind, without a column {missing[0]}; "
            "point database.url to another database"
        )


def _insert(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame) -> None:
    if connection.dialect.name == "duckdb":
        _scan(connection, table, frame)
    else:
        rows = frame.astype(object).where(frame.notna(), None).itertuples(index=False, name=None)
        connection.execute(sa.insert(table), [dict(zip(frame.columns, row, strict=True)) for row in rows])


def _scan(connection: sa.Connection, table: sa.Table, frame: pd.DataFrame) -> None:
    """DuckDB reads a frame in one statement; row by row it would take a minute."""
    driver: Any = connection.connection.driver_connection
    driver.register("demo_frame", frame)
    columns = ", ".join(frame.columns)
    connection.exec_driver_sql(f"INSERT INTO {table.name} ({columns}) SELECT {columns} FROM demo_frame")  # noqa: S608
    driver.unregister("demo_frame")


def _analyze(engine: sa.Engine) -> None:
    """Planners know nothing of rows that came a moment ago, and then take the wrong index."""
    statement = "ANALYZE TABLE" if engine.dialect.name in MYSQL else "ANALYZE"
    with engine.begin() as connection:
        for table in _METADATA.sorted_tables:
            connection.exec_driver_sql(f"{statement} {table.name}")
