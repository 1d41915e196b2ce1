"""Columns on their way from a row store to DuckDB: what is sent, what is received, and never another value."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from evaljob.dialect import MYSQL, double, exact_text, quoted
from evaljob.source import Source
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
    "text": ("text",), "integer": ("integer",), "float": ("real", "integer"), "timestamp": ("text",),
    "bytes": ("blob",),
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
    return Passed(sent, _received(dialect, kind, name), "text" if kind == "bytes" else kind)


def identifier(name: str) -> str:
    """A column's name as DuckDB's identifier."""
    return '"' + name.replace('"', '""') + '"'


def _received(dialect: str, kind: Kind, name: str) -> str:
    x = identifier(name)
    if kind == "text":
        unlike = quoted(f"{name} arrives as no text")
        return f"CASE typeof({x}) WHEN 'VARCHAR' THEN {x} ELSE error({unlike}) END"
    if kind == "timestamp" and dialect == "sqlite":
        return _timestamp(name)
    if kind == "float" and name in CLASSES and dialect != "sqlite":
        return x  # a decimal class is called by its digits
    return f"CAST({x} AS {_TYPES[kind]})"


def _of_sqlite(kind: Kind, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The value as text. A value of another type than its column's ends the statement: nothing says how to pass it."""
    as_text = {"float": sa.func.printf(_DIGITS, column), "bytes": sa.func.hex(column)}.get(kind, column)
    fits = sa.func.typeof(column).in_(_SQLITE[kind])
    return sa.case(
        (column.is_(None), sa.null()), (fits, as_text), else_=sa.literal_column("abs(-9223372036854775807 - 1)")
    )


def _timestamp(name: str) -> str:
    """Only the form whose order as text is its order in time, as SQLite compares it. Digits beyond the sixth go."""
    x = identifier(name)
    unlike = quoted(f"{name} is no timestamp that SQLite can order")
    ordered, parsed = f"regexp_full_match({x}, '{_TIMESTAMP}')", f"CAST({x}[:26] AS TIMESTAMP)"
    return f"CASE WHEN {x} IS NULL THEN NULL WHEN {ordered} THEN {parsed} ELSE error({unlike}) END"


def _of_server(dialect: str, kind: Kind, name: str, column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    if kind == "bytes":
        return sa.func.hex(column) if dialect in MYSQL else sa.func.encode(column, "hex")
    if kind == "float" and name not in CLASSES:
        return double(column)
    if kind == "text":
        # With a collation of bytes it would arrive as bytes.
        return sa.collate(exact_text(column), "utf8mb4_general_ci") if dialect in MYSQL else sa.cast(column, sa.Text())
    return column
