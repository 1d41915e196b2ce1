"""What evaljob remembers of MLflow: how far it has logged, the offline metrics it found, and how often it failed."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from evaljob.schema import TRACKING, upsert
from evaljob.state import from_microseconds, to_microseconds

Offline = Mapping[str, Mapping[str, float]]  # model version to metric, without the prefix, to value


@dataclass(frozen=True)
class Kept:
    """Of one model: the last instant all of whose points are logged, offline metrics, failures since the beginning."""

    as_of: datetime | None = None
    failures: int = 0
    offline: Offline = field(default_factory=dict)


def load(connection: sa.Connection, model: str) -> Kept:
    """What is remembered of a model."""
    row = connection.execute(sa.select(TRACKING).where(TRACKING.c.model == model)).one_or_none()
    if row is None:
        return Kept()
    as_of = None if row.as_of is None else from_microseconds(row.as_of)
    return Kept(as_of, row.failures, json.loads(row.offline))


def save(connection: sa.Connection, model: str, kept: Kept) -> None:
    """Remember it, in the caller's transaction."""
    as_of = None if kept.as_of is None else to_microseconds(kept.as_of)
    offline = json.dumps(kept.offline).encode()
    upsert(connection, TRACKING, {"model": model, "as_of": as_of, "failures": kept.failures, "offline": offline})
