"""The few SQL expressions that engines spell differently, each with one meaning on all of them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

MYSQL = ("mysql", "mariadb")
SPARK = ("hive", "databricks")


class exact_text(GenericFunction[str]):  # noqa: N801  (named as SQL functions are)
    """`exact_text(x)`: the text x, compared and grouped byte for byte, whatever the column's collation."""

    type = sa.Text()
    inherit_cache = True


@compiles(exact_text)
def _(element: exact_text, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(_only(element), **kw)


@compiles(exact_text, *MYSQL)
def _(element: exact_text, compiler: SQLCompiler, **kw: Any) -> str:
    collation = "utf8mb4_nopad_bin" if getattr(compiler.dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return f"CONVERT({compiler.process(_only(element), **kw)} USING utf8mb4) COLLATE {collation}"


@compiles(exact_text, "postgresql")
def _(element: exact_text, compiler: SQLCompiler, **kw: Any) -> str:
    return f'({compiler.process(_only(element), **kw)} COLLATE "C")'


class short_id(GenericFunction[Any]):  # noqa: N801
    """`short_id(x)`: equal for equal ids, and as narrow as the engine makes it: unlike ids may be equal in short."""

    type = sa.types.NullType()
    inherit_cache = True


@compiles(short_id)
def _(element: short_id, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(_only(element), **kw)


@compiles(short_id, "duckdb")
def _(element: short_id, compiler: SQLCompiler, **kw: Any) -> str:
    return f"hash({compiler.process(_only(element), **kw)})"


class double(GenericFunction[float]):  # noqa: N801
    """`double(x)`: x as a 64-bit IEEE number."""

    type = sa.Double()
    inherit_cache = True


@compiles(double)
def _(element: double, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(sa.cast(_only(element), sa.Double()), **kw)


@compiles(double, "sqlite")
def _(element: double, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(_only(element), **kw)} AS REAL)"


@compiles(double, *MYSQL)
def _(element: double, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(_only(element), **kw)} AS DOUBLE)"


class floor_integer(GenericFunction[int]):  # noqa: N801
    """`floor_integer(x)`: the largest 64-bit integer not above the number x.

    Casts round on one engine and truncate on another.
    """

    type = sa.BigInteger()
    inherit_cache = True


@compiles(floor_integer)
def _(element: floor_integer, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(sa.cast(sa.func.floor(_only(element)), sa.BigInteger()), **kw)


@compiles(floor_integer, "sqlite")
def _(element: floor_integer, compiler: SQLCompiler, **kw: Any) -> str:
    # SQLAlchemy puts a Python function in the place of SQLite's floor().
    x = compiler.process(_only(element), **kw)
    return f"(CAST({x} AS INTEGER) - (({x}) < CAST({x} AS INTEGER)))"


class whole_part(GenericFunction[int]):  # noqa: N801
    """`whole_part(x)`: the largest 64-bit integer not above the number x >= 0, computed from x once."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(whole_part)
def _(element: whole_part, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(sa.cast(sa.func.floor(_only(element)), sa.BigInteger()), **kw)


@compiles(whole_part, "sqlite")
def _(element: whole_part, compiler: SQLCompiler, **kw: Any) -> str:
    return f"CAST({compiler.process(_only(element), **kw)} AS INTEGER)"


class integer_division(GenericFunction[int]):  # noqa: N801
    """`integer_division(a, b)`: a over b for integers a >= 0 and b > 0, rounded down, without decimals or floats."""

    type = sa.BigInteger()
    inherit_cache = True


def _infix(operator: str) -> Any:
    def compile_(element: integer_division, compiler: SQLCompiler, **kw: Any) -> str:
        left, right = (compiler.process(clause, **kw) for clause in element.clauses)
        return f"(({left}) {operator} ({right}))"

    return compile_


compiles(integer_division)(_infix("/"))
compiles(integer_division, "duckdb")(_infix("//"))
compiles(integer_division, *MYSQL, "hive", "databricks")(_infix("DIV"))


@compiles(integer_division, "bigquery")
def _(element: integer_division, compiler: SQLCompiler, **kw: Any) -> str:
    return "DIV({}, {})".format(*_both(element, compiler, **kw))


@compiles(integer_division, "clickhousedb")
def _(element: integer_division, compiler: SQLCompiler, **kw: Any) -> str:
    return "intDiv({}, {})".format(*_both(element, compiler, **kw))


@compiles(integer_division, "snowflake")
def _(element: integer_division, compiler: SQLCompiler, **kw: Any) -> str:
    # Division gives six decimals, rounded: only what it divides without a rest is exact.
    left, right = _both(element, compiler, **kw)
    return f"CAST((({left}) - MOD({left}, {right})) / ({right}) AS BIGINT)"


class rare(GenericFunction[Any]):  # noqa: N801
    """`rare(condition)`: the condition, which few rows meet as far as SQLite's planner is concerned.

    Without a type: SQLAlchemy would compare a boolean with 1, and what is compared the planner knows nothing of.
    """

    inherit_cache = True


@compiles(rare)
def _(element: rare, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(_only(element), **kw)


@compiles(rare, "sqlite")
def _(element: rare, compiler: SQLCompiler, **kw: Any) -> str:
    return f"likelihood({compiler.process(_only(element), **kw)}, 0.00001)"


class grouping_mask(GenericFunction[int]):  # noqa: N801
    """`grouping_mask(a, b, ...)`: a bit a column, the first the highest, set in rows that are not grouped by it."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(grouping_mask)
def _(element: grouping_mask, compiler: SQLCompiler, **kw: Any) -> str:
    # GROUPING takes several columns on some engines only.
    columns = [compiler.process(clause, **kw) for clause in element.clauses]
    bits = [f"GROUPING({column}) * {1 << i}" for i, column in enumerate(reversed(columns))]
    return f"({' + '.join(reversed(bits))})"


class microseconds_between(GenericFunction[int]):  # noqa: N801
    """`microseconds_between(a, b)`: the whole microseconds from timestamp a to b, negative when b is earlier."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(microseconds_between)
def _(element: microseconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    start, end = _both(element, compiler, **kw)
    return f"TIMESTAMPDIFF(MICROSECOND, {start}, {end})"


@compiles(microseconds_between, "hive", "databricks")
def _(element: microseconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    # Timestamps with and without a time zone alike: a cast to the former is none at all in sessions that speak UTC.
    start, end = _both(element, compiler, **kw)
    return f"(unix_micros(CAST({end} AS TIMESTAMP)) - unix_micros(CAST({start} AS TIMESTAMP)))"


@compiles(microseconds_between, "bigquery")
def _(element: microseconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    start, end = _both(element, compiler, **kw)
    return f"TIMESTAMP_DIFF(CAST({end} AS TIMESTAMP), CAST({start} AS TIMESTAMP), MICROSECOND)"


@compiles(microseconds_between, "clickhousedb")
def _(element: microseconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    start, end = _both(element, compiler, **kw)
    return f"dateDiff('microsecond', toDateTime64({start}, 6, 'UTC'), toDateTime64({end}, 6, 'UTC'))"


@compiles(microseconds_between, "redshift")
def _(element: microseconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    start, end = _both(element, compiler, **kw)
    return f"DATEDIFF(microsecond, CAST({start} AS TIMESTAMP), CAST({end} AS TIMESTAMP))"


@compiles(microseconds_between, "snowflake")
def _(element: microseconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    # A cast to TIMESTAMP_LTZ keeps the instant of any other kind in sessions that speak UTC.
    start, end = _both(element, compiler, **kw)
    return f"TIMESTAMPDIFF(MICROSECOND, CAST({start} AS TIMESTAMP_LTZ), CAST({end} AS TIMESTAMP_LTZ))"


@compiles(microseconds_between, "trino")
def _(element: microseconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    # date_diff knows no unit below milliseconds; a double tells the microseconds of an epoch apart until 2106.
    start, end = _both(element, compiler, **kw)
    return f"CAST(round(to_unixtime({end}) * 1e6) - round(to_unixtime({start}) * 1e6) AS BIGINT)"


@compiles(microseconds_between, "duckdb")
def _(element: microseconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    start, end = _both(element, compiler, **kw)
    return f"(epoch_us({end}) - epoch_us({start}))"


@compiles(microseconds_between, "postgresql")
def _(element: microseconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    # The double of an epoch holds whole microseconds exactly only as a difference: 2^53 us are 285 years.
    start, end = _both(element, compiler, **kw)
    return f"CAST(round(extract(epoch FROM {end} - {start})::float8 * 1e6::float8) AS bigint)"


@compiles(microseconds_between, "sqlite")
def _(element: microseconds_between, compiler: SQLCompiler, **kw: Any) -> str:
    # strftime rounds fractions to milliseconds, so seconds and fraction are read apart. The fraction is '.d' to
    # '.dddddd' or absent.
    start, end = _both(element, compiler, **kw)

    def microseconds(x: str) -> str:
        fraction = f"CAST(substr(substr({x}, 21) || '000000', 1, 6) AS INTEGER)"
        return f"(strftime('%s', substr({x}, 1, 19)) * 1000000 + {fraction})"

    return f"({microseconds(end)} - {microseconds(start)})"


def _both(element: GenericFunction[Any], compiler: SQLCompiler, **kw: Any) -> tuple[str, str]:
    left, right = (compiler.process(clause, **kw) for clause in element.clauses)
    return left, right


def _only(element: GenericFunction[Any]) -> sa.ColumnElement[Any]:
    (clause,) = element.clauses
    return clause


def literally(connection: sa.Connection, statement: sa.Select[Any]) -> str:
    """A statement with its values in it, in the database's dialect: to read, or for another program to pass on."""
    text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
    if connection.dialect.paramstyle in ("format", "pyformat"):
        text %= ()  # drivers that put parameters into the text want every % twice; nobody else does
    return text


def quoted(text: str) -> str:
    """A text as DuckDB's literal of it."""
    return "'" + text.replace("'", "''") + "'"
