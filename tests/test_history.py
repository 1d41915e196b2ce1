"""The history: every result once, bit for bit, in few bytes, for as long as it is kept, and read back as asked."""

import csv
import io
import json
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from evaljob import history
from evaljob.database import connect
from evaljob.errors import EvaluationError
from evaljob.history import Selection
from evaljob.metrics.results import COLUMNS, LABELS
from evaljob.schema import HISTORY, opened
from evaljob.state import Store, from_microseconds
from tests import past
from tests.past import hours
from tests.projects import Project

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
FIVE_MINUTES = timedelta(minutes=5)
WINDOWS = {"1h": (1, 0), "7d_mature": (192, 24)}  # hours from as_of back to the start and to the end
ODD = [0.0, -0.0, 1.0, 0.1 + 0.2, 5e-324, 1.7e308, np.nan, np.inf, -np.inf]


def results(as_of: datetime = NOON, series: int = 40, model: str = "m", seed: int = 0) -> pd.DataFrame:
    """Results as an evaluation returns them: per series a count, a ratio with its interval and an odd number."""
    chance = np.random.default_rng(seed)
    rows = [
        {
            "model_version": ("v1", "all")[i % 2], "window": tuple(WINDOWS)[i % 2],
            "slice": ("overall", "land")[i // 2 % 2], "slice_value": ("", "Ελλάδα\n", "a,b\\")[i % 3],
            **dict.fromkeys(LABELS, ""), "reason": ("", "too_late")[i % 2],
            "metric": metric, "value": value, "lower": lower, "upper": upper, "support": int(chance.integers(2**40)),
        }
        for i in range(series)
        for metric, value, lower, upper in (
            ("predictions", float(i), np.nan, np.nan),
            ("accuracy_ratio", *np.sort(chance.random(3))[[1, 0, 2]]),
            ("mean_error", ODD[i % len(ODD)], np.nan, np.nan),
        )
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    edges = {name: [as_of - timedelta(hours=WINDOWS[w][i]) for w in frame["window"]] for i, name in enumerate(_EDGES)}
    times = {
        name: pd.DatetimeIndex(value).as_unit("us") for name, value in {"as_of": [as_of] * len(frame), **edges}.items()
    }
    return frame.assign(model=model, **times)[list(COLUMNS)]


_EDGES = ("window_start", "window_end")


def bits(frame: pd.DataFrame) -> list[tuple[object, ...]]:
    """The rows of results as texts, instants and the bits of their numbers: NaN equals NaN, and -0.0 is not 0.0."""
    numbers = [frame[name].to_numpy("float64").view("int64").tolist() for name in ("value", "lower", "upper")]
    texts = [frame[name].astype(str).tolist() for name in COLUMNS if name not in {"value", "lower", "upper"}]
    return list(zip(*texts, *numbers, strict=True))


@contextmanager
def stored(url: str) -> Iterator[sa.Engine]:
    """An engine of a database with evaljob's tables."""
    store = Store(opened(connect(url, read_only=False)))
    yield store.engine
    store.engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """The tables in each kind of database that can hold them."""
    fixtures = {"postgresql": "postgres_database", "mariadb": "mariadb_database"}
    fixture = fixtures.get(request.param)
    with stored(request.getfixturevalue(fixture) if fixture else f"sqlite:///{tmp_path / 'state.db'}") as engine:
        yield engine


@pytest.fixture
def sqlite_engine(tmp_path: Path) -> Iterator[sa.Engine]:
    """The tables in SQLite."""
    with stored(f"sqlite:///{tmp_path / 'state.db'}") as engine:
        yield engine


def record(engine: sa.Engine, *frames: pd.DataFrame) -> None:
    """Keep results, a transaction each."""
    for frame in frames:
        with engine.begin() as transaction:
            history.record(transaction, frame)


def read(engine: sa.Engine, **selection: object) -> pd.DataFrame:
    """The results of a selection."""
    with engine.connect() as connection:
        return history.read(connection, Selection(**selection))  # type: ignore[arg-type]


def test_results_come_back_bit_for_bit(engine: sa.Engine) -> None:
    """Every text, instant and number is what was recorded: NaN, infinity, minus zero, the smallest number and 2^40."""
    before = results(series=2 * len(ODD))
    record(engine, before)
    after = read(engine)
    assert bits(after) == bits(before)
    assert {name: str(after[name].dtype) for name in ("value", "support", "as_of", "window_end")} == {
        "value": "float64",
        "support": "int64",
        "as_of": "datetime64[us, UTC]",
        "window_end": "datetime64[us, UTC]",
    }


def test_a_result_is_there_once(engine: sa.Engine) -> None:
    """Recorded again, an instant's results replace the earlier ones, also those that the later run does not have."""
    later = results(series=10, seed=1)
    record(engine, results(series=40), results(NOON + FIVE_MINUTES), later)
    assert bits(read(engine, end=NOON)) == bits(later)
    assert len(read(engine)) == 3 * (10 + 40)


def test_models_are_told_apart_by_every_character(engine: sa.Engine) -> None:
    """`Fraud` and `fraud` have a history each, also where the database takes the two for one."""
    record(engine, results(model="Fraud", seed=1), results(model="fraud", seed=2))
    assert [bits(read(engine, models=(name,))) for name in ("Fraud", "fraud")] == [
        bits(results(model="Fraud", seed=1)),
        bits(results(model="fraud", seed=2)),
    ]


def test_a_rollback_leaves_no_results(engine: sa.Engine) -> None:
    """The results belong to the caller's transaction: without the state there is no history of it."""
    with engine.connect() as connection:
        history.record(connection, results())
        connection.rollback()
    assert read(engine).empty


def test_retention_removes_what_is_older(engine: sa.Engine) -> None:
    """Of 12:00, 12:05 and 12:10 the first two go when everything before 12:10 is forgotten, whatever the model."""
    record(engine, *(results(NOON + i * FIVE_MINUTES, 2, model=name) for i in range(3) for name in ("gone", "m")))
    with engine.begin() as transaction:
        history.forget(transaction, NOON + 2 * FIVE_MINUTES)
    assert set(read(engine)["as_of"]) == {pd.Timestamp(NOON + 2 * FIVE_MINUTES)}
    assert set(read(engine)["model"]) == {"gone", "m"}


def test_two_writers_of_one_instant(postgres_database: str) -> None:
    """Eight threads that record the same instant at once all succeed, and one of their results is there."""
    start = threading.Barrier(8)

    def write(seed: int) -> None:
        start.wait()
        record(there, results(seed=seed))

    with stored(postgres_database) as there, ThreadPoolExecutor(8) as threads:
        list(threads.map(write, range(8)))
        found = bits(read(there))
    assert found in [bits(results(seed=seed)) for seed in range(8)]


def test_tables_made_by_two_workers_at_once(postgres_database: str) -> None:
    """Four workers that start on an empty database all find the tables."""
    start = threading.Barrier(4)

    def open_(_: int) -> None:
        engine = sa.create_engine(postgres_database)
        start.wait()
        assert read(opened(engine)).empty
        engine.dispose()

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(open_, range(4)))


CHOICES: list[tuple[dict[str, object], Callable[[pd.DataFrame], pd.Series]]] = [
    ({"models": ("m",)}, lambda f: f["model"] == "m"),
    ({"metrics": ("accuracy_ratio", "mean_error")}, lambda f: f["metric"] != "predictions"),
    ({"windows": ("1h",)}, lambda f: f["window"] == "1h"),
    ({"versions": ("all",)}, lambda f: f["model_version"] == "all"),
    ({"slices": (("land", None),)}, lambda f: f["slice"] == "land"),
    ({"slices": (("land", "a,b\\"), ("overall", ""))},
     lambda f: (f["slice"].astype(str) + "=" + f["slice_value"].astype(str)).isin(["land=a,b\\", "overall="])),
    ({"start": NOON + FIVE_MINUTES, "end": NOON + 2 * FIVE_MINUTES}, lambda f: f["as_of"].between(
        pd.Timestamp(NOON + FIVE_MINUTES), pd.Timestamp(NOON + 2 * FIVE_MINUTES))),
    ({"start": NOON, "every": 2 * FIVE_MINUTES}, lambda f: f["as_of"].dt.minute % 10 == 0),
    ({"metrics": ("no such metric",)}, lambda f: f["metric"] == ""),
]  # fmt: skip


@pytest.mark.parametrize(("selection", "mask"), CHOICES)
def test_a_selection_is_what_a_filter_leaves(
    sqlite_engine: sa.Engine, selection: dict[str, object], mask: Callable[[pd.DataFrame], pd.Series]
) -> None:
    """What is selected are the rows of everything for which the same is true, in the same order."""
    for i in range(4):
        record(
            sqlite_engine,
            results(NOON + i * FIVE_MINUTES, 30 + i % 2, seed=i),
            results(NOON + i * FIVE_MINUTES, 6, "n"),
        )
    everything = read(sqlite_engine)
    assert bits(read(sqlite_engine, **selection)) == bits(everything[mask(everything)])


def test_runs_come_in_blocks_of_bounded_size(sqlite_engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With at most 300 results at once, 7 runs of 120 come as 2, 2, 2 and 1; the frames together are the same."""
    record(sqlite_engine, *(results(NOON + i * FIVE_MINUTES) for i in range(7)))
    everything = bits(read(sqlite_engine))
    monkeypatch.setattr(history, "_TOGETHER", 300)
    with sqlite_engine.connect() as connection:
        blocks = list(history.blocks(connection, Selection()))
    assert [len(block.as_of) for block in blocks] == [2, 2, 2, 1]
    assert [row for block in blocks for row in bits(block.frame())] == everything


@pytest.mark.parametrize("column", ["names", "numbers"])
@pytest.mark.parametrize("damage", [b"", b"\x78\x9c", b"rubbish"])
def test_damaged_results_are_named(sqlite_engine: sa.Engine, column: str, damage: bytes) -> None:
    """Bytes that hold no results are an error that names the model and the instant, never numbers."""
    record(sqlite_engine, results())
    with sqlite_engine.begin() as transaction:
        transaction.execute(sa.update(HISTORY).values({column: damage}))
    with pytest.raises(
        EvaluationError, match=r"history of m: the results as of 2026-03-01T12:00:00\+00:00 are damaged"
    ):
        read(sqlite_engine)


def test_a_thousand_runs_of_a_thousand_series_stay_below_20_mb(sqlite_engine: sa.Engine, tmp_path: Path) -> None:
    """The file takes less than 20 bytes a result, with random ratios and intervals, which do not compress at all."""
    runs = 40
    record(sqlite_engine, *(results(NOON + i * FIVE_MINUTES, 334, seed=i) for i in range(runs)))
    sqlite_engine.dispose()
    assert (tmp_path / "state.db").stat().st_size < 20 * 1002 * runs


def test_recording_is_quick(sqlite_engine: sa.Engine) -> None:
    """2,500 results take less than 60 ms of the processor in a transaction of their own."""
    frames = [results(NOON + i * FIVE_MINUTES, 834, seed=i) for i in range(5)]
    taken = []
    for frame in frames:
        start = time.process_time()
        record(sqlite_engine, frame)
        taken.append(time.process_time() - start)
    assert min(taken) < 0.060


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without a gateway."""
    return past.project(tmp_path / "project")


def test_every_run_is_in_the_history(project: Project) -> None:
    """Runs at 48 h, 49 h and then at 20 h, which is before the state: the history has what each of them printed."""
    printed = [project.evaljob("run", "--as-of", hours(h).isoformat(), "--output", "json") for h in (48, 49, 20)]
    listed = project.evaljob("history", "--output", "json")
    assert listed.results() == [row for run in (printed[2], *printed[:2]) for row in run.results()]
    (state,) = past.state(project)
    assert hours(49).isoformat() == from_microseconds(int(str(state[2]))).isoformat()


def test_a_run_removes_what_retention_does_not_keep(project: Project) -> None:
    """Kept for 2 days: at 49 h nothing is old, at 60 h that at 10 h is; one asked for at 1 h stays till the next."""
    project.replace("3650d", "2d")

    def instants(*as_of: float) -> list[str]:
        for h in as_of:
            assert project.evaljob("run", "--as-of", hours(h).isoformat()).code == 0
        return [from_microseconds(at).isoformat() for at, _ in past.kept(project)]

    assert instants(10, 49) == [hours(h).isoformat() for h in (10, 49)]
    assert instants(60) == [hours(h).isoformat() for h in (49, 60)]
    assert instants(1) == [hours(h).isoformat() for h in (1, 49, 60)]
    assert instants(61) == [hours(h).isoformat() for h in (49, 60, 61)]


def test_the_history_as_csv(project: Project) -> None:
    """CSV has the numbers of the run's JSON, an empty field where that has null, and a header."""
    run = project.evaljob("run", "--as-of", hours(48).isoformat(), "--output", "json").results()
    rows = list(csv.DictReader(io.StringIO(project.evaljob("history", "--output", "csv").out)))
    assert list(rows[0]) == list(COLUMNS)
    assert [float(row["value"] or "nan") for row in rows] == pytest.approx(
        [row["value"] for row in _nan(run)], nan_ok=True, rel=0
    )
    assert [(row["as_of"], row["window_end"], row["slice_value"]) for row in rows] == [
        (row["as_of"], row["window_end"], row["slice_value"]) for row in run
    ]


def _nan(rows: list[dict[str, object]]) -> list[dict[str, object]]:
    return [row | {"value": np.nan if row["value"] is None else row["value"]} for row in rows]


def test_the_history_as_a_table(project: Project) -> None:
    """Without options the table has a row an instant and window of the totals; `--slice country=DE` those of DE."""
    for h in (48, 49):
        project.evaljob("run", "--as-of", hours(h).isoformat())
    table = project.evaljob("history").out
    assert table.count("2024-05-03 00:00:00") == table.count("2024-05-03 01:00:00") == 3
    assert "2d_mature" in table
    assert "DE" not in table
    of_slices = project.evaljob("history", "--slice", "country=DE", "--slice", "country=FR", "--window", "24h").out
    assert of_slices.count("2024-05-03 00:00:00") == 2
    assert (of_slices.count(" DE "), of_slices.count(" FR "), of_slices.count(" US ")) == (2, 2, 0)


def test_what_is_not_in_the_history(project: Project) -> None:
    """No runs, no results: a table says so, JSON is an empty array and CSV a header."""
    assert project.evaljob("history").out == "no results\n"
    assert json.loads(project.evaljob("history", "--output", "json").out) == []
    assert project.evaljob("history", "--output", "csv").out == f"{','.join(COLUMNS)}\n"
