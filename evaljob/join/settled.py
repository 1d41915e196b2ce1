"""Requests that no instant resolves otherwise than another: one prediction, and at most one label that came after it.

Whatever an instant knows of such a request is nothing, its prediction, or both. So a step ranks no rows of theirs, and
joins them once for its two ends.
"""

from datetime import datetime

import sqlalchemy as sa

from evaljob.dialect import microseconds_between
from evaljob.join.plan import Column, Plan, integer, one
from evaljob.join.resolve import beyond, columns, lives, same_id, used_of


def settled(plan: Plan, predictions: sa.FromClause, labels: sa.FromClause) -> sa.CTE:
    """Those among `predictions`, each with its label and the instants since when the two are known.

    `predictions` hold every row of their requests. With `max_lag`, labels further from their prediction settle nothing:
    past the horizon they would be orphans.
    """
    id_ = plan.exact(plan.predictions, predictions, "request_id")
    pairs = (
        sa.select(
            *columns(plan, plan.predictions, predictions),
            *columns(plan, plan.labels, labels)[1:],
            predictions.c[plan.predictions.known].label("predicted_since"),
            labels.c[plan.labels.known].label("labeled_since"),
            sa.func.count().over(partition_by=id_).label("rows_"),
        )
        .select_from(predictions.outerjoin(labels, same_id(plan, predictions, labels)))
        .subquery()
    )
    after = sa.and_(pairs.c.predicted_at.is_not(None), sa.not_(_label_first(plan, pairs)))
    conditions = [pairs.c.rows_ == 1, sa.or_(pairs.c.labeled_since.is_(None), after)]
    if plan.evaluation.max_lag is not None:
        conditions.append(sa.not_(beyond(plan.evaluation.max_lag, pairs, pairs)))
    return sa.select(*[c for c in pairs.c if c.name != "rows_"]).where(*conditions).cte("settled")


def _label_first(plan: Plan, pairs: sa.FromClause) -> Column:
    """Whether a label was known before its prediction."""
    predicted, labeled = pairs.c.predicted_since, pairs.c.labeled_since
    if plan.predictions.kinds[plan.predictions.known] == plan.labels.kinds[plan.labels.known]:
        return labeled < predicted
    return microseconds_between(predicted, labeled) < 0


def unsettled(plan: Plan, ids: sa.CTE, pairs: sa.CTE) -> sa.CTE:
    """The other ones of `ids`."""
    others = sa.select(*ids.c).select_from(ids.outerjoin(pairs, same_id(plan, ids, pairs)))
    return others.where(pairs.c.request_id.is_(None)).cte("unsettled")


def known_of(plan: Plan, pairs: sa.CTE, t: datetime) -> sa.Subquery:
    """What is known of settled requests at `t`, as `resolve.answered` tells it."""
    c = pairs.c
    labeled = sa.and_(*lives(plan, plan.labels, c.labeled_since, c.labeled_at, t))
    return (
        sa.select(
            *[c[name] for name in used_of(plan, plan.predictions)[1:]],
            integer(1).label("copies"),
            *[sa.case((labeled, c[name])).label(name) for name in used_of(plan, plan.labels)[1:]],
            one(labeled).label("label_copies"),
            integer(0).label("late_copies"),
        )
        .where(*lives(plan, plan.predictions, c.predicted_since, c.predicted_at, t))
        .subquery()
    )
