"""Where backfills stand: the cells at the last instant that is stored, so that an interrupted one can go on."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from evaljob.errors import ConfigError
from evaljob.schema import BLOB, METADATA, MODEL, upsert
from evaljob.state import UNREADABLE, State, from_bytes, from_microseconds, to_bytes, to_microseconds

_KEY = ("from_us", "to_us", "every_us")
CHECKPOINTS = sa.Table(
    "evaljob_backfill",
    METADATA,
    sa.Column("model", MODEL, primary_key=True),
    *(sa.Column(name, sa.BigInteger, primary_key=True, autoincrement=False) for name in _KEY),
    sa.Column("meaning", sa.String(64), nullable=False),
    sa.Column("as_of", sa.BigInteger, nullable=False),  # microseconds since 1970, UTC
    sa.Column("cells", BLOB, nullable=False),
)


@dataclass(frozen=True)
class Span:
    """The instants `start`, `start + every`, ..., up to and including `end`. Raises ConfigError when there are none."""

    start: datetime
    end: datetime
    every: timedelta

    def __post_init__(self) -> None:
        if self.every <= timedelta(0):
            raise ConfigError("--every: must be longer than nothing")
        if self.end < self.start:
            raise ConfigError(f"--to: {self.end.isoformat()} lies before --from {self.start.isoformat()}")

    def __len__(self) -> int:
        return (self.end - self.start) // self.every + 1

    def __getitem__(self, number: int) -> datetime:
        if not 0 <= number < len(self):
            raise IndexError(number)
        return self.start + number * self.every


def load(connection: sa.Connection, model: str, span: Span, meaning: str, fingerprint: str) -> State | None:
    """The state at the last instant that is stored; None when there is none, or it is damaged or means another thing.

    `meaning` is a digest of everything that results depend on, `fingerprint` that of the cells.
    """
    row = connection.execute(sa.select(CHECKPOINTS).where(*_is(span), CHECKPOINTS.c.model == model)).one_or_none()
    if row is None or row.meaning != meaning:
        return None
    try:
        return State(from_bytes(row.cells), from_microseconds(row.as_of), fingerprint)
    except UNREADABLE:
        return None


def save(connection: sa.Connection, model: str, span: Span, meaning: str, state: State) -> None:
    """Note that everything up to the state's instant is stored, in the transaction that stores it."""
    reached = {"meaning": meaning, "as_of": to_microseconds(state.as_of), "cells": to_bytes(state.cells)}
    upsert(connection, CHECKPOINTS, {"model": model, **_key(span), **reached})


def forget(connection: sa.Connection, models: tuple[str, ...], span: Span) -> None:
    """Delete the checkpoints of a backfill that is done."""
    connection.execute(sa.delete(CHECKPOINTS).where(*_is(span), CHECKPOINTS.c.model.in_(models)))


def _key(span: Span) -> dict[str, int]:
    every = span.every // timedelta(microseconds=1)
    return dict(zip(_KEY, (to_microseconds(span.start), to_microseconds(span.end), every), strict=True))


def _is(span: Span) -> list[sa.ColumnElement[bool]]:
    return [CHECKPOINTS.c[name] == value for name, value in _key(span).items()]
