"""Partitions of a day: the bounds on them change no number, whatever they are called, and wrong ones are found."""

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from evaljob import join
from evaljob.config import Partition
from evaljob.database import connect
from evaljob.errors import ConfigError
from evaljob.partitions import misplaced
from evaljob.source import Log
from tests.configs import further, instead, read, refusal
from tests.logs import Row, at, create, evaluation, full, plan, stepped, utc, window
from tests.test_engines import LOGS, STAMPS, fixture

SPREAD = 7  # days of the calendar to an hour of the fixture: two and a half days become a year
DAYS: dict[str, Callable[[datetime], Any]] = {
    "dates": lambda t: t.date(),
    "texts": lambda t: t.date().isoformat(),
    "hours as texts": lambda t: f"{t:%Y-%m-%d-%H}",
    "numbers": lambda t: int(f"{t:%Y%m%d}"),
    "midnights": lambda t: datetime.combine(t.date(), datetime.min.time()),
}
ZONES = {"UTC": 0, "Kiritimati": 14, "Baker Island": -12}
WINDOWS = (window("30d"), window("90d", "predicted_at", "7d"))


@pytest.fixture
def engine() -> Iterator[sa.Engine]:
    """DuckDB in memory."""
    made = connect("duckdb:///:memory:", read_only=False)
    yield made
    made.dispose()


def logs(day: str, zone: int, of: str | None) -> dict[Log, list[Row]]:
    """The fixture over a year, each row ingested up to a month later, with the day of a timestamp in a time zone."""
    return {
        log: [_row(row, STAMPS[log], of or STAMPS[log], DAYS[day], timedelta(hours=zone)) for row in rows]
        for log, rows in fixture("binary", plain=40).items()
    }


def _row(row: Row, own: str, of: str, spelled: Callable[[datetime], Any], zone: timedelta) -> Row:
    moved = at("00:00") + (row[own] - at("00:00")) * 24 * SPREAD
    placed = row | {own: moved, "ingested_at": moved + timedelta(hours=moved.second * 12)}
    return placed | {"day": spelled(placed[of] + zone)}


@pytest.mark.parametrize(
    ("day", "zone", "of"),
    [*((day, "UTC", None) for day in DAYS), *(("dates", zone, of) for zone in ZONES for of in (None, "ingested_at"))],
)
def test_bounds_on_partitions_change_no_number(engine: sa.Engine, tmp_path: Path, day: str, zone: str, of: Any) -> None:
    """Full counts and steps of an hour to a week give the same cells with the bounds and without them."""
    for log, rows in logs(day, ZONES[zone], of).items():
        create(engine, log, rows)
    partition = Partition(column="day", of=of)
    keys: dict[str, Any] = {"windows": WINDOWS, "max_lag": timedelta(days=20)}
    with engine.connect() as connection:
        plain = plan(connection, evaluation(tmp_path, **keys))
        bounded = plan(
            connection, evaluation(tmp_path, **keys, predictions_partition=partition, labels_partition=partition)
        )
        assert [misplaced(connection, source) for source in (bounded.predictions, bounded.labels)] == [None, None]
        before = utc(at("07:30", day=200))
        cells = full(connection, bounded, before)
        assert cells.identical(full(connection, plain, before))
        assert len(cells.frame) > 50
        for after in (before + timedelta(hours=1), before + timedelta(days=7)):
            cells = stepped(connection, bounded, cells, before, after)
            assert cells.identical(full(connection, plain, after))
            before = after


def test_duckdb_skips_the_files_of_other_days(engine: sa.Engine, tmp_path: Path) -> None:
    """Of 60 files a step is to read those around its edges, and for the requests' rows those that max_lag leaves."""
    days = "SELECT unnest(generate_series(TIMESTAMP '2024-04-01', TIMESTAMP '2024-05-30', INTERVAL 1 DAY)) AS t"
    columns = "t AS predicted_at, t AS labeled_at, 'v1' AS model_version, 1 AS prediction, 1 AS label, t::DATE AS day"
    rows = f"SELECT CAST(t AS VARCHAR) AS request_id, {columns} FROM ({days})"
    select = f"SELECT * FROM read_parquet('{tmp_path}/files/*/*.parquet', hive_partitioning=true)"
    keys: dict[str, Any] = {"windows": (window("14d"),), "max_lag": timedelta(days=2)}
    day = {f"{log}_partition": Partition(column="day") for log in LOGS}
    with engine.connect() as connection:
        connection.execute(sa.text(f"COPY ({rows}) TO '{tmp_path}/files' (FORMAT parquet, PARTITION_BY (day))"))
        bounded = plan(connection, evaluation(tmp_path, select, select, **keys, **day))
        statement = join.step(bounded, utc(at("11:30", day=20)), utc(at("12:00", day=20)))
        text = str(statement.compile(connection, compile_kwargs={"literal_binds": True}))
        explained = connection.exec_driver_sql(f"EXPLAIN (ANALYZE, FORMAT json) {text}").all()[0][1]
    # Ids of May 4th, of 6th, where labels' reach and the window end, and of today, with a day at either end: 3 each.
    # Rows without an id of all of these days at once: 8. Rows of the affected requests from May 4th on: 19.
    assert set(re.findall(r'"Scanning Files": "(\d+)/60"', explained)) == {"3", "8", "19"}


def test_rows_in_partitions_of_other_days_are_found(engine: sa.Engine, tmp_path: Path) -> None:
    """A day too early, too late, ingested long after it, NULL, or no day at all."""
    created = {"request_id": "a", "predicted_at": at("12:00"), "model_version": "v1", "prediction": 1}
    create(engine, "labels", [{"request_id": "a", "label": 1, "labeled_at": at("12:00")}])
    cases: list[tuple[Row, dict[str, Any], str]] = [
        ({"day": date(2024, 4, 29)}, {}, "datetime.date(2024, 4, 29) are rows with predicted_at of another day"),
        ({"day": date(2024, 5, 3)}, {}, "datetime.date(2024, 5, 3) are rows with predicted_at of another day"),
        (
            {"day": date(2024, 5, 2), "ingested_at": at("12:00", day=9)},
            {"of": "ingested_at"},
            "ingested_at of another day",
        ),
        ({"day": None}, {}, "day = None"),
        ({"day": "May"}, {}, "day = 'May'"),
    ]
    for more, of, said in cases:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP TABLE IF EXISTS predictions"))
        create(engine, "predictions", [created | more], {"day": sa.Date()} if more["day"] is None else None)
        with engine.connect() as connection:
            partition = Partition(column="day", **of)
            bounded = plan(connection, evaluation(tmp_path, predictions_partition=partition))
            assert said in str(misplaced(connection, bounded.predictions))


def test_a_partition_needs_its_columns(engine: sa.Engine, tmp_path: Path) -> None:
    """The column itself, of a type that names days, and the timestamp that it is of."""
    create(engine, "predictions", [{"request_id": "a", "predicted_at": at("12:00"), "prediction": 1, "half": 0.5}])
    create(engine, "labels", [{"request_id": "a", "label": 1, "labeled_at": at("12:00")}])
    for partition, said in [
        (Partition(column="day"), "must return a column day, and returns"),
        (Partition(column="half"), "column half is float, it must be date or text or integer or timestamp"),
        (Partition(column="request_id", of="ingested_at"), "must return a column ingested_at"),
    ]:
        with engine.connect() as connection, pytest.raises(ConfigError, match=said):
            plan(connection, evaluation(tmp_path, predictions_partition=partition))


def test_configuration(tmp_path: Path) -> None:
    """Short and long form, and what neither is."""
    text = instead("predictions: {sql: p.sql, partition: day}")
    text = instead("labels: {sql: l.sql, partition: {column: dt, of: ingested_at}}", text)
    (found,) = read(tmp_path, text).evaluations
    assert found.predictions == tmp_path / "p.sql"
    assert found.predictions_partition == Partition(column="day")
    assert found.labels_partition == Partition(column="dt", of="ingested_at")
    (refused,) = refusal(tmp_path, instead("predictions: {sql: p.sql, partition: 1}"))
    assert "predictions.partition: 1 must be a column, or a mapping such as {column: day, of: ingested_at}" in refused
    assert refusal(tmp_path, further("partition: day"))[0].startswith(
        "10: evaluations[0].partition: is no key of this section"
    )
