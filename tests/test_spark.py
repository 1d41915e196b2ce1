"""Spark SQL over Parquet that is partitioned by day, through its Thrift server: the whole main path."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from evaljob import join
from evaljob.config import Partition
from evaljob.database import connect
from evaljob.source import Log
from evaljob.state import Store
from tests.logs import Row, create, evaluation, full, plan, window
from tests.projects import evaljob
from tests.test_engines import AS_OF, EVALUATIONS, LOGS, STAMPS, TASKS, agree, fixture, printed

DAILY = (
    EVALUATIONS.replace(": binary_predictions.sql", ": {sql: binary_predictions.sql, partition: day}")
    .replace("max_lag: 36h}", "max_lag: 36h, partition: day}")
)  # fmt: skip
READ = {
    "spark": "SELECT * FROM parquet.`{folder}/{table}`",
    "duckdb": "SELECT * FROM read_parquet('{folder}/{table}/*/*.parquet', hive_partitioning=true)",
}


def write(folder: Path, logs: Mapping[Log, Sequence[Row]], task: str = "binary", aware: Sequence[Log] = ()) -> None:
    """The logs as Parquet, partitioned by the day of their timestamp; those of `aware` as instants in a time zone."""
    engine = connect(f"duckdb:///{folder}/{task}.duckdb", read_only=False)
    for log in LOGS:
        stamp = STAMPS[log]
        create(engine, log, logs[log], name=f"{task}_{log}")
        kept = f"timezone('UTC', {stamp})" if log in aware else stamp
        columns = f"* REPLACE ({kept} AS {stamp}), CAST({stamp} AS DATE) AS day"
        written = f"TO '{folder}/{task}_{log}' (FORMAT parquet, PARTITION_BY (day))"
        with engine.connect() as connection:
            connection.execute(sa.text(f"COPY (SELECT {columns} FROM {task}_{log}) {written}"))
    engine.dispose()


def config(folder: Path, url: str, evaluations: str, engine: str) -> Path:
    """A configuration of `evaluations` for an engine over the files in `folder`, with a state of its own."""
    own = folder / engine
    own.mkdir()
    for table in [f"{task}_{log}" for task in TASKS for log in LOGS]:
        (own / f"{table}.sql").write_text(READ[engine].format(folder=folder, table=table))
    databases = f'database: {{url: "{url}"}}\nstate: {{url: "sqlite:///state.db"}}\n'
    (own / "config.yaml").write_text(f"{databases}evaluations:{evaluations}", encoding="utf-8")
    return own / "config.yaml"


@contextmanager
def connected(url: str, *, read_only: bool = True) -> Iterator[sa.Connection]:
    """A connection as evaljob makes it."""
    engine = connect(url, read_only=read_only)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_spark_prints_what_duckdb_prints_over_the_same_files(spark_url: str, tmp_path: Path) -> None:
    """Checked, counted in full and stepped twice on Spark: full counts on DuckDB, with no partitions named, agree."""
    for task in TASKS:
        write(tmp_path, fixture(task), task)
    on_duckdb = config(tmp_path, "duckdb:///:memory:", EVALUATIONS, "duckdb")
    on_spark = config(tmp_path, spark_url, DAILY, "spark")
    checked = evaljob("check", "--config", on_spark)
    assert checked.code == 0, checked.out
    for as_of in AS_OF:
        agree(printed(on_spark, as_of), printed(on_duckdb, as_of, "--full"))
    states = Store(connect(f"sqlite:///{on_spark.parent}/state.db", read_only=False))
    assert [state.full_recounts for task in TASKS if (state := states.load(task)) is not None] == [1, 1, 1]
    states.engine.dispose()


@pytest.mark.parametrize("aware", [("predictions",), LOGS])
def test_timestamps_with_a_time_zone_are_the_same_instants(
    spark_url: str, tmp_path: Path, aware: Sequence[Log]
) -> None:
    """Spark's TIMESTAMP (an instant) and TIMESTAMP_NTZ (naive) in one log, in the other, in both: the same cells."""
    rows = fixture("binary", plain=20)
    cells = []
    for name, zoned in (("naive", ()), ("aware", aware)):
        folder = tmp_path / name
        folder.mkdir()
        write(folder, rows, aware=zoned)
        with connected(spark_url) as connection:
            kinds = [
                connection.scalar(sa.text(f"SELECT typeof({STAMPS[log]}) FROM ({select(folder, log)}) LIMIT 1"))
                for log in LOGS
            ]
            assert kinds == ["timestamp" if log in zoned else "timestamp_ntz" for log in LOGS]
            cells.append(full(connection, planned(connection, folder), AS_OF[1]))
    assert cells[0].identical(cells[1])


def select(folder: Path, log: Log) -> str:
    """The user's SELECT over the Parquet of a log."""
    return READ["spark"].format(folder=folder, table=f"binary_{log}")


def planned(connection: sa.Connection, folder: Path, **keys: Any) -> join.Plan:
    """A plan over the Parquet files in a folder."""
    sliced = {"windows": (window("24h"), window("30h", "predicted_at", "6h")), "slices": (("country",),)}
    return plan(connection, evaluation(folder, *[select(folder, log) for log in LOGS], **(sliced | keys)))


PARTITIONED = {
    "predictions_partition": Partition(column="day"),
    "labels_partition": Partition(column="day"),
    "max_lag": timedelta(hours=36),
}


def test_partitions_that_no_window_reaches_are_not_read(spark_url: str, tmp_path: Path) -> None:
    """The plan filters partitions in every scan; and garbage in the others, which would fail a scan, does no harm."""
    write(tmp_path, fixture("binary", plain=20))
    before, after = AS_OF[1] + timedelta(days=6), AS_OF[2] + timedelta(days=6)
    with connected(spark_url) as connection:
        bounded = planned(connection, tmp_path, **PARTITIONED)
        scans = [
            partition_filters(connection, statement)
            for statement in (join.full(bounded, after), join.step(bounded, before, after))
        ]
        # The window of 30 hours, 6 hours of maturity and 36 of lag reach back three days from May 9th, and a day more.
        assert {re.sub(r"#\d+", "", scan) for scan in scans[0]} == {"x"}


def partition_filters(connection: sa.Connection, statement: sa.Select[Any]) -> list[str]:
    """What each scan of a statement's plan asks of the partitions."""
    text = str(statement.compile(connection, compile_kwargs={"literal_binds": True})) % ()
    explained = str(connection.scalar(sa.text("EXPLAIN FORMATTED " + text.replace(":", r"\:"))))
    return [part.partition("\n")[0] for part in explained.split("PartitionFilters: ")[1:]]
