"""The Iris example's parts: its log on each database and through failures, its spool, what evaljob makes of it."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pandas as pd
import pytest
import sqlalchemy as sa

from evaljob import config, job
from examples.iris import model, service
from examples.iris.log import Label, Prediction, PredictionLog, UnreachableError
from examples.iris.spool import Row, Spool, SpoolFullError
from examples.iris.tables import LABELS, METADATA, PREDICTIONS
from examples.iris.together import Together
from tests.faulty_proxy import faulty_proxy
from tests.processes import wait_until

ROOT = Path(__file__).parents[1]
SETOSA = {"features": [5.1, 3.5, 1.4, 0.2]}
NOWHERE = "postgresql+psycopg://nobody@127.0.0.1:1/nothing"  # nobody listens on port 1
MIB = 2**20


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/logs/iris.db"
    return str(request.getfixturevalue(f"{request.param}_database"))


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    """An empty spool of 1 MiB."""
    return Spool(tmp_path / "spool", MIB)


def prediction(request_id: str, species: str | None = "setosa", score: float | None = 0.9) -> Prediction:
    """A request of this moment."""
    return Prediction("iris", request_id, datetime.now(UTC).replace(tzinfo=None), "v1", species, score, 0.002, "DE")


def rows(url: str, table: sa.Table) -> list[sa.RowMapping]:
    """What a table holds, in order of its ids."""
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        found = connection.execute(sa.select(table).order_by(table.c.request_id)).mappings().all()
    engine.dispose()
    return list(found)


def test_tables_are_those_of_the_schema() -> None:
    """sql/schema.sql and the example make the same columns and indexes; the example alone has ingested_at."""
    written, made = sa.create_engine("sqlite://"), sa.create_engine("sqlite://")
    with written.begin() as connection:
        for statement in (ROOT / "sql" / "schema.sql").read_text().split(";\n"):
            connection.exec_driver_sql(statement)
    METADATA.create_all(made)
    assert {**_shape(written, "labels"), **_shape(written, "predictions")} == {
        name: kind
        for name, kind in {**_shape(made, "labels"), **_shape(made, "predictions")}.items()
        if "ingested_at" not in name
    }
    for engine in (written, made):
        engine.dispose()


def _shape(engine: sa.Engine, table: str) -> dict[str, object]:
    found = sa.inspect(engine)
    columns = {
        f"{table}.{column['name']}": (
            column["type"].python_type,
            getattr(column["type"], "length", None),
            column["nullable"],
        )
        for column in found.get_columns(table)
    }
    return columns | {f"index {index['name']}": index["column_names"] for index in found.get_indexes(table)}


def test_rows_come_back_as_they_were_written(url: str, spool: Spool) -> None:
    """Every column to the microsecond, NULL for what a failed request lacks, on each database."""
    log = PredictionLog(url, "iris", spool)
    asked = [prediction("A", "virginica", 0.75), prediction("a", None, None)]
    assert [log.write(row) for row in asked] == [True, True]
    found = {row["request_id"]: row for row in rows(url, PREDICTIONS)}
    for row in asked:
        assert {name: found[row.request_id][name] for name in vars(row)} == vars(row)
    assert all(row["ingested_at"] >= row["predicted_at"] for row in found.values())
    log.close()


def test_a_table_made_by_the_schema_alone_is_served(tmp_path: Path, spool: Spool) -> None:
    """Without the column ingested_at, rows are written without it."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/logs.db")
    with engine.begin() as connection:
        for statement in (ROOT / "sql" / "schema.sql").read_text().split(";\n"):
            connection.exec_driver_sql(statement)
    log = PredictionLog(f"sqlite:///{tmp_path}/logs.db", "iris", spool)
    assert log.write(prediction("a"))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT request_id FROM predictions").all() == [("a",)]
    log.close()
    engine.dispose()


def test_labels_of_many_processes_at_once(url: str, tmp_path: Path) -> None:
    """Six writers with connections of their own say the same of three requests ten times each: three rows."""
    logs = [PredictionLog(url, "iris", Spool(tmp_path / str(number), MIB)) for number in range(6)]
    labels = [Label(name, "setosa", 2.0) for name in "abc"]
    with ThreadPoolExecutor(6) as writers:
        counts = list(writers.map(lambda number: logs[number % 6].label(labels), range(60)))
    assert sum(count["new"] for count in counts) == 3
    assert sum(count["repeated"] for count in counts) == 3 * 59
    assert [row["request_id"] for row in rows(url, LABELS)] == ["a", "b", "c"]
    for log in logs:
        log.close()


def test_a_correction_is_later_though_the_clock_is_not(tmp_path: Path, spool: Spool) -> None:
    """The row before was written by a host whose clock is an hour ahead; the correction still is the latest row."""
    url = f"sqlite:///{tmp_path}/iris.db"
    log, ahead = PredictionLog(url, "iris", spool), datetime.now(UTC).replace(tzinfo=None) + timedelta(hours=1)
    log.write(prediction("a"))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.execute(sa.insert(LABELS).values(model="iris", request_id="a", label="setosa", labeled_at=ahead))
    assert log.label([Label("a", "virginica")])["corrected"] == 1
    assert max((row["labeled_at"], row["label"]) for row in rows(url, LABELS)) == (
        ahead + timedelta(microseconds=1),
        "virginica",
    )
    log.close()
    engine.dispose()


def test_a_database_that_goes_and_comes_back(postgres_database: str, spool: Spool) -> None:
    """Its connections are reset: rows wait, labels are refused. It is back: the rows follow, each once."""
    parts = urlsplit(postgres_database)
    with faulty_proxy(f"tcp://{parts.hostname}:{parts.port}") as proxy:
        through = (
            sa.make_url(postgres_database).set(port=urlsplit(proxy.url).port).render_as_string(hide_password=False)
        )
        log = PredictionLog(through, "iris", spool)
        assert log.write(prediction("before"))
        log.close()  # its connections end, and new ones meet the fault
        proxy.mode = "reset"
        assert [log.write(prediction(name)) for name in ("during-1", "during-2")] == [False, False]
        with pytest.raises(UnreachableError):
            log.label([Label("before", "setosa")])
        log.replay()
        assert (log.available, spool.size > 0) == (False, True)
        proxy.mode = "pass"
        log.replay()
        assert (log.available, spool.size) == (True, 0)
        log.close()
    assert [row["request_id"] for row in rows(postgres_database, PREDICTIONS)] == ["before", "during-1", "during-2"]


def test_a_row_that_came_in_after_all_is_not_written_twice(tmp_path: Path, spool: Spool) -> None:
    """The database took a row and its answer was lost, so the row is in the spool as well: one row in the table."""
    url = f"sqlite:///{tmp_path}/iris.db"
    log, row = PredictionLog(url, "iris", spool), prediction("a")
    assert log.write(row)
    log.available = False
    assert not log.write(row)
    log.replay()
    assert [found["request_id"] for found in rows(url, PREDICTIONS)] == ["a"]
    log.close()


def test_spool_survives_a_crash_while_draining(spool: Spool) -> None:
    """Writing fails after the first batch: all rows are given again, and those of meanwhile come after them."""
    for number in range(600):
        spool.append({"n": number})
    taken: list[Row] = []

    def fail_at_the_second_batch(batch: list[Row]) -> None:
        if taken:
            raise OSError("the database is gone")
        taken.extend(batch)

    with pytest.raises(OSError, match="gone"):
        spool.drain(fail_at_the_second_batch)
    spool.append({"n": 600})
    again: list[Row] = []
    spool.drain(again.extend)
    spool.drain(again.extend)
    assert len(taken) == 500
    assert [row["n"] for row in again] == list(range(601))
    assert spool.size == 0


def test_a_torn_line_spoils_no_other(tmp_path: Path) -> None:
    """A crash in the middle of an append leaves half a line: that row was never answered for, all others are kept."""
    spool = Spool(tmp_path, MIB)
    spool.append({"n": 1})
    with (tmp_path / "gathering.jsonl").open("ab") as file:
        file.write(b'\n{"n": 2, "mod')
    spool.append({"n": 3})
    kept: list[Row] = []
    spool.drain(kept.extend)
    assert kept == [{"n": 1}, {"n": 3}]


def test_spool_keeps_its_bound(tmp_path: Path) -> None:
    """Of records of 10 bytes a spool of 95 bytes takes nine, whichever file they are in, and refuses the tenth."""
    spool = Spool(tmp_path, 95)
    for _ in range(9):
        spool.append({"n": 1})
    with pytest.raises(SpoolFullError, match="95 bytes"):
        spool.append({"n": 1})
    assert spool.size == 9 * 10


def test_one_drains_while_all_append(tmp_path: Path) -> None:
    """Four writers and two that drain, as the service's processes do: every row arrives, none twice."""
    spools, arrived, ended = [Spool(tmp_path, MIB) for _ in range(6)], list[int](), threading.Event()

    def drain(number: int) -> None:
        while not ended.is_set() or spools[number].size:
            spools[number].drain(lambda batch: arrived.extend(row["n"] for row in batch))

    with ThreadPoolExecutor(6) as threads:
        for number in (4, 5):
            threads.submit(drain, number)
        list(threads.map(lambda n: spools[n % 4].append({"n": n}), range(400)))
        ended.set()
    assert sorted(arrived) == list(range(400))


def test_rows_that_wait_share_a_transaction() -> None:
    """While the first row is being written, nine more come: they make one batch, and each writer returns."""
    batches, entered, go_on = list[list[Row]](), threading.Event(), threading.Event()

    def write(batch: list[Row]) -> None:
        batches.append(batch)
        entered.set()
        assert go_on.wait(10)

    together = Together(write)
    with ThreadPoolExecutor(10) as threads:
        threads.submit(together.write, {"n": 0})
        assert entered.wait(10)
        others = [threads.submit(together.write, {"n": n}) for n in range(1, 10)]
        wait_until(lambda: together.waiting == 9, "nine rows that wait")
        go_on.set()
        assert [other.result(10) for other in others] == [None] * 9
    assert [len(batch) for batch in batches] == [1, 9]


def test_a_batch_that_fails_fails_for_all_its_rows() -> None:
    """Five threads write, every batch is refused: five errors, and nobody waits for ever."""

    def refuse(batch: list[Row]) -> None:
        raise OSError(f"no room for {len(batch)}")

    together = Together(refuse)
    with ThreadPoolExecutor(5) as threads:
        for failed in [threads.submit(together.write, {"n": n}) for n in range(5)]:
            assert isinstance(failed.exception(10), OSError)


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What the service reads when it starts: a SQLite file, and a spool."""
    monkeypatch.setenv("IRIS_DATABASE_URL", f"sqlite:///{tmp_path}/iris.db")
    monkeypatch.setenv("IRIS_SPOOL", str(tmp_path / "spool"))
    return monkeypatch


@asynccontextmanager
async def serving() -> AsyncIterator[httpx.AsyncClient]:
    """The service in this process, where a test can get at its parts."""
    transport = httpx.ASGITransport(service.app, raise_app_exceptions=False)
    async with service.lifespan(service.app), httpx.AsyncClient(transport=transport, base_url="http://iris") as client:
        yield client


def test_service_starts_without_its_database_and_serves_until_the_spool_is_full(
    environment: pytest.MonkeyPatch,
) -> None:
    """With room for two rows the third request gets 503, and no prediction that nobody would know of."""
    environment.setenv("IRIS_DATABASE_URL", NOWHERE)
    environment.setenv("IRIS_SPOOL_BYTES", "600")

    async def three() -> tuple[list[httpx.Response], httpx.Response]:
        async with serving() as client:
            return [await client.post("/predict", json=SETOSA) for _ in range(3)], await client.get("/healthz")

    served, health = asyncio.run(three())
    assert [answer.status_code for answer in served] == [200, 200, 503]
    assert "class" not in served[-1].json()
    assert health.json() == {"log_available": False}


@pytest.mark.usefixtures("environment")
def test_a_model_that_fails_leaves_a_row(tmp_path: Path) -> None:
    """500 for the client, and a row without a prediction in the log."""

    class Broken:
        def predict(self, features: list[float]) -> tuple[str, float]:
            raise RuntimeError(f"no idea about {features}")

    async def ask() -> httpx.Response:
        async with serving() as client:
            service.app.state.models = dict.fromkeys(["v1", "v2"], Broken())
            return await client.post("/predict", json=SETOSA | {"country": "DE"})

    assert asyncio.run(ask()).status_code == 500
    (row,) = rows(f"sqlite:///{tmp_path}/iris.db", PREDICTIONS)
    assert (row["prediction"], row["score"], row["country"]) == (None, None, "DE")


def test_canary_share() -> None:
    """An id always meets the same version, and of 20,000 ids 30% meet the canary, give or take four deviations."""
    ids = [os.urandom(16).hex() for _ in range(20_000)]
    canaries = [model.version_for(request_id, 0.3) == model.CANARY for request_id in ids]
    assert canaries == [model.version_for(request_id, 0.3) == model.CANARY for request_id in ids]
    assert abs(sum(canaries) - 6000) < 4 * (20_000 * 0.3 * 0.7) ** 0.5
    assert {model.version_for(request_id, 0.0) for request_id in ids} == {model.STABLE}


def test_offline_accuracy() -> None:
    """Both versions know theirs from training: the canary, which knows a feature more, is the better one."""
    models = model.train()
    stable, canary = (models[version].offline_accuracy for version in (model.STABLE, model.CANARY))
    assert 0.8 < stable < 0.9 < canary < 1.0
    assert models[model.CANARY].predict(SETOSA["features"])[0] == "setosa"


def test_evaljob_counts_what_waited_in_the_spool(
    tmp_path: Path, spool: Spool, caplog: pytest.LogCaptureFixture
) -> None:
    """A run between an outage and its replay, then one that steps on: the results of a full count.

    40 of 60 requests are logged at once, 20 have to wait. One in four is labeled otherwise, so accuracy is 3/4.
    """
    url = f"sqlite:///{tmp_path}/iris.db"
    environ = {
        "EVALJOB_DATABASE_URL": url,
        "EVALJOB_STATE_URL": f"sqlite:///{tmp_path}/state.db",
        "IRIS_MATURITY": "0s",
    }
    settings = config.load(ROOT / "examples" / "iris" / "config.yaml", environ)
    log = PredictionLog(url, "iris", spool)
    for number in range(60):
        log.available = number < 40
        log.write(prediction(f"r{number}"))
        log.available = True
        log.label([Label(f"r{number}", "setosa" if number % 4 else "virginica")])
    caplog.set_level("INFO")
    before = evaluated(settings, datetime.now(UTC))
    log.replay()
    log.close()
    caplog.clear()
    now = datetime.now(UTC)
    stepped = evaluated(settings, now)
    assert "full count" not in caplog.text
    for results, predictions in ((before, 40), (stepped, 60)):
        total = results.query("slice == 'overall' and model_version == 'all' and window == '15m_mature'")
        values = total.set_index("metric")["value"]
        assert (values["predictions"], values["accuracy_ratio"]) == (predictions, 0.75)
    pd.testing.assert_frame_equal(stepped, evaluated(settings, now, full=True))


def evaluated(settings: config.Config, as_of: datetime, *, full: bool = False) -> pd.DataFrame:
    """The results of a run that must succeed."""
    code, (run,) = job.run(settings, as_of, full=full, pushing=False)
    assert code == 0
    assert run.results is not None
    return run.results
