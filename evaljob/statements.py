"""The statements of a run as text, in the database's dialect, for people and their query planners to read."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from evaljob import job, join
from evaljob.config import Config
from evaljob.dialect import literally

STEP = timedelta(minutes=5)


def text(config: Config, as_of: datetime | None = None) -> str:
    """Every evaluation's full count and a step of one schedule interval (five minutes under cron) up to `as_of`."""
    at = as_of or job.now(config)
    with job.logs(config) as engine, engine.connect() as connection:
        return "\n\n".join(_statements(config, connection, at))


def _statements(config: Config, connection: sa.Connection, at: datetime) -> Iterator[str]:
    before = at - (config.schedule.every or STEP)
    for evaluation in config.evaluations:
        plan = job.plan_of(connection, evaluation)
        yield _text(connection, f"{evaluation.model}: full count as of {at}", join.full(plan, at))
        yield _text(connection, f"{evaluation.model}: step from {before} to {at}", join.step(plan, before, at))


def _text(connection: sa.Connection, comment: str, statement: sa.Select[Any]) -> str:
    return f"-- {comment}\n{literally(connection, statement)};"
