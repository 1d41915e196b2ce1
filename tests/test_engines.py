"""One fixture through every engine: what `evaljob run --output json` prints is the same, byte for byte."""

import hashlib
import random
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from sqlalchemy.dialects import mysql

from evaljob.cli import cli
from evaljob.database import connect
from evaljob.schema import opened
from evaljob.source import Log
from evaljob.state import Store
from tests.logs import Row, Types, at, create, utc

AWKWARD_IDS = [
    "A", "a", "a ", " a", "", " ", "é", "e", "e\u0301", "É", "ß", "ss", "🙂", "🙃", "o'clock", '"quoted"',
    "back\\slash", "per%cent", "under_score", "semi;colon", ":colon", "tab\t", "\u0130", "i", "I", "\u0131",
    "01", "1", "1e0", "NULL",
]  # fmt: skip
EDGES = [
    0.0, 1e-9, 5e-10, 1e-7, 9.99999e-7, 1e-6, 1.2589e-6, 1.259e-6, 0.00999999, 0.01, 0.0100001, 0.28999999999, 0.29,
    0.3, 0.499999999, 0.5, 0.57, 0.58, 0.7, 0.989999999, 0.99, 0.991, 0.999999, 0.9999999, 0.9999999995, 1.0,
    1.5, -0.25,
]  # fmt: skip
SLICES = ["NP", "np", "NP ", "é", "e", "a,b", "a\\,b", "🙂", None]
VERSIONS = ["v1", "V1", "v2", None]
AS_OF = [utc(at(clock, day=3)) for clock in ("06:00:00.000001", "11:30", "12:00")]
BINARY = """
  - model: binary
    task: binary
    positive_label: 1
    predictions: binary_predictions.sql
    labels: {sql: binary_labels.sql, max_lag: 36h}
    windows:
      - 1h
      - 24h
      - 7d
      - {name: mature, length: 30h, on: predicted_at, maturity: 6h}
    slices: [country, [country, device]]
    labels_default: {label: 0, after: 20h}
    costs: {outcomes: {tp: -1.5, fp: 4.0, fn: 120.0, tn: 0.0}}
    values: [revenue]
    min_support: 2
    max_slice_values: 4
"""
OTHERS = """
  - model: multiclass
    task: multiclass
    predictions: multiclass_predictions.sql
    labels: multiclass_labels.sql
    windows: [1h, {name: mature, length: 2d, on: predicted_at, maturity: 6h}]
    slices: [country]
    calibration: {bins: 7, strategy: quantile}
    min_support: 2
  - model: regression
    task: regression
    predictions: regression_predictions.sql
    labels: regression_labels.sql
    windows: [1h, {name: mature, length: 2d, on: predicted_at, maturity: 6h}]
    slices: [[device]]
    min_support: 2
"""
EVALUATIONS = BINARY + OTHERS
CLASSES: Mapping[str, list[Any]] = {
    "binary": [0, 1], "multiclass": ["cat", "Cat", "cat ", "é", "e"], "regression": [-1.5, 0.1, 1e6 / 3, 2.0, 1e-7],
}  # fmt: skip
TASKS = tuple(CLASSES)
LOGS: tuple[Log, ...] = ("predictions", "labels")
STAMPS: Mapping[Log, str] = {"predictions": "predicted_at", "labels": "labeled_at"}


def fixture(task: str, plain: int = 100) -> dict[Log, list[Row]]:
    """Some requests of two and a half days with everything that can befall them, the same at every call."""
    chance = random.Random(task)  # noqa: S311
    ids = [*AWKWARD_IDS, *(f"request {i}" for i in range(plain))]
    predictions = [_prediction(chance, task, name, i) for i, name in enumerate(ids)]
    labels = [_label(chance, task, row) for row in predictions if chance.random() < 0.8]
    orphans = [_label(chance, task, row | {"request_id": f"orphan {i}"}) for i, row in enumerate(predictions[:9])]
    corrected = [_label(chance, task, row) for row in chance.sample(predictions, 25)]
    retracted = [_label(chance, task, row) | {"label": None} for row in chance.sample(predictions, 9)]
    tied = [row | {"label": chance.choice(CLASSES[task]), "revenue": 7.25} for row in chance.sample(labels, 15)]
    nameless = [row | {"request_id": None} for row in labels[:3]]
    retried = [
        row | {"predicted_at": row["predicted_at"] + timedelta(seconds=chance.choice([-1, 0, 1])),
               "prediction": chance.choice(CLASSES[task]), "score": 0.123456789}
        for row in chance.sample(predictions, 25)
    ]  # fmt: skip
    unnamed = [row | {"request_id": None} for row in predictions[:5]]
    return {
        "predictions": [*predictions, *retried, *unnamed],
        "labels": [*labels, *orphans, *corrected, *retracted, *tied, *nameless],
    }


def _prediction(chance: random.Random, task: str, name: str, i: int) -> Row:
    served = at("00:00") + timedelta(microseconds=chance.randrange(60 * 3600 * 10**6))
    return {
        "request_id": name,
        "predicted_at": chance.choice([served, served.replace(microsecond=0), served.replace(minute=0, second=0)]),
        "model_version": chance.choice(VERSIONS),
        "prediction": None if i % 19 == 7 else chance.choice(CLASSES[task]),
        "score": EDGES[i] if i < len(EDGES) else chance.choice([None, chance.random(), chance.random() ** 9]),
        "latency_seconds": chance.choice([None, 0.0, 0.0125, chance.random(), 3e9, -1.0]),
        "country": chance.choice(SLICES),
        "device": chance.choice(["phone", "Phone", "tv"]),
    }


def _label(chance: random.Random, task: str, row: Row) -> Row:
    lag = timedelta(seconds=chance.choice([-30, 0, 1, 600]) + chance.random() ** 4 * 48 * 3600)
    return {
        "request_id": row["request_id"],
        "label": chance.choice([row["prediction"], *CLASSES[task]]),
        "labeled_at": row["predicted_at"] + lag,
        "revenue": chance.choice([None, 0.1, 10.25, -3.333333, 1e11, 1e13]),
    }


@dataclass
class Engine:
    """An engine that logs are written to, and how its SELECTs and its column types are spelled."""

    url: str
    folder: Path
    select: str = "SELECT * FROM {table}"
    types: dict[str, Types] = field(default_factory=dict)
    write_url: str | None = None

    def write(self, logs: Mapping[str, Mapping[Log, list[Row]]]) -> None:
        """The logs of every task, each in a table of its own, in an order that nothing may rely on."""
        engine = connect(self.write_url or self.url, read_only=False)
        for task in logs:
            for log in LOGS:
                table = f"{task}_{log}"
                rows = random.Random(self.url).sample(logs[task][log], len(logs[task][log]))  # noqa: S311
                create(engine, log, rows, self.types.get(log), table)
                (self.folder / f"{table}.sql").write_text(self.select.format(table=table, folder=self.folder))
        if "read_parquet" in self.select:
            _to_parquet(engine, self.folder)
        engine.dispose()

    def config(self, evaluations: str) -> Path:
        """The file that configures `evaluations` over these logs, with a state of its own."""
        path = self.folder / "config.yaml"
        databases = f'database: {{url: "{self.url}"}}\nstate: {{url: "sqlite:///state.db"}}\n'
        path.write_text(f"{databases}evaluations:{evaluations}", encoding="utf-8")
        return path


def _to_parquet(engine: sa.Engine, folder: Path) -> None:
    with engine.connect() as connection:
        for name in sa.inspect(connection).get_table_names():
            connection.execute(sa.text(f"COPY {name} TO '{folder}/{name}.parquet' (FORMAT parquet)"))


@pytest.fixture
def sqlite(tmp_path: Path) -> Engine:
    """SQLite, in a file."""
    return Engine(f"sqlite:///{tmp_path}/logs.db", _made(tmp_path / "sqlite"))


@pytest.fixture
def duckdb(tmp_path: Path) -> Engine:
    """DuckDB, in a file."""
    return Engine(f"duckdb:///{tmp_path}/logs.duckdb", _made(tmp_path / "duckdb"))


@pytest.fixture
def parquet(tmp_path: Path) -> Engine:
    """Parquet files that DuckDB reads, from a database in memory."""
    select = "SELECT * FROM read_parquet('{folder}/{table}.parquet')"
    write_url = f"duckdb:///{tmp_path}/written.duckdb"
    return Engine("duckdb:///:memory:", _made(tmp_path / "parquet"), select, write_url=write_url)


@pytest.fixture
def postgres(tmp_path: Path, postgres_database: str) -> Engine:
    """PostgreSQL."""
    return Engine(postgres_database, _made(tmp_path / "postgres"))


@pytest.fixture
def mariadb(tmp_path: Path, mariadb_database: str) -> Engine:
    """MariaDB, whose usual collation folds case, accents and trailing spaces."""
    return Engine(mariadb_database, _made(tmp_path / "mariadb"))


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    """The engine that a test is parametrized with."""
    found: Engine = request.getfixturevalue(request.param)
    return found


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


@pytest.fixture(scope="module")
def measure(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What SQLite gives at each instant by full counts: the measure for everything else."""
    folder = tmp_path_factory.mktemp("measure")
    sqlite = Engine(f"sqlite:///{folder}/logs.db", folder)
    sqlite.write({task: fixture(task) for task in TASKS})
    config = sqlite.config(EVALUATIONS)
    return [printed(config, as_of, "--full") for as_of in AS_OF]


def printed(config: Path, as_of: datetime, *options: str) -> str:
    """What `evaljob run` prints as JSON."""
    command = ["run", "--config", str(config), "--as-of", as_of.isoformat(), "--no-push", "--output", "json", *options]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def agree(found: str, expected: str) -> None:
    """The same bytes; where not, the first line that differs is told."""
    differing = [pair for pair in zip(found.split("\n"), expected.split("\n"), strict=False) if pair[0] != pair[1]]
    assert not differing[:1]
    assert found == expected


ENGINES = ["sqlite", "postgres", "mariadb", "duckdb"]


@pytest.mark.parametrize("engine", [*ENGINES, "parquet"], indirect=True)
def test_engines_agree_by_full_counts_and_by_steps(engine: Engine, measure: list[str]) -> None:
    """Three runs one after the other, a full count and two steps, print what full counts on SQLite print."""
    engine.write({task: fixture(task) for task in TASKS})
    config = engine.config(EVALUATIONS)
    for as_of, expected in zip(AS_OF, measure, strict=True):
        agree(printed(config, as_of), expected)
    states = Store(opened(connect(f"sqlite:///{engine.folder}/state.db", read_only=False)))
    assert [state.full_recounts for task in TASKS if (state := states.load(task)) is not None] == [1, 1, 1]
    states.engine.dispose()


AWARE: dict[str, sa.types.TypeEngine[Any]] = {
    "postgres": sa.DateTime(timezone=True), "duckdb": sa.DateTime(timezone=True), "mariadb": mysql.TIMESTAMP(fsp=6),
}  # fmt: skip


@pytest.mark.parametrize(
    ("engine", "aware"),
    [
        ("postgres", ("predictions",)),
        ("postgres", LOGS),
        ("duckdb", ("predictions",)),
        ("duckdb", LOGS),
        ("mariadb", ("predictions",)),
        ("mariadb", LOGS),
    ],
    indirect=["engine"],
)
def test_aware_timestamps_are_the_same_instants(engine: Engine, aware: Sequence[Log], measure: list[str]) -> None:
    """Columns with a time zone, also in one log alone, give what naive ones in UTC give."""
    logs = fixture("binary")
    for log in aware:
        engine.types[log] = {STAMPS[log]: AWARE[engine.folder.name]}
        if engine.folder.name != "mariadb":  # its driver drops the offset, and the session's time zone tells
            logs[log] = [_aware(row) for row in logs[log]]
    engine.write({"binary": logs})
    found = printed(engine.config(BINARY), AS_OF[-1])
    agree(found.removesuffix("\n]\n"), measure[-1][: len(found) - 3])


@pytest.mark.parametrize(
    ("engine", "cast"),
    [
        ("postgres", "CAST(predicted_at AS timestamp)"),
        ("duckdb", "CAST(predicted_at AS timestamp)"),
        ("mariadb", "CAST(predicted_at AS datetime(6))"),
    ],
    indirect=["engine"],
)
def test_casts_in_the_users_sql_speak_utc(engine: Engine, cast: str, measure: list[str]) -> None:
    """An aware timestamp that the user's SELECT casts to a naive one becomes UTC, wherever the machine stands."""
    logs = fixture("binary")
    engine.types["predictions"] = {"predicted_at": AWARE[engine.folder.name]}
    if engine.folder.name != "mariadb":
        logs["predictions"] = [_aware(row) for row in logs["predictions"]]
    engine.write({"binary": logs})
    columns = [name for name in logs["predictions"][0] if name != "predicted_at"]
    select = f"SELECT {', '.join(columns)}, {cast} AS predicted_at FROM binary_predictions"
    (engine.folder / "binary_predictions.sql").write_text(select)
    found = printed(engine.config(BINARY), AS_OF[-1])
    agree(found.removesuffix("\n]\n"), measure[-1][: len(found) - 3])


def _aware(row: Row) -> Row:
    """The timestamps of a row told in another time zone, in which they are another hour of maybe another day."""
    zone = timezone(timedelta(hours=-9, minutes=-30))
    return {name: utc(value).astimezone(zone) if isinstance(value, datetime) else value for name, value in row.items()}


IDS: dict[str, Callable[[str], Any]] = {
    "integers": lambda name: zlib.crc32(name.encode()) - 2**31,
    "bytes": lambda name: bytes(0x80 | byte for byte in hashlib.md5(name.encode(), usedforsecurity=False).digest()),
}


@pytest.mark.parametrize("kind", IDS)
def test_ids_of_other_types_join_alike(
    kind: str, sqlite: Engine, postgres: Engine, mariadb: Engine, duckdb: Engine
) -> None:
    """Integers and raw bytes (UUIDs, say, which are no valid text) as ids, on four engines."""
    logs = {
        log: [row if row["request_id"] is None else row | {"request_id": IDS[kind](row["request_id"])} for row in rows]
        for log, rows in fixture("binary", plain=10).items()
    }
    found = []
    for engine in (sqlite, postgres, mariadb, duckdb):
        engine.write({"binary": logs})
        found.append([printed(engine.config(BINARY), as_of) for as_of in AS_OF[1:]])
    for others in found[1:]:
        agree(others[0], found[0][0])
        agree(others[1], found[0][1])
