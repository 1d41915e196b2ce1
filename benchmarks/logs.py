"""Logs of a deployed model whose labels arrive late: made as arrays from a seed, loaded in bulk into any engine.

Two versions, 20 countries, 3 kinds of devices, lags with a long tail; 10% of the requests stay unlabeled, 1% of the
labels are corrected later, 0.1% as many labels have no prediction. Every engine gets the same rows, in the order of
their timestamps, as a log is written.
"""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

if TYPE_CHECKING:
    import duckdb

SCHEMA = Path(__file__).parent.parent / "sql" / "schema.sql"
MODEL = "benchmark"
END = datetime(2026, 3, 31, tzinfo=UTC)
LEAD = timedelta(days=1)  # before the oldest window, so that as many rows leave it as enter it

UNLABELED, CORRECTED, ORPHANS = 0.1, 0.01, 0.001
COUNTRIES, DEVICES = 20, ("phone", "desktop", "tablet")
OTHER_VERSION = 0.3  # both serve side by side, in shares that shift once
MEDIAN_LAG, LAG_SPREAD = 2 * 3600.0, 1.6  # seconds, and of their logarithm: 1% take longer than 3.4 days
SECOND = 10**6

# Ids are scattered over their index, as the UUIDs of real logs are.
_SCATTER = np.uint64(11400714819323198485)  # odd, so that products modulo 2^64 are as many as their factors

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Size:
    """How many requests, spread evenly over `days` and a lead of one day before them; they end at END."""

    requests: int = 1_000_000
    days: int = 30
    seed: int = 1

    @property
    def name(self) -> str:
        """As the files are called."""
        return f"{self.requests}-{self.days}d"

    @property
    def span(self) -> timedelta:
        """From the first prediction to END."""
        return timedelta(days=self.days) + LEAD


def make(size: Size) -> tuple[Columns, Columns]:
    """Predictions and labels as numbers, sorted by time: what `_TEXT` turns into the columns of sql/schema.sql."""
    rng = np.random.default_rng(size.seed)
    n, end = size.requests, _microseconds(END)
    predicted_at = np.sort(rng.integers(end - size.span // timedelta(microseconds=1), end, n))
    score = rng.beta(0.6, 1.4, n)
    predictions: Columns = {
        "id": np.arange(n, dtype="uint64") * _SCATTER,
        "time": predicted_at,
        "version": (predicted_at > end - 10 * 86_400 * SECOND).astype("int8"),
        "score": score,
        "latency": rng.lognormal(-3.5, 0.6, n),
        "country": np.minimum(rng.zipf(1.5, n) - 1, COUNTRIES - 1).astype("int8"),
        "device": rng.choice(len(DEVICES), n, p=[0.6, 0.3, 0.1]).astype("int8"),
    }
    predictions["version"] ^= rng.random(n) < OTHER_VERSION
    return predictions, _labels(rng, predictions, end)


def _labels(rng: np.random.Generator, predictions: Columns, end: int) -> Columns:
    """The label of 90% of the requests, a later correction of 1% of those, and some of requests nobody predicted."""
    n = len(predictions["id"])
    labeled = np.flatnonzero(rng.random(n) >= UNLABELED)
    at = predictions["time"][labeled] + _lags(rng, len(labeled))
    truth = rng.random(len(labeled)) < predictions["score"][labeled]
    corrected = np.flatnonzero(rng.random(len(labeled)) < CORRECTED)
    orphans = int(n * ORPHANS)
    columns: Columns = {
        "id": np.concatenate([labeled, labeled[corrected], n + np.arange(orphans)]).astype("uint64") * _SCATTER,
        "time": np.concatenate(
            [at, at[corrected] + _lags(rng, len(corrected)), rng.integers(predictions["time"][0], end, orphans)]
        ),
        "label": np.concatenate([truth, ~truth[corrected], rng.random(orphans) < 0.5]).astype("int8"),
    }
    order = np.argsort(columns["time"], kind="stable")
    order = order[columns["time"][order] < end]
    return {name: values[order] for name, values in columns.items()}


def _lags(rng: np.random.Generator, n: int) -> npt.NDArray[np.int64]:
    return (rng.lognormal(np.log(MEDIAN_LAG), LAG_SPREAD, n) * SECOND).astype("int64")


_TEXT = {
    "predictions": f"""
        SELECT '{MODEL}' AS model, printf('%016x', id) AS request_id, make_timestamp(time) AS predicted_at,
               'v' || (version + 1) AS model_version,
               CASE WHEN score >= 0.5 THEN '1' ELSE '0' END AS prediction, score, latency AS latency_seconds,
               'C' || lpad(country::VARCHAR, 2, '0') AS country, {list(DEVICES)}[device + 1] AS device
        FROM made_predictions""",
    "labels": f"""
        SELECT '{MODEL}' AS model, printf('%016x', id) AS request_id, label::VARCHAR AS label,
               make_timestamp(time) AS labeled_at, NULL::DOUBLE AS revenue
        FROM made_labels""",
}  # fmt: skip


def _duckdb(path: Path, *, read_only: bool = False) -> "duckdb.DuckDBPyConnection":
    import duckdb  # noqa: PLC0415  (no part of the memory of what only reads another engine's logs)

    return duckdb.connect(str(path), read_only=read_only)


def to_duckdb(path: Path, size: Size) -> str:
    """A DuckDB file with the tables and indexes of sql/schema.sql. Returns its SQLAlchemy URL."""
    path.unlink(missing_ok=True)
    with _duckdb(path) as connection:
        for log, columns in zip(_TEXT, make(size), strict=True):
            connection.register(f"made_{log}", pd.DataFrame(columns))
        tables, indexes = _schema()
        connection.execute(tables)
        for log, select in _TEXT.items():
            connection.execute(f"INSERT INTO {log} {select}")
        del indexes  # an ART index costs memory and helps no scan: DuckDB's own zone maps do
        connection.execute("ANALYZE")
    return f"duckdb:///{path}"


def to_parquet(folder: Path, source: Path) -> str:
    """One Parquet file a log, from the DuckDB file at `source`. Returns the URL of a DuckDB without tables."""
    folder.mkdir(parents=True, exist_ok=True)
    with _duckdb(source, read_only=True) as connection:
        for log in _TEXT:
            connection.execute(f"COPY {log} TO '{folder / log}.parquet' (FORMAT parquet)")
    return "duckdb:///:memory:"


def to_sqlite(path: Path, source: Path) -> str:
    """An SQLite file with the tables and indexes of sql/schema.sql, from a DuckDB file. Returns its URL."""
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as database, _duckdb(source, read_only=True) as rows:
        database.execute("PRAGMA journal_mode = OFF")
        database.execute("PRAGMA synchronous = OFF")
        database.execute("PRAGMA cache_size = -1000000")
        tables, indexes = _schema()
        database.executescript(tables)
        for log, select in _AS_SQLITE.items():
            found = rows.execute(select)
            marks = ", ".join("?" for _ in found.description)
            while batch := found.fetchmany(100_000):
                database.executemany(f"INSERT INTO {log} VALUES ({marks})", batch)
        database.executescript(indexes)
        database.execute("ANALYZE")
        database.commit()
        database.execute("PRAGMA journal_mode = WAL")
    return f"sqlite:///{path}"


_AS_SQLITE = {
    log: f"SELECT * REPLACE (strftime({stamp}, '%Y-%m-%d %H:%M:%S.%f') AS {stamp}) FROM {log}"
    for log, stamp in (("predictions", "predicted_at"), ("labels", "labeled_at"))
}


def to_postgres(url: str, source: Path) -> str:
    """The tables and indexes of sql/schema.sql in a PostgreSQL, from the DuckDB file at `source`. Returns the URL."""
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    tables, indexes = _schema()
    with engine.connect() as connection:
        connection.exec_driver_sql(tables)
        for log in _TEXT:
            _copy(connection, log, source)
        connection.exec_driver_sql(indexes)
        connection.exec_driver_sql("VACUUM ANALYZE")
    engine.dispose()
    return url


def _copy(connection: sa.Connection, log: str, source: Path) -> None:
    text = source.with_name(f"{source.stem}-{log}.csv")
    with _duckdb(source, read_only=True) as rows:
        rows.execute(f"COPY {log} TO '{text}' (FORMAT csv, HEADER false)")
    driver: Any = connection.connection.driver_connection
    with text.open("rb") as file, driver.cursor().copy(f"COPY {log} FROM STDIN (FORMAT csv)") as copy:
        for block in iter(lambda: file.read(1 << 20), b""):
            copy.write(block)
    text.unlink()


def _schema() -> tuple[str, str]:
    """The statements of sql/schema.sql: tables, and indexes, which are quicker built over rows that are there."""
    statements = [statement.strip() for statement in SCHEMA.read_text().split(";") if statement.strip()]
    indexes = [statement for statement in statements if "CREATE INDEX" in statement]
    tables = [statement for statement in statements if statement not in indexes]
    return ";\n".join(tables), ";\n".join(indexes)


def _microseconds(t: datetime) -> int:
    return (t - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
