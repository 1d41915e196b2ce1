"""A long run: thousands of steps of mixed sizes, each from the stored state, held against full counts.

`python -m benchmarks.long_run --steps 2000` tells what it did, and fails when a single cell ever drifted. Of two models
over the same logs, one knows rows by their own timestamps, the other by when they were shipped; it has default labels
and a bound on the lag besides.
"""

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import sqlalchemy as sa

from evaljob import job
from evaljob.advance import Advanced, advance
from evaljob.config import Config, load
from evaljob.join import Plan
from evaljob.opening import logs, plan_of
from evaljob.state import store

START = datetime(2024, 1, 1, tzinfo=UTC)
LEAD = timedelta(days=31)  # of logs before the first instant: windows are full from then on
MODELS = ("own_time", "shipped")
CONFIG = """\
database: {url: "sqlite:///logs.db"}
state: {url: "sqlite:///state.db"}
evaluations:
"""
EVALUATION = """\
  - model: MODEL
    task: binary
    positive_label: 1
    predictions: MODEL_predictions.sql
    labels: MODEL_labels.sql
    windows: [1h, 24h, 7d, {name: 30d_mature, length: 30d, on: predicted_at, maturity: 24h}]
    slices: [country, [country, device]]
    values: [revenue]
"""
MAX_LAG = ("shipped_labels.sql", "{sql: shipped_labels.sql, max_lag: 5d}")
DEFAULT = """\
    labels_default: {label: 0, after: 36h}
"""
PREDICTED = "request_id, predicted_at, model_version, prediction, score, latency_seconds, country, device"
LABELED = "request_id, label, labeled_at, revenue"
SQL = {
    "own_time_predictions": f"SELECT {PREDICTED} FROM predictions",
    "own_time_labels": f"SELECT {LABELED} FROM labels",
    "shipped_predictions": "SELECT * FROM predictions",
    "shipped_labels": "SELECT * FROM labels",
}
TABLES = f"""
CREATE TABLE predictions ({PREDICTED}, ingested_at);
CREATE TABLE labels ({LABELED}, ingested_at);
"""
INDEXES = {
    "predictions": ("predicted_at", "ingested_at", "request_id"),
    "labels": ("labeled_at", "ingested_at", "request_id"),
}


@dataclass
class Record:
    """What became of the steps of one model."""

    model: str
    seconds: list[float] = field(default_factory=list)
    recounted: int = 0
    compared: int = 0
    drift: int = 0
    cells: int = 0


def instants(chance: Random, steps: int) -> list[datetime]:
    """The first instant and those after so many steps: from a second to half a day, a few of no time or of days."""
    sizes = [timedelta(seconds=round(10 ** chance.uniform(0, 4.63), 6)) for _ in range(steps)]
    for i in range(0, steps, 100):
        sizes[i] = timedelta(days=4 - i // 100 % 3)
        sizes[i - 1] = timedelta(microseconds=1)
        sizes[i - 2] = timedelta(0)
    found = [START + LEAD]
    for size in sizes:
        found.append(found[-1] + size)
    return found


def write(folder: Path, chance: Random, requests: int, end: datetime) -> int:
    """A project whose logs reach from START to `end`. Returns how many rows they have."""
    for name, text in SQL.items():
        (folder / f"{name}.sql").write_text(text)
    (folder / "config.yaml").write_text(
        CONFIG + _evaluation(MODELS[0]) + _evaluation(MODELS[1]).replace(*MAX_LAG) + DEFAULT
    )
    predictions = [row for number in range(requests) for row in _served(chance, number, end - START)]
    labels = [row for served in predictions for row in _labeled(chance, served)]
    with closing(sqlite3.connect(folder / "logs.db")) as connection, connection:
        connection.executescript(TABLES)
        for log, rows in (("predictions", predictions), ("labels", labels)):
            places = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT INTO {log} VALUES ({places})", [list(map(_text, row)) for row in rows])
            for column in INDEXES[log]:
                connection.execute(f"CREATE INDEX {log}_{column} ON {log} ({column})")
    return len(predictions) + len(labels)


def run(folder: Path, model: str, of: list[datetime], every: int) -> Record:
    """Go through the instants with a model, and compare with a full count at every so many and at the last one."""
    config, record = load(folder / "config.yaml", {}), Record(model)
    for i, as_of in enumerate(of):
        start = time.perf_counter()
        advanced = _advance(config, model, as_of)
        record.seconds.append(time.perf_counter() - start)
        record.recounted += advanced.recounted is not None
        if i % every == 0 or i == len(of) - 1:
            record.compared += 1
            record.drift += _full(config, model, as_of).state.cells.drift(advanced.state.cells)
        record.cells = len(advanced.state.cells.frame)
    return record


def _evaluation(model: str) -> str:
    return EVALUATION.replace("MODEL", model)


def _advance(config: Config, model: str, as_of: datetime) -> Advanced:
    """What a run does to the state of a model: everything is opened, loaded and stored again each time."""
    with logs(config) as engine, engine.connect() as connection, store(config) as states:
        plan = _plan(config, model, connection)
        advanced = advance(connection, plan, states.load(model), as_of, job.digest_of(config, plan))
        if advanced.kept:
            with states.engine.begin() as transaction:
                states.replace(transaction, model, advanced.state)
        return advanced


def _full(config: Config, model: str, as_of: datetime) -> Advanced:
    with logs(config) as engine, engine.connect() as connection:
        return advance(connection, _plan(config, model, connection), None, as_of, "")


def _plan(config: Config, model: str, connection: sa.Connection) -> Plan:
    return plan_of(connection, next(found for found in config.evaluations if found.model == model))


def _served(chance: Random, number: int, span: timedelta) -> Iterator[list[Any]]:
    """A request's prediction, now and then with retries, or failed."""
    score, moment = round(chance.random(), 3), START + span * chance.random()
    said = None if chance.random() < 0.02 else int(score > 0.5)
    for _ in range(1 + (chance.random() < 0.03)):
        place = [chance.choice(["DE", "FR", "NP", None]), chance.choice(["phone", "desktop"])]
        version, latency = f"v{chance.randint(1, 2)}", round(chance.expovariate(10), 3)
        yield [f"r{number}", moment, version, said, score, latency, *place, _shipped(chance, moment)]
        moment += timedelta(seconds=chance.expovariate(1 / 5000))


def _labeled(chance: Random, served: list[Any]) -> Iterator[list[Any]]:
    """A prediction's labels: none, one, corrected, taken back, too late, before it, or of another request."""
    request_id, moment, score = served[0], served[1], served[4]
    for _ in range(chance.choice([0, 1, 1, 1, 1, 1, 1, 1, 2, 3])):
        moment += timedelta(seconds=chance.lognormvariate(9, 2) - 100)
        truth = None if chance.random() < 0.02 else int(chance.random() < score)
        name = f"nobody-{request_id}" if chance.random() < 0.01 else request_id
        yield [name, truth, moment, round(chance.uniform(-5, 50), 2), _shipped(chance, moment)]


def _shipped(chance: Random, moment: datetime) -> datetime:
    """Visible within minutes, or after days."""
    return moment + timedelta(seconds=chance.lognormvariate(5, 1) if chance.random() < 0.95 else chance.uniform(0, 4e5))


def _text(value: Any) -> Any:
    return value.strftime("%Y-%m-%d %H:%M:%S.%f") if isinstance(value, datetime) else value


def _line(record: Record) -> str:
    counts = f"{record.recounted} recounted, {record.compared} compared with full counts, {record.cells} cells"
    times = f"a step takes {statistics.median(record.seconds):.3f} s, all {sum(record.seconds):.0f} s"
    return f"{record.model:8}  {counts}, {record.drift} drifted; {times}"


def main() -> int:
    """The long run that the arguments ask for. Returns 1 when cells drifted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("steps", 2000), ("requests", 5000), ("every", 20), ("seed", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    chance = Random(given.seed)  # noqa: S311  (nothing secret)
    of = instants(chance, given.steps)
    drift = 0
    with tempfile.TemporaryDirectory() as made:
        rows = write(Path(made), chance, given.requests, of[-1])
        print(f"{given.steps} steps over {(of[-1] - of[0]).days} days of {given.requests} requests in {rows} rows")
        for model in MODELS:
            record = run(Path(made), model, of, given.every)
            drift += record.drift
            print(_line(record), flush=True)
    return int(drift > 0)


if __name__ == "__main__":
    sys.exit(main())
