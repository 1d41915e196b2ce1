"""What kind of values a column holds, as each driver tells it."""

import re
from collections.abc import Iterable
from typing import Any, Literal

import sqlalchemy as sa

Kind = Literal[
    "text", "integer", "float", "boolean", "timestamp", "timestamptz", "date", "uuid", "bytes", "other", "unknown"
]

SAMPLE = 1000
_NO_CHARSET = 63  # MySQL's number for strings of bytes
_SECONDS = len("YYYY-MM-DD HH:MM:SS")
_PREFIXES: dict[Kind, tuple[str, ...]] = {
    "timestamptz": ("timestamptz", "timestamp with time zone"),
    "timestamp": ("timestamp", "datetime"),
    "date": ("date",),
    "boolean": ("bool",),
    "uuid": ("uuid",),
    "bytes": ("bytea", "bytes", "blob", "binary", "varbinary"),
    "float": ("float", "double", "real", "numeric", "decimal", "newdecimal"),
    "integer": ("int", "tiny", "small", "short", "long", "big", "huge", "uint", "usmall", "utiny", "ubig"),
    "text": ("text", "fixedstring", "varchar", "char", "bpchar", "string", "var_string", "name", "enum"),
    "unknown": ("null", '"null"'),
}


def kind_of(name: str) -> Kind:
    """The kind for a type's name as databases spell it; `other` where none fits."""
    name = name.lower().removesuffix("_type")
    while wrapped := _WRAPPED.fullmatch(name):
        name = wrapped[1]
    if name.startswith(("timestamp", "timestamp_")) and name.endswith("with time zone"):
        return "timestamptz"
    return next((kind for kind, prefixes in _PREFIXES.items() if name.startswith(prefixes)), "other")


def driver_kinds(connection: sa.Connection, result: sa.CursorResult[Any], names: list[str]) -> dict[str, Kind]:
    """The kinds of an (empty) result's columns from the driver's own description of them."""
    codes = _codes(connection, result.cursor)
    spell = {
        "postgresql": _postgres_name,
        "mysql": _mysql_name,
        "mariadb": _mysql_name,
        "bigquery": _bigquery_name,
        "redshift": _redshift_name,
        "snowflake": _snowflake_name,
    }.get(connection.dialect.name, _plain_name)
    return {name: kind_of(spell(connection, code)) for name, code in zip(names, codes, strict=True)}


def sampled_kinds(
    connection: sa.Connection, rows: sa.Select[Any], names: list[str], instants: Iterable[str] = ()
) -> dict[str, Kind]:
    """The kinds of SQLite's columns, which have no types of their own.

    Those of the first rows that it returns, and of the first and the last ones in the order of each of the `instants`:
    numbers and texts of another form end up there.
    """
    columns: dict[str, sa.ColumnElement[Any]] = {name: sa.column(name) for name in names}
    stamps = {name: columns[name] for name in instants if name in columns}
    ends = [rows.where(x.is_not(None)).order_by(end) for x in stamps.values() for end in (x.asc(), x.desc())]
    parts = [sa.select(sa.text("*")).select_from(part.limit(SAMPLE).subquery()) for part in (rows, *ends)]
    described = [_sqlite_kind(x) if name in stamps else sa.func.typeof(x) for name, x in columns.items()]
    kinds = sa.select(*[sa.func.group_concat(kind.distinct()) for kind in described])
    found = connection.execute(kinds.select_from(sa.union_all(*parts).subquery())).one()
    return {name: _common(set(kinds.split(",")) if kinds else set()) for name, kinds in zip(names, found, strict=True)}


def misordered(connection: sa.Connection, rows: sa.FromClause, column: str) -> int:
    """How many of SQLite's timestamps are of a form whose order as text is not their order in time.

    Looks at every row.
    """
    stamp: sa.ColumnElement[Any] = sa.column(column)
    wrong = sa.and_(stamp.is_not(None), _sqlite_kind(stamp) != "timestamp")
    return int(connection.execute(sa.select(sa.func.count()).select_from(rows).where(wrong)).scalar_one())


def _sqlite_kind(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """A text is a timestamp where its order is the order in time: as SQLite itself writes it, and any fraction."""
    seconds = sa.func.substr(column, 1, _SECONDS)
    point, fraction = sa.func.substr(column, _SECONDS + 1, 1), sa.func.substr(column, _SECONDS + 2)
    digits = sa.and_(fraction.op("GLOB")("[0-9]*"), sa.not_(fraction.op("GLOB")("*[^0-9]*")))
    ordered = sa.and_(sa.func.datetime(seconds) == seconds, sa.or_(point == "", sa.and_(point == ".", digits)))
    return sa.case((sa.and_(sa.func.typeof(column) == "text", ordered), "timestamp"), else_=sa.func.typeof(column))


def _common(found: set[str]) -> Kind:
    """The kind of a column that holds these: texts and numbers are texts, timestamps and others are no timestamps."""
    found -= {"null"}
    if not found:
        return "unknown"
    if found <= {"integer", "real"}:
        return "float" if "real" in found else "integer"
    alone: dict[str, Kind] = {"blob": "bytes", "timestamp": "timestamp", "text": "text"}
    return alone[min(found)] if len(found) == 1 else "text" if found & {"text", "timestamp"} else "other"


def _postgres_name(connection: sa.Connection, code: Any) -> str:
    driver = connection.connection.driver_connection
    info = driver.adapters.types.get(code) if driver is not None and hasattr(driver, "adapters") else None
    return info.name if info is not None else "other"


def _codes(connection: sa.Connection, cursor: Any) -> list[Any]:
    """The driver's type of each column. MySQL tells bytes from text by the character set alone."""
    codes = [column[1] for column in cursor.description]
    fields = getattr(getattr(cursor, "_result", None), "fields", None)  # of PyMySQL
    if fields is None:
        return codes
    return [
        "BINARY" if field.charsetnr == _NO_CHARSET and _mysql_name(connection, code) == "text" else code
        for field, code in zip(fields, codes, strict=True)
    ]


def _mysql_name(_connection: sa.Connection, code: Any) -> str:
    from pymysql.constants import FIELD_TYPE  # noqa: PLC0415  (an extra)

    if isinstance(code, str):
        return code
    names: dict[int, str] = {}
    for name, value in vars(FIELD_TYPE).items():  # CHAR is another name for TINY, and comes after it
        if isinstance(value, int):
            names.setdefault(value, name)
    return {"BLOB": "text", "VAR_STRING": "text", "STRING": "text"}.get(names.get(code, ""), names.get(code, "other"))


def _plain_name(_connection: sa.Connection, code: Any) -> str:
    return str(code) if code is not None else "null"


def _bigquery_name(_connection: sa.Connection, code: Any) -> str:
    """BigQuery's TIMESTAMP is an instant; what others call so is its DATETIME."""
    return "timestamptz" if code == "TIMESTAMP" else str(code)


def _snowflake_name(_connection: sa.Connection, code: Any) -> str:
    """Snowflake's driver numbers the types. Numbers with decimals and without have the same."""
    return _SNOWFLAKE.get(code, "other")


def _redshift_name(_connection: sa.Connection, code: Any) -> str:
    """Redshift's drivers give the numbers of PostgreSQL's types."""
    return _REDSHIFT.get(code, "other")


_REDSHIFT = {
    16: "boolean", 17: "bytea", 20: "bigint", 21: "smallint", 23: "integer", 25: "text", 700: "real", 701: "double",
    1042: "bpchar", 1043: "varchar", 1082: "date", 1114: "timestamp", 1184: "timestamptz", 1700: "numeric",
}  # fmt: skip
_SNOWFLAKE = {
    0: "integer", 1: "float", 2: "text", 3: "date", 6: "timestamptz", 7: "timestamptz", 8: "timestamp", 11: "binary",
    13: "boolean",
}  # fmt: skip
_WRAPPED = re.compile(r"(?:nullable|lowcardinality)\((.*)\)")  # ClickHouse's words around a type


def class_name(value: object) -> str:
    """A class as text, the same whatever type its engine has for it: 1, 1.0, Decimal(1) and True are all '1'."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, str):
        return value
    return str(int(value)) if value == int(value) else str(value)  # type: ignore[call-overload]
