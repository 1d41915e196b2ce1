"""Columns on their way from a row store to DuckDB: what is sent, what is received, and never another value."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from evaljob.dialect import MYSQL, double, exact_text
from evaljob.source import INSTANTS, Source
from evaljob.types import Kind

CLASSES = ("prediction", "label")
# SQLite sends everything as text, and its own way to write a number drops digits: 20 of them tell every double apart.
_DIGITS = "%!.20g"
_TIMESTAMP = r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2}:[0-9]{2}([.][0-9]*)?"
_TYPES: dict[Kind, str] = {
    "text": "VARCHAR", "integer": "BIGINT", "float": "DOUBLE", "boolean": "BOOLEAN", "timestamp": "TIMESTAMP",
    "timestamptz": "TIMESTAMP WITH TIME ZONE", "date": "DATE", "uuid": "UUID", "bytes": "VARCHAR",
}  # fmt: skip
_SQLITE: dict[Kind, tuple[str, ...]] = {
    "text": ("text",), "integer": ("integer",), "float": ("real", "integer"), "timestamp": ("text",), "bytes": ("blob",),
}  # fmt: skip


@dataclass(frozen=True)
class Passed:
    """A column: the expression that the row store evaluates, DuckDB's over what arrives, and the kind it then has."""

    sent: sa.ColumnElement[Any]
    received: str
    kind: Kind


def passed(dialect: str, source: Source, name: str) -> Passed | None:
    """How a column gets to DuckDB; None where its type is not known well enough to say."""
    kind, column = source.kinds[name], source.rows.c[name]
    if kind not in _TYPES or (dialect == "sqlite" and kind not in _SQLITE):
        return None
    sent = _of_sqlite(kind, column) if dialect == "sqlite" else _of_server(dialect, kind, name, column)
    received = f"CAST({name} AS {_TYPES[kind]})"
    if dialect == "sqlite" and name in INSTANTS:
        received = _timestamp(name)
    if kind == "float" and name in CLASSES and dialect != "sqlite":
        received = name  # a decimal class is called by its digits
    return Passed(sent, received, "text" if kind == "bytes" else kind)


def _of_sqlite(kind: Kind, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The value as text. A value of another type than its column's ends the statement: nothing says how to pass it."""
    as_text = {"float": sa.func.printf(_DIGITS, column), "bytes": sa.func.hex(column)}.get(kind, column)
    fits = sa.func.typeof(column).in_(_SQLITE[kind])
    return sa.case(
        (column.is_(None), sa.null()), (fits, as_text), else_=sa.literal_column("abs(-9223372036854775807 - 1)")
    )


def _timestamp(name: str) -> str:
    """Only the form whose order as text is its order in time, as SQLite compares it. Digits beyond the sixth go."""
    unlike = f"error('{name} is no timestamp that SQLite can order')"
    parsed = f"CAST({name}[:26] AS TIMESTAMP)"
    return f"CASE WHEN {name} IS NULL THEN NULL WHEN regexp_full_match({name}, '{_TIMESTAMP}') THEN {parsed} ELSE {unlike} END"


def _of_server(dialect: str, kind: Kind, name: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    if kind == "bytes":
        return sa.func.hex(column) if dialect in MYSQL else sa.func.encode(column, "hex")
    if kind == "float" and name not in CLASSES:
        return double(column)
    if kind == "text":
        return exact_text(column) if dialect in MYSQL else sa.cast(column, sa.Text())
    return column
