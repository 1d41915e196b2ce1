"""What kind of values a column holds, as each driver tells it."""

from typing import Any, Literal

import sqlalchemy as sa

Kind = Literal[
    "text", "integer", "float", "boolean", "timestamp", "timestamptz", "date", "uuid", "bytes", "other", "unknown"
]

SAMPLE = 1000
# The forms whose order as text is their order in time: a space between date and time, no offset, any fraction.
_ORDERED = "____-__-__ __:__:__%"
_PREFIXES: dict[Kind, tuple[str, ...]] = {
    "timestamptz": ("timestamptz", "timestamp with time zone"),
    "timestamp": ("timestamp", "datetime"),
    "date": ("date",),
    "boolean": ("bool",),
    "uuid": ("uuid",),
    "bytes": ("bytea", "blob", "binary"),
    "float": ("float", "double", "real", "numeric", "decimal", "newdecimal"),
    "integer": ("int", "tiny", "small", "short", "long", "big", "huge", "uint", "usmall", "utiny", "ubig"),
    "text": ("text", "varchar", "char", "bpchar", "string", "var_string", "name", "enum"),
    "unknown": ("null", '"null"'),
}


def kind_of(name: str) -> Kind:
    """The kind for a type's name as databases spell it; `other` where none fits."""
    name = name.lower().removesuffix("_type")
    if name.startswith(("timestamp", "timestamp_")) and name.endswith("with time zone"):
        return "timestamptz"
    return next((kind for kind, prefixes in _PREFIXES.items() if name.startswith(prefixes)), "other")


def driver_kinds(connection: sa.Connection, result: sa.CursorResult[Any], names: list[str]) -> dict[str, Kind]:
    """The kinds of an (empty) result's columns from the driver's own description of them."""
    codes = [column[1] for column in result.cursor.description]
    spell = {"postgresql": _postgres_name, "mysql": _mysql_name, "mariadb": _mysql_name}.get(
        connection.dialect.name, _plain_name
    )
    return {name: kind_of(spell(connection, code)) for name, code in zip(names, codes, strict=True)}


def sampled_kinds(connection: sa.Connection, rows: sa.Select[Any], names: list[str]) -> dict[str, Kind]:
    """The kinds of SQLite's columns, which have no types of their own, from the first rows that it returns."""
    sample = rows.limit(SAMPLE).subquery()
    described = [_sqlite_kind(sa.column(name)).label(f"kind_{i}") for i, name in enumerate(names)]
    found = connection.execute(
        sa.select(*[sa.func.group_concat(d.distinct()) for d in described]).select_from(sample)
    ).one()
    return {name: _common(set(kinds.split(",")) if kinds else set()) for name, kinds in zip(names, found, strict=True)}


def misordered(connection: sa.Connection, rows: sa.FromClause, column: str) -> int:
    """How many of SQLite's timestamps are of a form whose order as text is not their order in time.

    Looks at every row.
    """
    found = (
        sa.select(sa.func.count())
        .select_from(rows)
        .where(rows.c[column].is_not(None), _sqlite_kind(rows.c[column]) != "timestamp")
    )
    return int(connection.execute(found).scalar_one())


def _sqlite_kind(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    ordered = sa.and_(
        column.like(_ORDERED), sa.not_(column.op("GLOB")("*[a-zA-Z+]*")), sa.not_(column.op("GLOB")("* *-*"))
    )
    return sa.case((sa.and_(sa.func.typeof(column) == "text", ordered), "timestamp"), else_=sa.func.typeof(column))


def _common(found: set[str]) -> Kind:
    found -= {"null"}
    names: dict[frozenset[str], Kind] = {
        frozenset(): "unknown", frozenset({"integer"}): "integer", frozenset({"real"}): "float", frozenset({"integer",
        "real"}): "float",
        frozenset({"blob"}): "bytes", frozenset({"timestamp"}): "timestamp", frozenset({"text"}): "text",
    }  # fmt: skip
    return names.get(frozenset(found), "text" if "text" in found else "other")


def _postgres_name(connection: sa.Connection, code: Any) -> str:
    driver = connection.connection.driver_connection
    info = driver.adapters.types.get(code) if driver is not None and hasattr(driver, "adapters") else None
    return info.name if info is not None else "other"


def _mysql_name(_connection: sa.Connection, code: Any) -> str:
    from pymysql.constants import FIELD_TYPE  # noqa: PLC0415  (an extra)

    names: dict[int, str] = {}
    for name, value in vars(FIELD_TYPE).items():  # CHAR is another name for TINY, and comes after it
        if isinstance(value, int):
            names.setdefault(value, name)
    return {"BLOB": "text", "VAR_STRING": "text", "STRING": "text"}.get(names.get(code, ""), names.get(code, "other"))


def _plain_name(_connection: sa.Connection, code: Any) -> str:
    return str(code) if code is not None else "null"
