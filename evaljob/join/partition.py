"""Bounds on a log's partition column: they follow from bounds on its timestamps, and spare the engine other partitions.

A day's name differs by at most one from zone to zone, so a day more at either end makes room for any.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, time, timedelta
from typing import Any, TypeAlias

import sqlalchemy as sa

from evaljob.source import Source
from evaljob.types import Kind

Condition: TypeAlias = sa.ColumnElement[bool]
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


def days_of(source: Source, column: str, spans: Iterable[tuple[datetime, datetime]]) -> list[Condition]:
    """The partitions of rows whose timestamp `column` lies in one of the spans.

    A row is not known before its own timestamp, so a bound on one of them is a bound on the day of the other.
    """
    if source.partition is None:
        return []
    below = column in (source.partition_of, source.stamp)
    above = column in (source.partition_of, source.known)
    bounded = [days(source, source.rows, a if below else None, b if above else None) for a, b in spans]
    return [sa.or_(*[sa.and_(*bounds) for bounds in bounded])]


def without_day(source: Source, low: datetime | None) -> list[Condition]:
    """The partitions from `low` on, and that of rows which have no day."""
    read = days(source, source.rows, low, None)
    if source.partition is None or not read:
        return []
    return [sa.or_(*read, source.rows.c[source.partition.column].is_(None))]


def _day(kind: Kind, t: datetime) -> sa.ColumnElement[Any]:
    """A day as the partition column spells it: a date, a timestamp at midnight, YYYYMMDD, or 'YYYY-MM-DD'."""
    day = t.astimezone(UTC).date()
    if kind == "integer":
        return sa.literal(int(f"{day:%Y%m%d}"), sa.BigInteger())
    if kind in ("timestamp", "timestamptz"):
        midnight = datetime.combine(day, time(), UTC if kind == "timestamptz" else None)
        return sa.literal(midnight, sa.DateTime(timezone=kind == "timestamptz"))
    return sa.literal(day, sa.Date()) if kind == "date" else sa.literal(day.isoformat(), sa.String())
