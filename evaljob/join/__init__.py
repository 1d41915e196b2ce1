"""The one statement: late labels joined to predictions, resolved, placed on the windows' segments, and counted.

It serves the full count (every request) and the step (the requests that anything happened to between two instants).
Each request
is resolved as it was known at an instant: its first prediction, its latest label. Rows then become counts per cell,
so that nothing
that comes back grows with the logs.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import zip_longest
from typing import Any

import sqlalchemy as sa

from evaljob.dialect import grouping_mask
from evaljob.join.measure import NULL_TEXT, every_row, null_of, rows_between
from evaljob.join.partition import without_day
from evaljob.join.plan import AGE, BOOKED, BOOKS, LAG, LATENCY, OUTCOME, USABLE, Column, Plan, integer
from evaljob.source import Source
from evaljob.window import OUTSIDE

__all__ = ["Plan", "full", "step", "unplaceable"]

PLACE = ("on_predicted", "on_labeled", "model_version")
CLASSES = ("label", "prediction")


def full(plan: Plan, as_of: datetime) -> sa.Select[Any]:
    """The cells of every request, as known at `as_of`."""
    return _counted(plan, sa.union_all(*every_row(plan, as_of)).cte("evaluated"), signed=False)


def step(plan: Plan, before: datetime, after: datetime) -> sa.Select[Any]:
    """The cells at `after` minus those at `before`, of the requests that anything happened to in between."""
    return _counted(plan, sa.union_all(*rows_between(plan, before, after)).cte("evaluated"), signed=True)


def unplaceable(plan: Plan, source: Source, as_of: datetime) -> sa.Select[Any]:
    """How many rows of a log no instant can know: one count per timestamp, of the rows where it is NULL.

    Of a log that is partitioned, those in partitions that an evaluation at `as_of` reads, or in none.
    """
    names = dict.fromkeys((source.stamp, source.known))
    rows, read = source.rows, without_day(source, plan.oldest(as_of))
    return sa.select(
        *[
            sa.select(sa.func.count()).select_from(rows).where(rows.c[n].is_(None), *read).scalar_subquery().label(n)
            for n in names
        ]
    )


def _counted(plan: Plan, rows: sa.CTE, *, signed: bool) -> sa.Select[Any]:
    """Counts and sums per cell: one grouping for each kind of cell and each group of slice columns."""
    return (_by_union if plan.indexed else _by_grouping_sets)(plan, rows, signed=signed)


def _by_union(plan: Plan, rows: sa.CTE, *, signed: bool) -> sa.Select[Any]:
    """A SELECT a grouping, over rows that the engine keeps. Row stores have no grouping sets, or sort for them."""
    usable = rows.c.reason == USABLE
    kinds: list[tuple[int, Column, tuple[str, ...], str, Sequence[str]]] = [
        (OUTCOME, usable, CLASSES, "bin", plan.sums),
        (LAG, usable & rows.c.lag.is_not(None), (), "lag", ()),
        (LATENCY, usable & rows.c.latency.is_not(None), (), "latency", ()),
        (BOOKS, sa.true(), (), "reason", BOOKED),
    ]
    cells = [
        _grouped(plan, rows, (number, group), kind, signed=signed)
        for number, group in enumerate(plan.groups)
        for kind in kinds
    ]
    if plan.aged:
        aged = (AGE, usable & rows.c.age.is_not(None), (), "age", ())
        cells.append(_grouped(plan, rows, (0, ()), aged, signed=signed))
    return sa.select(sa.union_all(*cells).subquery("cells"))


def _grouped(
    plan: Plan,
    rows: sa.CTE,
    group: tuple[int, tuple[str, ...]],
    kind: tuple[int, Column, tuple[str, ...], str, Sequence[str]],
    *,
    signed: bool,
) -> sa.Select[Any]:
    """One grouping. What it does not group or sum by stands as NULL or 0, for the groupings are one UNION."""
    number, columns = group
    code, condition, classes, bucket, sums = kind
    slices = {f"slice_{c}": rows.c[f"slice_{c}"] if c in columns else NULL_TEXT for c in plan.slice_columns}
    outcome = {c: rows.c[c] if c in classes else null_of(plan, c) for c in CLASSES}
    place = {name: rows.c[name] for name in PLACE} | ({"on_labeled": integer(OUTSIDE)} if code == AGE else {})
    keys = [*_of(rows, _place(code)), *_of(rows, (f"slice_{c}" for c in columns)), *_of(rows, classes), rows.c[bucket]]
    totals = [*(_total(rows, name, signed=signed) for name in sums), *[integer(0)] * (_width(plan) - len(sums))]
    named = {"kind": integer(code), "group": integer(number), **place, **slices, **outcome}
    counted = {"bucket": rows.c[bucket], "n": _count(rows, signed=signed), **_numbered(totals)}
    return sa.select(*[x.label(name) for name, x in (named | counted).items()]).where(condition).group_by(*keys)


def _by_grouping_sets(plan: Plan, rows: sa.CTE, *, signed: bool) -> sa.Select[Any]:
    """All groupings in one pass over rows that nobody keeps: column stores hash them all at once.

    Every set pays for every sum. What the books count is grouped by instead: it is 0 of most requests.
    """
    members = {OUTCOME: (*CLASSES, "bin"), LAG: ("lag",), LATENCY: ("latency",), BOOKS: BOOKED}
    slices = [f"slice_{c}" for c in plan.slice_columns]
    buckets = ["bin", "lag", "latency", *["age"] * plan.aged]
    marks = [*buckets, *slices]
    sets = [
        (kind, number, {"reason", *_place(kind), *(f"slice_{c}" for c in group), *names})
        for number, group in enumerate(plan.groups)
        for kind, names in members.items()
    ]
    if plan.aged:
        sets.append((AGE, 0, {"reason", *_place(AGE), "age"}))
    keys = [*PLACE, "reason", *slices, *CLASSES, *buckets, *BOOKED]
    grouped = (
        sa.select(
            grouping_mask(*_of(rows, marks)).label("set_"),
            *_of(rows, keys),
            _count(rows, signed=signed).label("n"),
            *[_total(rows, name, signed=signed).label(name) for name in plan.sums],
        )
        .group_by(
            sa.func.grouping_sets(*[sa.tuple_(*_of(rows, (k for k in keys if k in names))) for _, _, names in sets])
        )
        .subquery("grouped")
    )
    codes = {_mask(marks, names): (kind, number) for kind, number, names in sets}
    return _told_apart(plan, grouped, codes, buckets)


def _told_apart(
    plan: Plan, grouped: sa.Subquery, codes: dict[int, tuple[int, int]], buckets: Sequence[str]
) -> sa.Select[Any]:
    """The rows of all grouping sets in the shape of the union: kind and group by the set's mask."""
    c = grouped.c
    kind, number = (sa.case({mask: integer(code[i]) for mask, code in codes.items()}, value=c.set_) for i in (0, 1))
    bucket = sa.case((kind == BOOKS, c.reason), else_=sa.func.coalesce(*_of(grouped, buckets)))
    booked_ = (sa.cast(c.n * c[name], sa.BigInteger()) for name in BOOKED)
    pairs = zip_longest((c[name] for name in plan.sums), booked_, fillvalue=integer(0))
    totals = [sa.case((kind == BOOKS, booked), else_=own) for own, booked in pairs]
    place: dict[str, Column] = {
        name: c[name] for name in (*PLACE, *(f"slice_{name}" for name in plan.slice_columns), *CLASSES)
    }
    place["on_labeled"] = sa.func.coalesce(c.on_labeled, integer(OUTSIDE))
    named = {"kind": kind, "group": number, **place, "bucket": bucket, "n": c.n, **_numbered(totals)}
    wanted = sa.and_(bucket.is_not(None), sa.or_(kind == BOOKS, c.reason == USABLE))
    return sa.select(*[x.label(name) for name, x in named.items()]).where(wanted)


def _place(kind: int) -> tuple[str, ...]:
    """The columns that tell where cells of a kind lie: ages are asked for in windows on `predicted_at` only."""
    return tuple(name for name in PLACE if kind != AGE or name != "on_labeled")


def _mask(marks: Sequence[str], names: set[str]) -> int:
    """What `grouping_mask(marks)` gives for a set: a bit a column, the first the highest, set where not grouped by."""
    return sum((name not in names) << (len(marks) - 1 - i) for i, name in enumerate(marks))


def _of(rows: sa.FromClause, names: Iterable[str]) -> list[Column]:
    return [rows.c[name] for name in names]


def _width(plan: Plan) -> int:
    return max(len(BOOKED), len(plan.sums))


def _numbered(totals: Sequence[Column]) -> dict[str, Column]:
    return {f"sum_{i}": total for i, total in enumerate(totals)}


def _total(rows: sa.CTE, name: str, *, signed: bool) -> Column:
    x = rows.c[name]
    return sa.cast(sa.func.sum(rows.c.sign * x if signed else x), sa.BigInteger())


def _count(rows: sa.CTE, *, signed: bool) -> Column:
    return sa.cast(sa.func.sum(rows.c.sign), sa.BigInteger()) if signed else sa.func.count()
