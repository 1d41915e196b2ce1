"""The state: each evaluation's cells at one `as_of`, replaced by whoever read them last."""

import hashlib
import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import sqlalchemy as sa

from evaljob.cells import KEY, NO_LEVELS, Cells
from evaljob.config import Config
from evaljob.dialect import MYSQL
from evaljob.join import Plan
from evaljob.opening import own_tables
from evaljob.schema import STATE
from evaljob.types import class_name

FORMAT = 2  # of the cells: another one is another fingerprint, and leads to a full recount
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNREADABLE = (zlib.error, ValueError, KeyError, EOFError, OSError, zipfile.BadZipFile)  # what damaged cells raise
# How a server ends the session of a client that holds a lock and sleeps.
_SLEEP_LIMITS = {"postgresql": "SET LOCAL idle_in_transaction_session_timeout = '{seconds}s'"} | dict.fromkeys(
    MYSQL, "SET SESSION wait_timeout = {seconds}"
)
NOTHING = Cells(pd.DataFrame(columns=[*KEY, "n"], dtype="int64"), NO_LEVELS)


class SupersededError(Exception):
    """Another worker has replaced the state since it was read: what was made from it is not to be published."""


class OvertakenError(SupersededError):
    """It did so while what was made from the state was being published, which may have come last."""


@dataclass(frozen=True)
class State:
    """The cells of every window of an evaluation at `as_of`, and what is known of how they came about."""

    cells: Cells
    as_of: datetime
    fingerprint: str
    revision: int = 0
    full_recounts: int = 0
    drift_cells: int = 0
    unreadable: bool = False


class Store:
    """Reads and replaces states in the database of `state.url`, which is open: see `schema.opened`."""

    def __init__(self, engine: sa.Engine) -> None:
        self.engine = engine

    def load(self, model: str) -> State | None:
        """The state of an evaluation, or None when there is none.

        Damaged cells come back as `unreadable`, never as numbers.
        """
        return self.read(self.engine, model)

    @staticmethod
    def read(engine: sa.Engine, model: str) -> State | None:
        """The same from tables that are only read, and are there."""
        with engine.connect() as connection:
            row = connection.execute(sa.select(STATE).where(STATE.c.model == model)).one_or_none()
        if row is None:
            return None
        known = (from_microseconds(row.as_of), row.fingerprint, row.revision, row.full_recounts, row.drift_cells)
        try:
            return State(from_bytes(row.cells), *known)
        except UNREADABLE:
            return State(NOTHING, *known, unreadable=True)

    def replace(self, connection: sa.Connection, model: str, state: State) -> None:
        """Put a new state in the place of revision `state.revision - 1`, in the caller's transaction.

        Raises SupersededError when that revision is not there any more: compare and swap.
        """
        values = {
            "revision": state.revision, "fingerprint": state.fingerprint, "as_of": to_microseconds(state.as_of),
            "full_recounts": state.full_recounts, "drift_cells": state.drift_cells, "cells": to_bytes(state.cells),
        }  # fmt: skip
        expected = sa.and_(STATE.c.model == model, STATE.c.revision == state.revision - 1)
        if connection.execute(sa.update(STATE).where(expected).values(values)).rowcount == 1:
            return
        if state.revision > 1:
            raise SupersededError(model)
        try:
            connection.execute(sa.insert(STATE).values(model=model, **values))
        except sa.exc.IntegrityError as error:
            raise SupersededError(model) from error

    def revision(self, model: str) -> int | None:
        """The number of the state that is stored; None when there is none."""
        with self.engine.connect() as connection:
            found: int | None = connection.execute(_revision(model)).scalar()
        return found

    @contextmanager
    def holding(self, model: str, revision: int, seconds: float) -> Iterator[None]:
        """Keep every worker from replacing this revision of a state while its results are on their way.

        Raises SupersededError when it is replaced already, and OvertakenError afterwards when it was all the same: a
        server lets go of a holder that sleeps longer than `seconds`, and SQLite, where the lock would be one on all
        models, has none.
        """
        with self._locked(model, seconds) as found:
            if found != revision:
                raise SupersededError(model)
            yield
        if self.revision(model) != revision:
            raise OvertakenError(model)

    @contextmanager
    def _locked(self, model: str, seconds: float) -> Iterator[int | None]:
        """The state's revision, on servers with its row locked by a connection of its own."""
        limit = _SLEEP_LIMITS.get(self.engine.dialect.name)
        if limit is None:
            yield self.revision(model)
            return
        with self.engine.connect() as connection:
            connection.detach()  # the limit goes with it
            connection.execute(sa.text(limit.format(seconds=max(1, math.ceil(seconds)))))
            found = connection.execute(_revision(model).with_for_update()).scalar()
            try:
                yield found
            finally:
                with suppress(sa.exc.DBAPIError):  # the server has let go already: what came of it is looked at then
                    connection.rollback()

    def forget(self, connection: sa.Connection, models: Iterable[str]) -> None:
        """Delete the states of models that are not evaluated any more."""
        connection.execute(sa.delete(STATE).where(STATE.c.model.in_(list(models))))


@contextmanager
def store(config: Config) -> Iterator[Store]:
    """The states in evaljob's own tables."""
    with own_tables(config) as engine:
        yield Store(engine)


def _revision(model: str) -> sa.Select[Any]:
    return sa.select(STATE.c.revision).where(STATE.c.model == model)


def fingerprint(plan: Plan, database: str) -> str:
    """A digest of everything that gives cells their meaning: a state with another one cannot be stepped."""
    evaluation = plan.evaluation
    default = evaluation.labels_default
    meaning = {
        "format": FORMAT,
        "database": database,
        "task": evaluation.task,
        "positive_label": class_name(evaluation.positive_label) if evaluation.positive_label is not None else None,
        "windows": [(w.name, w.length.total_seconds(), w.on, w.maturity.total_seconds()) for w in evaluation.windows],
        "slices": evaluation.slices,
        "values": list(evaluation.values),
        "labels_default": None if default is None else (class_name(default.label), default.after.total_seconds()),
        "max_lag": None if evaluation.max_lag is None else evaluation.max_lag.total_seconds(),
        "ages": plan.aged,
        "sources": [
            (source.log, source.sql, sorted(source.kinds.items()), source.partition and source.partition.model_dump())
            for source in (plan.predictions, plan.labels)
        ],
    }
    return hashlib.sha256(json.dumps(meaning, sort_keys=True).encode()).hexdigest()


def to_bytes(cells: Cells) -> bytes:
    """The cells in few bytes: each column in the narrowest integers that hold it, then compressed."""
    compact = cells.compact()
    columns = {name: _narrow(compact.frame[name].to_numpy()) for name in compact.frame.columns}
    levels = np.frombuffer(
        json.dumps({name: list(values) for name, values in compact.levels.items()}).encode(), dtype="uint8"
    )
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, levels=levels, **columns)
    return zlib.compress(buffer.getvalue(), level=1)


def from_bytes(data: bytes) -> Cells:
    """The cells that `to_bytes` wrote."""
    with np.load(io.BytesIO(zlib.decompress(data)), allow_pickle=False) as stored:
        levels = {name: tuple(values) for name, values in json.loads(stored["levels"].tobytes()).items()}
        columns = {name: stored[name].astype("int64") for name in stored.files if name != "levels"}
    return Cells(pd.DataFrame(columns, copy=False), levels)


def to_microseconds(t: datetime) -> int:
    """Whole microseconds since 1970, UTC."""
    return (t - EPOCH) // timedelta(microseconds=1)


def from_microseconds(us: int) -> datetime:
    """The instant `us` microseconds after 1970, UTC."""
    return EPOCH + timedelta(microseconds=us)


def _narrow(column: np.ndarray) -> np.ndarray:
    if len(column) == 0:
        return column
    low, high = int(column.min()), int(column.max())
    fitting = (kind for kind in ("int8", "int16", "int32") if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    return column.astype(next(fitting, "int64"))
