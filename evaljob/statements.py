"""The statements of a run as text, in the database's dialect, for people and their query planners to read."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from evaljob import join
from evaljob.clock import now
from evaljob.config import Config
from evaljob.dialect import literally
from evaljob.join import Plan
from evaljob.opening import logs, plan_of

STEP = timedelta(minutes=5)


def text(config: Config, as_of: datetime | None = None) -> str:
    """Every evaluation's full count and a step of one schedule interval (five minutes under cron) up to `as_of`."""
    at = as_of or now(config)
    with logs(config) as engine, engine.connect() as connection:
        return "\n\n".join(_statements(config, connection, at))


def _statements(config: Config, connection: sa.Connection, at: datetime) -> Iterator[str]:
    for evaluation in config.evaluations:
        yield from of(config, connection, plan_of(connection, evaluation), at)


def of(config: Config, connection: sa.Connection, plan: Plan, at: datetime) -> Iterator[str]:
    """One evaluation's full count and step."""
    before, model = at - (config.schedule.every or STEP), plan.evaluation.model
    yield _text(connection, f"{model}: full count as of {at}", join.full(plan, at))
    yield _text(connection, f"{model}: step from {before} to {at}", join.step(plan, before, at))


def _text(connection: sa.Connection, comment: str, statement: sa.Select[Any]) -> str:
    return f"-- {comment}\n{literally(connection, statement)};"
