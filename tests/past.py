"""A project with some days of logs, in SQLite or another database, and what its runs leave behind."""

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeAlias

import sqlalchemy as sa

from evaljob.config import Config, load
from tests import logs
from tests.logs import Row
from tests.projects import SQL, Project

START = datetime(2024, 5, 1, tzinfo=UTC)
DAYS = 4
CONFIG = """\
database: {{url: "{logs}"}}
state: {{url: "{state}", history_retention: 3650d}}
pushgateway: {{url: {gateway}, timeout: 5s}}
evaluations:
  - model: m
    task: binary
    positive_label: 1
    predictions: predictions.sql
    labels: labels.sql
    windows: [6h, 24h, {{name: 2d_mature, length: 2d, on: predicted_at, maturity: 12h}}]
    slices: [country]
    min_support: 3
"""

Kept: TypeAlias = dict[tuple[int, str], tuple[bytes, bytes]]


def hours(count: float) -> datetime:
    """The instant so many hours after the logs begin."""
    return START + timedelta(hours=count)


def project(folder: Path, gateway: str = "", database: str = "", requests: int = 200) -> Project:
    """A project whose logs and state are in one database (a SQLAlchemy URL), by default in two SQLite files."""
    folder.mkdir(exist_ok=True)
    urls = {"logs": database or "sqlite:///logs.db", "state": database or "sqlite:///state.db"}
    texts = {"config.yaml": CONFIG.format(gateway=gateway or "null", **urls), **SQL}
    for name, text in texts.items():
        (folder / name).write_text(text)
    engine = sa.create_engine(database or f"sqlite:///{folder / 'logs.db'}")
    predictions, labels = rows(requests)
    logs.create(engine, "predictions", predictions)
    logs.create(engine, "labels", labels)
    engine.dispose()
    return Project(folder, gateway)


def rows(requests: int) -> tuple[list[Row], list[Row]]:
    """Predictions of DAYS days and their labels: late, corrected, duplicate, missing, orphan, the same every time."""
    chance = random.Random(7)  # noqa: S311  (nothing secret)
    predictions = [_prediction(chance, number, requests) for number in range(requests)]
    predictions += [row | {"predicted_at": row["predicted_at"] + timedelta(hours=1)} for row in predictions[::30]]
    labels = [_label(chance, row) for row in predictions if chance.random() < 0.9]
    labels += [
        row | {"label": 1 - row["label"], "labeled_at": row["labeled_at"] + timedelta(hours=9)} for row in labels[::12]
    ]
    labels += [row | {"request_id": f"orphan-{row['request_id']}"} for row in labels[::40]]
    return predictions, labels


def config(project_: Project) -> Config:
    """Its configuration."""
    return load(project_.folder / "config.yaml", {})


def kept(project_: Project) -> Kept:
    """Everything in its history: (as_of, model) to the bytes that are stored."""
    return {
        (row.as_of, row.model): (bytes(row.names), bytes(row.numbers))
        for row in rows_of(project_, "SELECT as_of, model, names, numbers FROM evaljob_history ORDER BY as_of, model")
    }


def state(project_: Project) -> list[tuple[object, ...]]:
    """The states that live runs go on from, without the fingerprint, which has the place of the logs in it."""
    columns = "model, revision, as_of, full_recounts, drift_cells, cells"
    return [tuple(row) for row in rows_of(project_, f"SELECT {columns} FROM evaljob_state ORDER BY model")]


def rows_of(project_: Project, query: str) -> list[sa.Row[tuple[object, ...]]]:
    """What its state database answers."""
    engine = sa.create_engine(config(project_).state.url.get_secret_value())
    with engine.connect() as connection:
        found = list(connection.execute(sa.text(query)))
    engine.dispose()
    return found


def _prediction(chance: random.Random, number: int, requests: int) -> Row:
    score = round(chance.random(), 3)
    moment = START + timedelta(days=DAYS) * (number + chance.random()) / requests
    said = {"prediction": None if chance.random() < 0.02 else int(score > 0.5), "score": score}
    place = {"country": chance.choice(["DE", "FR", "US"]), "model_version": f"v{1 + (number > requests // 2)}"}
    seconds = round(chance.expovariate(10), 3)
    when = moment.replace(tzinfo=None)
    return {"request_id": str(number), "predicted_at": when, "latency_seconds": seconds} | said | place


def _label(chance: random.Random, row: Row) -> Row:
    late = timedelta(hours=chance.expovariate(1 / 5))
    truth = int(chance.random() < row["score"])
    return {"request_id": row["request_id"], "label": truth, "labeled_at": row["predicted_at"] + late}
