"""Spark SQL over Parquet that is partitioned by day, through its Thrift server: the whole main path."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from evaljob import job, join
from evaljob.config import Partition, load
from evaljob.database import connect
from evaljob.failures import passes
from evaljob.opening import plan_of
from evaljob.schema import opened
from evaljob.source import Log
from evaljob.state import Store
from tests.logs import Row, create, evaluation, full, plan, stepped, window
from tests.projects import evaljob
from tests.servers import free_port
from tests.test_engines import AS_OF, EVALUATIONS, LOGS, STAMPS, TASKS, agree, fixture, printed

DAILY = EVALUATIONS.replace(
    "labels: {sql: binary_labels.sql, max_lag: 36h}", "labels: {sql: binary_labels.sql, max_lag: 36h, partition: day}"
)
DAILY = DAILY.replace(": binary_predictions.sql", ": {sql: binary_predictions.sql, partition: day}")
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


@pytest.mark.parametrize("task", TASKS)
def test_spark_prints_what_duckdb_prints_over_the_same_files(spark_url: str, tmp_path: Path, task: str) -> None:
    """Checked, counted in full and stepped on Spark: full counts on DuckDB, which knows of no partitions, agree."""
    write(tmp_path, fixture(task), task)
    on_duckdb = config(tmp_path, "duckdb:///:memory:", only(task, EVALUATIONS), "duckdb")
    on_spark = config(tmp_path, spark_url, only(task, DAILY), "spark")
    checked = evaljob("check", "--config", on_spark)
    assert checked.code == 0, checked.out
    for as_of in AS_OF[1:]:
        agree(printed(on_spark, as_of), printed(on_duckdb, as_of, "--full"))
    states = Store(opened(connect(f"sqlite:///{on_spark.parent}/state.db", read_only=False)))
    state = states.load(task)
    assert state is not None
    assert state.full_recounts == 1
    states.engine.dispose()


def only(task: str, evaluations: str) -> str:
    """The part of a configuration that is about one task."""
    return next(part for part in evaluations.split("\n  - ") if f"task: {task}" in part).join(("\n  - ", "\n"))


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


PARTITIONED = {"predictions_partition": Partition(column="day"), "labels_partition": Partition(column="day")}
LATER = timedelta(days=10)


def test_partitions_that_no_window_reaches_are_not_read(spark_url: str, tmp_path: Path) -> None:
    """Garbage in them, of which any scan would fail, does no harm to the full count nor to the step: the same cells.

    The windows reach back to 36 hours before as_of, and labels are at most a day late: from May 10th 23:30 on, the
    step's half an hour before it.
    """
    write(tmp_path, {log: [*rows, *map(later, rows)] for log, rows in fixture("binary", plain=20).items()})
    before, after = AS_OF[1] + LATER, AS_OF[2] + LATER
    keys = {"max_lag": timedelta(days=1)}
    with connected(spark_url) as connection:
        anywhere = planned(connection, tmp_path, **keys)
        counted = [full(connection, anywhere, as_of) for as_of in (before, after)]
        for spoiled in tmp_path.glob("*/day=2024-05-0[2-9]/*.parquet"):
            spoiled.write_bytes(b"garbage")
        with pytest.raises(sa.exc.OperationalError, match="not a Parquet file"):
            full(connection, anywhere, after)
        bounded = planned(connection, tmp_path, **keys, **PARTITIONED)
        assert full(connection, bounded, before).identical(counted[0])
        assert stepped(connection, bounded, counted[0], before, after).identical(counted[1])
        assert job.unplaceable(connection, bounded, after) == dict.fromkeys(
            ("prediction_predicted_at_null", "label_labeled_at_null"), 0
        )


def later(row: Row) -> Row:
    """Another request of ten days later."""
    moved = {name: value + LATER if isinstance(value, datetime) else value for name, value in row.items()}
    return moved | {"request_id": row["request_id"] and f"later {row['request_id']}"}


def test_the_plan_shows_which_partitions_are_read(spark_url: str, tmp_path: Path) -> None:
    """A window of 30 days and a day of lag, at noon of May 3rd: a full count reads 31 days and one at either end.

    A step finds the requests that anything happened to where rows come in and where they leave: the window, or
    the reach of its labels.
    """
    write(tmp_path, fixture("binary", plain=20))
    with connected(spark_url) as connection:
        bounded = planned(connection, tmp_path, **PARTITIONED, max_lag=timedelta(days=1), windows=(window("30d"),))
        everything = "(day >= 2024-04-01), (day <= 2024-05-04)"
        assert partitions_read(connection, join.full(bounded, AS_OF[2])) == {everything}
        found = partitions_read(connection, join.step(bounded, AS_OF[1], AS_OF[2]))
        some = "(((day >= 2024-04-01) AND (day <= 2024-04-04)) OR ((day >= 2024-05-02) AND (day <= 2024-05-04)))"
        assert found == {everything, *(", ".join(parts) for parts in ((some, everything), (everything, some)))}


def partitions_read(connection: sa.Connection, statement: sa.Select[Any]) -> set[str]:
    """What the scans of a statement's plan ask of the partitions."""
    explained = connection.exec_driver_sql(f"EXPLAIN FORMATTED {literal(connection, statement)}").scalar_one()
    filters = re.findall(r"PartitionFilters: \[(.*)\]", explained)
    assert len(filters) == explained.count("Scan parquet") // 2, "a scan, drawn and described, reads every partition"
    return {re.sub(r"#\d+", "", found).removeprefix("isnotnull(day), ") for found in filters}


def literal(connection: sa.Connection, statement: sa.Select[Any]) -> str:
    """A statement with its values, as a driver takes it."""
    return str(statement.compile(connection, compile_kwargs={"literal_binds": True}))


def test_what_evaljob_sql_prints_gives_the_same_rows(spark_url: str, tmp_path: Path) -> None:
    """Percent signs, colons and backslashes in the user's SELECT, quotes and backslashes in a class, and a backtick."""
    write(tmp_path, fixture("multiclass", plain=20), "multiclass")
    path = config(tmp_path, spark_url, QUOTED, "spark")
    where = r"SELECT *, country AS `a``b` FROM ({}) WHERE request_id NOT LIKE '%:\\%' AND 7 % 2 = 1"
    for log in LOGS:
        sql = READ["spark"].format(folder=tmp_path, table=f"multiclass_{log}")
        (path.parent / f"multiclass_{log}.sql").write_text(
            where.replace("country", "device" if log == "predictions" else "revenue").format(sql)
        )
    printed_ = evaljob("sql", "--config", path, "--as-of", AS_OF[1].isoformat())
    texts = re.findall(r"^-- .*\n([^;]*(?:;(?!\n)[^;]*)*);$", printed_.out, re.MULTILINE)
    with connected(spark_url) as connection:
        planned_ = plan_of(connection, load(path).evaluations[0])
        statements = [join.full(planned_, AS_OF[1]), join.step(planned_, AS_OF[1] - timedelta(hours=6), AS_OF[1])]
        for text, statement in zip(texts, statements, strict=True):
            with closing(connection.connection.cursor()) as cursor:
                cursor.execute(text)
                found = cursor.fetchall()
            expected = [tuple(row) for row in connection.execute(statement)]
            assert sorted(found, key=repr) == sorted(expected, key=repr)
            assert expected


QUOTED = """
  - model: multiclass
    task: multiclass
    predictions: multiclass_predictions.sql
    labels: multiclass_labels.sql
    windows: [24h]
    slices: ["a`b"]
    labels_default: {label: "o'cat \\\\ 100% :x", after: 1h}
schedule: {every: 6h}
"""


class TestFailures:
    """What goes wrong on the server is told on one line, and whether it may pass is known."""

    def test_a_refused_select(self, spark_url: str, tmp_path: Path) -> None:
        """The file and Spark's reason, without the server's stack."""
        path = config(tmp_path, spark_url, EVALUATIONS, "spark")
        refused = evaljob("run", "--config", path, "--no-push")
        assert refused.code == 2
        assert "binary_predictions.sql: the database refuses this SELECT: " in refused.err
        assert "PATH_NOT_FOUND" in refused.err
        assert "SparkExecuteStatementOperation" not in refused.err

    def test_a_server_that_is_not_there(self, tmp_path: Path) -> None:
        """A failed evaluation, which another try may mend."""
        path = config(tmp_path, f"hive://127.0.0.1:{free_port()}/default?auth=NOSASL", EVALUATIONS, "spark")
        failed = evaljob("run", "--config", path, "--no-push")
        assert failed.code == 1
        assert "Could not connect" in failed.err

    def test_a_statement_that_takes_too_long(self, spark_url: str) -> None:
        """The server ends it after statement_timeout: of 5 seconds, for of 1 a busy machine's once did not."""
        engine = connect(spark_url, read_only=True, statement_timeout=timedelta(seconds=5))
        slow = "SELECT sum(a.id * b.id) FROM range(0, 1000000, 1, 4) AS a, range(0, 1000000, 1, 4) AS b"
        with engine.connect() as connection, pytest.raises(sa.exc.OperationalError, match="TIMEDOUT") as caught:
            connection.execute(sa.text(slow)).all()
        assert passes(caught.value)
        engine.dispose()
