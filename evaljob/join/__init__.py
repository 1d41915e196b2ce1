"""The one statement: late labels joined to predictions, resolved, placed on the windows' segments, and counted.

It serves the full count (every request) and the step (the requests that anything happened to between two instants).
Each request
is resolved as it was known at an instant: its first prediction, its latest label. Rows then become counts per cell,
so that nothing
that comes back grows with the logs.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from evaljob.join.measure import NULL_TEXT, integer, nameless, null_of, requests
from evaljob.join.plan import BOOKED, BOOKS, LAG, LATENCY, OUTCOME, USABLE, Column, Plan
from evaljob.join.resolve import affected, rows_of
from evaljob.source import Source

__all__ = ["Plan", "full", "step", "unplaceable"]


def full(plan: Plan, as_of: datetime) -> sa.Select[Any]:
    """The cells of every request, as known at `as_of`."""
    rows = [*requests(plan, plan.predictions.rows, plan.labels.rows, as_of, 1), *nameless(plan, as_of, 1, None)]
    return _counted(plan, sa.union_all(*rows).cte("evaluated"), signed=False)


def step(plan: Plan, before: datetime, after: datetime) -> sa.Select[Any]:
    """The cells at `after` minus those at `before`, of the requests that anything happened to in between."""
    ids = affected(plan, before, after)
    predictions, labels = (rows_of(ids, plan, source) for source in (plan.predictions, plan.labels))
    rows = [
        row
        for t, sign in ((before, -1), (after, 1))
        for row in (*requests(plan, predictions, labels, t, sign), *nameless(plan, t, sign, (before, after)))
    ]
    return _counted(plan, sa.union_all(*rows).cte("evaluated"), signed=True)


def unplaceable(source: Source) -> sa.Select[Any]:
    """How many rows of a log no instant can know: one count per timestamp, of the rows where it is NULL."""
    names = dict.fromkeys((source.stamp, source.known))
    rows = source.rows
    return sa.select(
        *[
            sa.select(sa.func.count()).select_from(rows).where(rows.c[n].is_(None)).scalar_subquery().label(n)
            for n in names
        ]
    )


def _counted(plan: Plan, rows: sa.CTE, *, signed: bool) -> sa.Select[Any]:
    """Counts and sums per cell: one grouping for each kind of cell and each group of slice columns."""
    usable = rows.c.reason == USABLE
    kinds: list[tuple[int, Column, tuple[str, ...], Column, Sequence[str]]] = [
        (OUTCOME, usable, ("label", "prediction"), rows.c.bin, plan.sums),
        (LAG, usable & rows.c.lag.is_not(None), (), rows.c.lag, ()),
        (LATENCY, usable & rows.c.latency.is_not(None), (), rows.c.latency, ()),
        (BOOKS, sa.true(), (), rows.c.reason, BOOKED),
    ]
    cells = [
        _grouped(plan, rows, (number, group), kind, signed=signed)
        for number, group in enumerate(plan.groups)
        for kind in kinds
    ]
    return sa.select(sa.union_all(*cells).subquery("cells"))


def _grouped(
    plan: Plan, rows: sa.CTE, group: tuple[int, tuple[str, ...]],
    kind: tuple[int, Column, tuple[str, ...], Column, Sequence[str]], *, signed: bool,
) -> sa.Select[Any]:  # fmt: skip
    """One grouping of the rows.

    What it does not group or sum by stands as NULL or 0, for the groupings are one UNION.
    """
    number, columns = group
    code, condition, classes, bucket, sums = kind
    slices = {f"slice_{c}": rows.c[f"slice_{c}"] if c in columns else NULL_TEXT for c in plan.slice_columns}
    outcome = {c: rows.c[c] if c in classes else null_of(plan, c) for c in ("label", "prediction")}
    place = {
        "on_predicted": rows.c.on_predicted,
        "on_labeled": rows.c.on_labeled,
        "model_version": rows.c.model_version,
    }
    width = max(len(BOOKED), len(plan.sums))
    totals = [*(_total(rows, rows.c[name], signed=signed) for name in sums), *[integer(0)] * (width - len(sums))]
    named = {
        "kind": integer(code),
        "group": integer(number),
        **place,
        **slices,
        **outcome,
        "bucket": bucket,
        "n": _count(rows, signed=signed),
    }
    keys = [*place.values(), *(rows.c[f"slice_{c}"] for c in columns), *(rows.c[c] for c in classes), bucket]
    selected = [*(x.label(name) for name, x in named.items()), *(x.label(f"sum_{i}") for i, x in enumerate(totals))]
    return sa.select(*selected).where(condition).group_by(*keys)


def _total(rows: sa.CTE, x: Column, *, signed: bool) -> Column:
    return sa.cast(sa.func.sum(rows.c.sign * x if signed else x), sa.BigInteger())


def _count(rows: sa.CTE, *, signed: bool) -> Column:
    return sa.cast(sa.func.sum(rows.c.sign), sa.BigInteger()) if signed else sa.func.count()
