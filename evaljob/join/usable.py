"""Which numbers can be counted. None of these holds for NaN, which some engines order above every number."""

import sqlalchemy as sa

from evaljob.join.plan import Column, Plan

LARGEST_NUMBER = 1e9  # larger ones are rejected, so that a sum of squares stays within 64 bits
LONGEST_LATENCY = 1e10  # seconds


def is_probability(score: Column) -> Column:
    """From 0 to 1."""
    return sa.and_(score >= 0, score <= 1)


def is_latency(seconds: Column) -> Column:
    """From 0 to LONGEST_LATENCY."""
    return sa.and_(seconds >= 0, seconds <= LONGEST_LATENCY)


def within(x: Column) -> Column:
    """A number of usable size."""
    return sa.and_(x >= -LARGEST_NUMBER, x <= LARGEST_NUMBER)


def not_within(x: Column) -> Column:
    """Present, but not a number of usable size (infinity is not)."""
    return sa.and_(x.is_not(None), sa.not_(within(x)))


def rejects(plan: Plan, row: sa.FromClause) -> Column:
    """Whether a prediction by itself keeps its request out of every count but the books."""
    if plan.regression:
        return not_within(row.c.prediction)
    if "score" not in row.c:
        return sa.false()
    given = sa.and_(row.c.prediction.is_not(None), row.c.score.is_not(None))
    return sa.and_(given, sa.not_(is_probability(row.c.score)))
