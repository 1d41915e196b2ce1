"""Requests as they were known at an instant: the first prediction, the latest label, joined by request_id."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from evaljob.dialect import exact_text, microseconds_between, rare, short_id
from evaljob.join.partition import days
from evaljob.join.plan import Column, Plan, bound, in_spans, integer, one
from evaljob.join.usable import rejects
from evaljob.source import Source

LARGEST_INTEGER = 2**63 - 1


def affected(plan: Plan, before: datetime, after: datetime) -> sa.CTE:
    """The ids of requests with a row that became known in [before, after), or whose own timestamp crossed an edge."""
    selects = [
        sa.select(*_distinct_id(plan, source)).where(
            moved, source.rows.c.request_id.is_not(None), *days(source, source.rows, plan.oldest(before), after)
        )
        for source in (plan.predictions, plan.labels)
        for moved in _moved(plan, source, before, after)
    ]
    if plan.prunes:
        return sa.select(_few(sa.union_all(*selects).subquery("ids"))).cte("affected")
    if not plan.repeats:
        return sa.union(*selects).cte("affected")
    return sa.select(sa.union(*selects).subquery("ids")).where(*_once(plan)).cte("affected")


def _few(ids: sa.Subquery) -> sa.Subquery:
    """Each of the ids once, in a form that has DuckDB guess few.

    It takes a fifth of a log for a span of time, and would hash the logs instead of the ids. What is always true here
    is another fifth to it, twice.
    """
    for _ in range(2):
        ids = sa.select(ids.c.id_).group_by(ids.c.id_).having(sa.func.count() > 0).subquery("ids")
    return ids


def _moved(plan: Plan, source: Source, before: datetime, after: datetime) -> Iterator[Column]:
    """Where rows lie whose place may have changed; where an index tells, without those that the other log's row kept.

    By an edge that is none of its own log's, only a prediction that is rejected and a label without prediction move.
    """
    spans = plan.own_spans if plan.indexed else plan.spans
    for column, found in spans(source, before, after).items():
        together = [[span] for span in found] if plan.prunes else [found]
        yield from (in_spans(source, column, some) for some in together)
    others = plan.other_spans(source, before, after)
    if plan.indexed and others:
        alone = rejects(plan, source.rows) if source.log == "predictions" else _unpredicted(plan, before)
        yield sa.and_(in_spans(source, source.stamp, others), alone)


def _unpredicted(plan: Plan, t: datetime) -> Column:
    """Of a label: no prediction of its request was known at `t`."""
    predictions = plan.predictions.rows
    known = exists(plan, plan.predictions, predictions, t)
    return ~sa.exists().where(same_id(plan, plan.labels.rows, predictions), *known).correlate(plan.labels.rows)


def _once(plan: Plan) -> list[Column]:
    """Nothing, or what is always true and yet no engine's to foresee: Spark then reads a CTE once for all its uses."""
    return [sa.func.rand() >= 0] if plan.repeats else []


def _distinct_id(plan: Plan, source: Source) -> list[Column]:
    """The id as it is, so that indexes serve the join, and its bytes where a UNION would take unlike ids for one.

    In short where there is no index.
    """
    id_ = source.rows.c.request_id
    if not plan.indexed:
        return [short_id(id_).label("id_")]
    exact = plan.exact(source, source.rows, "request_id")
    return [id_] if exact is id_ else [id_, exact.label("bytes")]


def rows_of(ids: sa.CTE, plan: Plan, source: Source, before: datetime, after: datetime) -> sa.CTE:
    """All rows of a log that belong to the given requests. Joined, never tested with IN: 60 times faster on SQLite.

    SQLite takes a CTE for a million rows where it is named again, and reads the whole index of a smaller log into a
    Bloom filter for them, unless it is told that there are few.
    """
    same = same_id(plan, ids, source.rows)
    few = rare(ids.c.request_id.is_not(None))
    return _found(sa.and_(same, few), ids, plan, source, before, after)


def rows_among(ids: sa.CTE, plan: Plan, source: Source, before: datetime, after: datetime) -> sa.CTE:
    """Likewise of ids in short, where they are found by a scan: 3 times faster than to compare texts on DuckDB.

    What comes along, because it is the same in short, does not matter: it counts as what it is.
    """
    return _found(ids.c.id_ == short_id(source.rows.c.request_id), ids, plan, source, before, after)


def _found(same: Column, ids: sa.CTE, plan: Plan, source: Source, before: datetime, after: datetime) -> sa.CTE:
    rows = sa.select(source.rows).select_from(ids.join(source.rows, same))
    rows = rows.where(*days(source, source.rows, plan.oldest(before), after), *_once(plan))
    return (_joined_first(rows, plan, source, before, after) if plan.prunes else rows).cte(f"{source.log}_{ids.name}")


def _joined_first(
    rows: sa.Select[Any], plan: Plan, source: Source, before: datetime, after: datetime
) -> sa.Select[Any]:
    """The rows that either instant may know, in a form that has DuckDB join before it asks which of the two does.

    Else it asks that of every row of the log, which took a fifth of a step. No condition passes a LIMIT.
    """
    known, stamp = (source.rows.c[name] for name in (source.known, source.stamp))
    oldest = plan.oldest(before)
    reached = [] if oldest is None else [stamp >= bound(source, source.stamp, oldest)]
    return rows.where(known < bound(source, source.known, after), *reached).limit(LARGEST_INTEGER)


def served(plan: Plan, rows: sa.FromClause, t: datetime) -> sa.Subquery:
    """The first prediction of each request known at `t`, and how many rows share its id (`copies`)."""
    ties = ("prediction", "score", "model_version", "latency_seconds", *plan.slice_columns)
    order = [rows.c.predicted_at, *(_nulls_first(plan, rows, name) for name in ties if name in rows.c)]
    id_ = plan.exact(plan.predictions, rows, "request_id")
    known = (*exists(plan, plan.predictions, rows, t), rows.c.request_id.is_not(None))
    copies = sa.func.count().over(partition_by=id_).label("copies")
    return _first_of(sa.select(*columns(plan, plan.predictions, rows), copies).where(*known), id_, order)


def answered(plan: Plan, first: sa.Subquery, labels: sa.FromClause, t: datetime) -> sa.Subquery:
    """Each served prediction with its latest label known at `t` (`labeled_at` is NULL without), and how many it has.

    `label_copies` are the label rows of the request, `late_copies` those further than `max_lag` from the prediction,
    which are no
    labels. The label rows are joined before they are ranked: engines find them by their index, for a few requests as
    for all.
    """
    late = _late(plan, first, labels)
    id_ = plan.exact(plan.predictions, first, "request_id")
    matched = labels.c.request_id.is_not(None)
    pairs = sa.select(
        *[c for c in first.c if c.name != "request_id"],
        *_unless(plan, late, labels),
        _counted(matched).over(partition_by=id_).label("label_copies"),
        _counted(sa.and_(matched, late)).over(partition_by=id_).label("late_copies"),
    ).select_from(first.outerjoin(labels, _answers(plan, first, labels, t)))
    order = [
        labels.c.labeled_at.desc(),
        *(_nulls_last(plan, labels, name) for name in ("label", *plan.evaluation.values)),
    ]
    return _first_of(pairs, id_, order if plan.evaluation.max_lag is None else [sa.case((late, 1), else_=0), *order])


def uneven(plan: Plan, t: datetime) -> sa.CTE:
    """The ids, in short, of requests known at `t` with more than one row in a log, or with labels alone: mostly few.

    One aggregation of narrow rows: it costs a column store a fifth of ranking the rows of every request. Ids of one log
    that are the same in short are among them, for they count as one with several rows. A label without prediction whose
    id is short like that of a prediction without label is overlooked: where short means 64 bits, one of 10,000 such
    labels among 10,000,000 predictions is so once in 100,000,000 counts.
    """
    marks = ((plan.predictions, integer(1)), (plan.labels, sa.cast(sa.null(), sa.Integer())))
    rows = sa.union_all(*[_counting(plan, source, t, mark) for source, mark in marks]).subquery("ids")
    ids = sa.select(rows.c.id_).where(*_once(plan)).group_by(rows.c.id_)
    return ids.having(sa.or_(sa.func.count(rows.c.served) != 1, sa.func.count() > 2)).cte("uneven")  # noqa: PLR2004


def _counting(plan: Plan, source: Source, t: datetime, served_: Column) -> sa.Select[Any]:
    rows = source.rows
    known = (rows.c.request_id.is_not(None), *exists(plan, source, rows, t))
    return sa.select(short_id(rows.c.request_id).label("id_"), served_.label("served")).where(*known)


def even(plan: Plan, others: sa.CTE, t: datetime) -> sa.Subquery:
    """What `answered` gives for the requests that are not among `others`: one prediction and at most one label each.

    The labels are joined first: engines that guess how many requests are among the others guess far too many, and then
    take the predictions, which are wider, for the smaller side.
    """
    first, labels = plan.predictions.rows, plan.labels.rows
    known = (*exists(plan, plan.predictions, first, t), first.c.request_id.is_not(None))
    late = _late(plan, first, labels)
    matched = labels.c.request_id.is_not(None)
    return (
        sa.select(
            *columns(plan, plan.predictions, first)[1:],
            integer(1).label("copies"),
            *_unless(plan, late, labels),
            one(matched).label("label_copies"),
            one(sa.and_(matched, late)).label("late_copies"),
        )
        .select_from(
            first.outerjoin(labels, _answers(plan, first, labels, t)).outerjoin(
                others, others.c.id_ == short_id(first.c.request_id)
            )
        )
        .where(others.c.id_.is_(None), *known)
        .subquery()
    )


def orphans(plan: Plan, rows: sa.FromClause, predictions: sa.FromClause, t: datetime) -> sa.Subquery:
    """The ids with labels but no prediction known at `t`, each with the time of its latest label."""
    id_ = plan.exact(plan.labels, rows, "request_id")
    predicted = sa.and_(same_id(plan, rows, predictions), *exists(plan, plan.predictions, predictions, t))
    unmatched = (rows.c.request_id.is_not(None), predictions.c.request_id.is_(None))
    return (
        sa.select(id_, sa.func.max(rows.c.labeled_at).label("labeled_at"))
        .select_from(rows.outerjoin(predictions, predicted))
        .where(*exists(plan, plan.labels, rows, t), *unmatched)
        .group_by(id_)
        .subquery()
    )


def same_id(plan: Plan, a: sa.FromClause, b: sa.FromClause) -> Column:
    """Whether two rows share their id.

    Where a collation calls unlike ids equal, the index finds by it and bytes decide.
    """
    same = a.c.request_id == b.c.request_id
    if not (plan.mysql and plan.labels.kinds["request_id"] == "text"):
        return same
    return sa.and_(same, exact_text(a.c.request_id) == exact_text(b.c.request_id))


def exists(plan: Plan, source: Source, rows: sa.FromClause, t: datetime) -> list[Column]:
    """A row is known at `t`, has a timestamp of its own, and lies within the horizon."""
    known, stamp = rows.c[source.known], rows.c[source.stamp]
    return [*lives(plan, source, known, stamp, t), *days(source, rows, plan.oldest(t), t)]


def lives(plan: Plan, source: Source, known: Column, stamp: Column, t: datetime) -> list[Column]:
    """Likewise, by the two timestamps of the row alone."""
    conditions: list[Column] = [known < bound(source, source.known, t)]
    if source.known != source.stamp:
        conditions.append(stamp.is_not(None))
    if plan.horizon is not None:
        conditions.append(stamp >= bound(source, source.stamp, t - plan.horizon))
    return conditions


def columns(plan: Plan, source: Source, rows: sa.FromClause) -> list[sa.Label[Any]]:
    """The id as it is, so that indexes serve the join; everything else by its bytes."""
    others = [plan.exact(source, rows, name).label(name) for name in used_of(plan, source)[1:]]
    return [rows.c.request_id.label("request_id"), *others]


def used(plan: Plan, source: Source) -> list[str]:
    """The columns that a count needs, of those the user's SELECT returns."""
    return list(dict.fromkeys([*used_of(plan, source), source.known]))


def used_of(plan: Plan, source: Source) -> list[str]:
    """The columns that the statement needs of a resolved row: the fewer, the faster."""
    if source.log == "labels":
        return ["request_id", "label", "labeled_at", *plan.evaluation.values]
    wanted = (
        "request_id",
        "predicted_at",
        "model_version",
        "prediction",
        "score",
        "latency_seconds",
        *plan.slice_columns,
    )
    return [name for name in dict.fromkeys(wanted) if name in source.kinds]


def _first_of(select: sa.Select[Any], partition: Column, order: list[Any]) -> sa.Subquery:
    """The first row of each partition."""
    ranked = select.add_columns(
        sa.func.row_number().over(partition_by=partition, order_by=order).label("rank_")
    ).subquery()
    return sa.select(*[c for c in ranked.c if c.name != "rank_"]).where(ranked.c.rank_ == 1).subquery()


def _counted(condition: Column) -> sa.Function[int]:
    return sa.func.count(sa.case((condition, 1)))


def _answers(plan: Plan, first: sa.FromClause, labels: sa.FromClause, t: datetime) -> Column:
    return sa.and_(same_id(plan, first, labels), *exists(plan, plan.labels, labels, t))


def _late(plan: Plan, first: sa.FromClause, labels: sa.FromClause) -> Column:
    return sa.false() if plan.evaluation.max_lag is None else beyond(plan.evaluation.max_lag, first, labels)


def _unless(plan: Plan, late: Column, labels: sa.FromClause) -> list[sa.Label[Any]]:
    """The columns of a label, NULL where it is late."""
    own = columns(plan, plan.labels, labels)[1:]
    return [sa.case((sa.not_(late), c)).label(c.name) for c in own] if plan.evaluation.max_lag else own


def beyond(max_lag: timedelta, first: sa.FromClause, labels: sa.FromClause) -> Column:
    """Whether a label lies further than `max_lag` from its prediction; false without one."""
    distance = sa.func.abs(microseconds_between(first.c.predicted_at, labels.c.labeled_at))
    return sa.func.coalesce(distance > int(max_lag.total_seconds()) * 10**6, sa.false())


def _nulls_first(plan: Plan, rows: sa.FromClause, name: str) -> Any:
    """Ascending, in byte order, NULLs first on every engine (MySQL does so unasked and does not know the words)."""
    column = _byte_order(plan.predictions, rows, name)
    return column if plan.mysql else column.nulls_first()


def _nulls_last(plan: Plan, rows: sa.FromClause, name: str) -> Any:
    column = _byte_order(plan.labels, rows, name).desc()
    return column if plan.mysql else column.nulls_last()


def _byte_order(source: Source, rows: sa.FromClause, name: str) -> Column:
    return exact_text(rows.c[name]) if source.kinds[name] == "text" else rows.c[name]
