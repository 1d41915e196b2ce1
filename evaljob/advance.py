"""The cells of an evaluation at an instant: stepped from the state where that is exact and worth it, else recounted."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from evaljob import join
from evaljob.accelerate import AccelerationError, accelerated
from evaljob.cells import Cells, InexactError, collect
from evaljob.garbage import uncollected
from evaljob.join import Plan
from evaljob.join.plan import BOOKS
from evaljob.state import State

BATCH = 50_000  # rows of cells in memory at once, besides the cells themselves
WORTH = 8  # a step over more than this part of the longest window reads about as much as a full count

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Advanced:
    """The state at the instant that was asked for.

    `recounted` is why it was counted afresh; `kept` whether it is to be stored.
    """

    state: State
    rows_read: int
    recounted: str | None
    kept: bool = True


def advance(
    connection: sa.Connection, plan: Plan, old: State | None, as_of: datetime, fingerprint: str, *, full: bool = False
) -> Advanced:
    """The state at `as_of`. An instant before the old state's is counted afresh and not to be kept."""
    if old is not None and as_of < old.as_of:
        cells, read = _counted_afresh(connection, plan, as_of)
        return Advanced(
            replace(old, cells=cells, as_of=as_of, fingerprint=fingerprint), read, "earlier than the state", kept=False
        )
    reason = "asked for" if full else _reason(plan, old, as_of, fingerprint)
    if reason is None and old is not None:
        if as_of == old.as_of:
            return Advanced(old, 0, None, kept=False)
        try:
            return _stepped(connection, plan, old, as_of)
        except InexactError as error:
            reason = f"the logs were rewritten behind the state: {error}"
    return _recounted(connection, plan, old, as_of, fingerprint, str(reason))


def _reason(plan: Plan, old: State | None, as_of: datetime, fingerprint: str) -> str | None:
    """Why the old state cannot be stepped to `as_of`, if so."""
    if old is None:
        return "there is no state"
    if old.unreadable:
        return "the stored state is unreadable"
    if old.fingerprint != fingerprint:
        return "the configuration has changed"
    longest = max(window.length + window.maturity for window in plan.evaluation.windows)
    if (as_of - old.as_of) * WORTH > longest:
        return f"the state is {as_of - old.as_of} old"
    return None


def _stepped(connection: sa.Connection, plan: Plan, old: State, as_of: datetime) -> Advanced:
    delta, read = _counted(connection, plan, join.step(plan, old.as_of, as_of))
    cells = (old.cells + delta).checked()
    return Advanced(replace(old, cells=cells, as_of=as_of, revision=old.revision + 1), read, None)


def _recounted(
    connection: sa.Connection, plan: Plan, old: State | None, as_of: datetime, fingerprint: str, reason: str
) -> Advanced:
    logger.info("%s: full count: %s", plan.evaluation.model, reason)
    cells, read = _counted_afresh(connection, plan, as_of)
    revision, recounts, drift = (0, 0, 0) if old is None else (old.revision, old.full_recounts, old.drift_cells)
    return Advanced(State(cells, as_of, fingerprint, revision + 1, recounts + 1, drift), read, reason)


def _counted_afresh(connection: sa.Connection, plan: Plan, as_of: datetime) -> tuple[Cells, int]:
    """The cells of every request: by DuckDB where that is configured and can, else by the database itself."""
    try:
        with accelerated(connection, plan, as_of) as found:
            if found is not None:
                there, staged = found
                return _counted(there, staged, join.full(staged, as_of))
    except AccelerationError as error:
        model = plan.evaluation.model
        logger.warning("%s: the database counts by itself, for DuckDB cannot: %s", model, error)
    return _counted(connection, plan, join.full(plan, as_of))


def _counted(connection: sa.Connection, plan: Plan, statement: sa.Select[Any]) -> tuple[Cells, int]:
    """The statement's cells, and how many requests it went through."""
    read = Counter[str]()
    with uncollected(), connection.execute(statement, execution_options={"yield_per": BATCH}) as result:
        cells = collect(plan, list(result.keys()), _metered(result, read))
    return cells, read["requests"]


def _metered(result: sa.CursorResult[Any], read: Counter[str]) -> Iterator[Sequence[sa.Row[Any]]]:
    for batch in result.partitions(BATCH):
        read["requests"] += sum(abs(row.n) for row in batch if row.kind == BOOKS and row.group == 0)
        yield batch
