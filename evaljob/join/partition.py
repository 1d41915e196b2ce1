"""Bounds on a log's partition column: they follow from bounds on its timestamps, and spare the engine other partitions.

A day's name differs by at most one from zone to zone, so a day more at either end makes room for any.
"""

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, TypeAlias

import sqlalchemy as sa

from evaljob.source import Source, column_type
from evaljob.types import Kind

Condition: TypeAlias = sa.ColumnElement[bool]
Span: TypeAlias = tuple[datetime, datetime]
MARGIN = timedelta(days=1)


def days(source: Source, rows: sa.FromClause, low: datetime | None, high: datetime | None) -> list[Condition]:
    """The partitions of rows whose own timestamp is at least `low` and that are known before `high`; None: no bound.

    Rows that come without the column come from the right partitions already.
    """
    partition = source.partition
    if partition is None or partition.column not in rows.c:
        return []
    column, kind = rows.c[partition.column], source.kinds[partition.column]
    lower = [] if low is None else [column >= _day(kind, low - MARGIN)]
    upper = [] if high is None else [column <= _day(kind, high + MARGIN)]
    return [*lower, *upper]


def days_of(source: Source, column: str, spans: Iterable[Span]) -> list[Condition]:
    """The partitions of rows whose timestamp `column` lies in one of the spans, which are in order.

    A row is not known before its own timestamp, so a bound on one of them is a bound on the day of the other.
    """
    if source.partition is None:
        return []
    low = column in (source.partition_of, source.stamp)
    high = column in (source.partition_of, source.known)
    read = [days(source, source.rows, a if low else None, b if high else None) for a, b in merged(spans, 2 * MARGIN)]
    return [sa.or_(*[sa.and_(*bounds) for bounds in read])]


def merged(spans: Iterable[Span], gap: timedelta = timedelta(0)) -> list[Span]:
    """Spans in order of their start, with those that overlap or are at most a `gap` apart made one."""
    found: list[Span] = []
    for start, end in spans:
        if found and start - found[-1][1] <= gap:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def without_day(source: Source, low: datetime | None) -> list[Condition]:
    """The partitions from `low` on, and that of rows which have no day."""
    read = days(source, source.rows, low, None)
    if source.partition is None or not read:
        return []
    return [sa.or_(*read, source.rows.c[source.partition.column].is_(None))]


def date_of(value: Any) -> date | None:
    """The day that a value of a partition column names, as the driver returns it; None: it names none."""
    if isinstance(value, datetime):
        return (value.astimezone(UTC) if value.tzinfo else value).date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(str(value)[: len("YYYY-MM-DD")])
    except ValueError:
        return None


def _day(kind: Kind, t: datetime) -> sa.ColumnElement[Any]:
    """A day as the partition column spells it: a date, a timestamp at midnight, YYYYMMDD, or 'YYYY-MM-DD'."""
    day = t.astimezone(UTC).date()
    if kind == "integer":
        return sa.literal(int(f"{day:%Y%m%d}"), sa.BigInteger())
    if kind in ("timestamp", "timestamptz"):
        midnight = datetime.combine(day, time(), UTC if kind == "timestamptz" else None)
        return sa.literal(midnight, column_type(kind))
    return sa.literal(day, Day()) if kind == "date" else sa.literal(day.isoformat(), sa.String())


class Day(sa.types.TypeDecorator[date]):
    """A date."""

    impl = sa.Date
    cache_ok = True

    def literal_processor(self, dialect: sa.Dialect) -> Any:
        """The value as it stands in the text of `evaljob sql`: Trino takes no text for a date."""
        return _typed if dialect.name == "trino" else super().literal_processor(dialect)


def _typed(day: date) -> str:
    return f"DATE '{day.isoformat()}'"
