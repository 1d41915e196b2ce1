"""The demo's logs: the same for a seed, in the proportions promised, and telling the story of a version that breaks."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from sklearn.metrics import accuracy_score, brier_score_loss, recall_score

from evaljob import database
from evaljob.demo import INCIDENT, LABELS, PREDICTIONS, Logs, make_logs, write_logs
from evaljob.errors import ConfigError

SQL = Path(__file__).parents[1] / "sql"
END = datetime(2026, 6, 1, tzinfo=UTC)
NAIVE_END = pd.Timestamp(2026, 6, 1)
KEY = ["model", "request_id"]
READING = {
    "predictions": "request_id predicted_at model_version prediction score latency_seconds country device",
    "labels": "request_id label labeled_at revenue",
    "iris_predictions": "request_id predicted_at model_version prediction score latency_seconds country device",
    "iris_labels": "request_id label labeled_at",
}


@pytest.fixture(scope="module")
def logs() -> Logs:
    """The logs as the demo command makes them."""
    return make_logs(END)


@pytest.fixture(scope="module")
def served(logs: Logs) -> pd.DataFrame:
    """The first row of each request."""
    return logs.predictions.drop_duplicates(KEY)


@pytest.fixture(scope="module")
def joined(logs: Logs, served: pd.DataFrame) -> pd.DataFrame:
    """Each labeled request that did not fail, with its latest label: the join in two lines of pandas."""
    rows = served.merge(logs.labels.drop_duplicates(KEY, keep="last"), on=KEY)
    return rows[rows["prediction"].notna() & ~(rows["score"] > 1)]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, logs: Logs) -> sa.Engine:
    """The demo's database, written twice as by somebody who runs the demo again."""
    engine = connect(f"sqlite:///{tmp_path_factory.mktemp('demo') / 'logs.db'}")
    write_logs(engine, make_logs(END, requests=300))
    write_logs(engine, logs)
    return engine


def test_same_arguments_same_logs() -> None:
    """A seed fixes every row, whatever the zone in which `end` is written; another seed gives others."""
    berlin = END.astimezone(timezone(timedelta(hours=2)))
    one, two, other = (make_logs(end, seed=seed, requests=500) for end, seed in ((END, 7), (berlin, 7), (END, 8)))
    pd.testing.assert_frame_equal(one.predictions, two.predictions)
    pd.testing.assert_frame_equal(one.labels, two.labels)
    assert set(one.predictions["request_id"]).isdisjoint(other.predictions["request_id"])


def test_time(logs: Logs) -> None:
    """Rows lie in the 40 days before `end`, at microseconds, in order; nights are quiet; labels are never early."""
    for times in (logs.predictions["predicted_at"], logs.labels["labeled_at"]):
        assert times.dtype == "datetime64[us]"
        assert times.is_monotonic_increasing
        assert NAIVE_END - pd.Timedelta(days=40) <= times.min()
        assert times.max() < NAIVE_END
    hours = logs.predictions["predicted_at"].dt.hour.value_counts()
    assert hours[14] / hours[2] == pytest.approx(6, rel=0.15)


def test_predictions(logs: Logs, served: pd.DataFrame) -> None:
    """30,000 requests: 1% failed, 1% retried within a second, three a model with a score of 1.2, the rest in [0, 1]."""
    failed = served["prediction"].isna()
    assert len(served) == 30_000
    assert served["request_id"].str.fullmatch("[0-9a-f]{32}").all()
    assert failed.mean() == pytest.approx(0.01, rel=0.2)
    assert (failed == served["score"].isna()).all()
    assert served.loc[failed, "latency_seconds"].min() > 2 > served.loc[~failed, "latency_seconds"].max()
    assert (served["score"] == 1.2).groupby(served["model"]).sum().to_dict() == {"breast_cancer": 3, "iris": 3}
    assert served.loc[served["score"] != 1.2, "score"].dropna().between(0, 1).all()
    again = logs.predictions[logs.predictions.duplicated(KEY)].merge(served, on=KEY)
    assert len(again) / len(served) == pytest.approx(0.01, rel=0.2)
    assert (again["predicted_at_x"] - again["predicted_at_y"]).between("100ms", "900ms").all()


def test_scores(served: pd.DataFrame) -> None:
    """The binary model says malignant from a half on, and its scores vary: a third of them lie between 2% and 98%."""
    binary = served[(served["model"] == "breast_cancer") & served["prediction"].notna() & (served["score"] <= 1)]
    assert ((binary["score"] >= 0.5) == (binary["prediction"] == "malignant")).all()
    assert binary["score"].between(0.02, 0.98).mean() > 1 / 3


def test_slices(served: pd.DataFrame) -> None:
    """Six countries and three devices, unequal; the smallest country still has hundreds of requests."""
    assert len(served["country"].unique()) == 6
    assert served["device"].value_counts(normalize=True).round(2).to_dict() == pytest.approx(
        {"phone": 0.45, "desktop": 0.40, "tablet": 0.15}, abs=0.011
    )
    assert served["country"].value_counts().min() > 900


def test_labels(logs: Logs, served: pd.DataFrame) -> None:
    """Of the requests 10% stay unlabeled (more are too young), and the log has its share of everything odd."""
    labels = logs.labels
    old = served[served["predicted_at"] < NAIVE_END - pd.Timedelta(days=14)]
    once = labels.drop_duplicates()
    assert old["request_id"].isin(labels["request_id"]).mean() == pytest.approx(0.90, abs=0.01)
    assert once.duplicated(KEY).sum() / len(served) == pytest.approx(0.9 * 0.015, rel=0.2)
    assert once.groupby(KEY)["label"].nunique().eq(once.groupby(KEY).size()).all()
    assert labels.duplicated().sum() / len(labels) == pytest.approx(0.005, rel=0.3)
    assert (~once["request_id"].isin(served["request_id"])).sum() / len(once) == pytest.approx(0.002, rel=0.3)
    assert (labels["revenue"].notna() == (labels["model"] == "breast_cancer")).all()


def test_lag(joined: pd.DataFrame) -> None:
    """Labels come six hours late in the median; 1 in 20 takes days, and some take weeks."""
    hours = (joined["labeled_at"] - joined["predicted_at"]).dt.total_seconds() / 3600
    assert hours.min() > 0
    assert hours.median() == pytest.approx(6, rel=0.1)
    assert hours.quantile(0.95) > 48
    assert hours.max() > 3 * 7 * 24


def test_rollout(served: pd.DataFrame) -> None:
    """v2 has no traffic before day 15, a growing share from then on, and half from day 20."""
    day = (served["predicted_at"] - (NAIVE_END - pd.Timedelta(days=40))) / pd.Timedelta(days=1)
    share = (served["model_version"] == "v2").groupby(pd.cut(day, [0, 15, 17, 19, 21, 40]), observed=True).mean()
    assert share.iloc[0] == 0
    assert share.is_monotonic_increasing
    assert share.iloc[-1] == pytest.approx(0.5, abs=0.02)


def accuracy(rows: pd.DataFrame) -> float:
    """Share of right predictions."""
    return float(accuracy_score(rows["label"], rows["prediction"]))


def recall(rows: pd.DataFrame) -> float:
    """Share of the malignant that were found."""
    return float(recall_score(rows["label"], rows["prediction"], pos_label="malignant"))


def brier(rows: pd.DataFrame) -> float:
    """Mean squared distance of P(malignant) from the truth."""
    return float(brier_score_loss(rows["label"] == "malignant", rows["score"]))


def bias(rows: pd.DataFrame) -> float:
    """How far the mean score lies from the share of the malignant."""
    return abs(float(rows["score"].mean() - (rows["label"] == "malignant").mean()))


@pytest.mark.parametrize(
    ("metric", "better", "margin"), [(accuracy, 1, 0.03), (recall, 1, 0.1), (brier, -1, 0.02), (bias, -1, 0.05)]
)
def test_story(joined: pd.DataFrame, metric: Callable[[pd.DataFrame], float], better: int, margin: float) -> None:
    """v2 is at least as good as v1 until the incident; in the last 7 days it is clearly worse, worst on the phone."""
    binary = joined[joined["model"] == "breast_cancer"]
    incident = NAIVE_END - pd.Timedelta(days=40 * (1 - INCIDENT))
    before = binary[binary["predicted_at"].between(NAIVE_END - pd.Timedelta(days=20), incident)]
    after = binary[binary["labeled_at"] >= NAIVE_END - pd.Timedelta(days=7)]
    old, new = ({v: better * metric(r) for v, r in rows.groupby("model_version")} for rows in (before, after))
    assert old["v2"] > old["v1"]
    assert new["v2"] < new["v1"] - margin
    assert new["v1"] == pytest.approx(old["v1"], abs=0.03)
    devices = {d: better * metric(r) for d, r in after[after["model_version"] == "v2"].groupby("device")}
    assert min(devices, key=lambda device: devices[device]) == "phone"


def test_story_of_iris(joined: pd.DataFrame) -> None:
    """The same in the other model: the accuracy of v2 passes that of v1, then falls below it."""
    iris = joined[joined["model"] == "iris"]
    age = NAIVE_END - iris["predicted_at"]
    after = age < pd.Timedelta(days=8)
    before = ~after & (age < pd.Timedelta(days=20))
    share = {
        (v, w): accuracy(iris[at & (iris["model_version"] == v)])
        for v in ("v1", "v2")
        for w, at in ((0, before), (1, after))
    }
    assert share["v2", 0] > share["v1", 0]
    assert share["v2", 1] < share["v1", 1] - 0.03


def test_written(written: sa.Engine, logs: Logs) -> None:
    """Writing again replaces the rows; what is read back is what was made, NULL where there is no value."""
    for table, frame in ((PREDICTIONS, logs.predictions), (LABELS, logs.labels)):
        with written.connect() as connection:
            found = pd.DataFrame([row._asdict() for row in connection.execute(sa.select(table))])
        pd.testing.assert_frame_equal(in_order(found), in_order(frame), check_dtype=False)


def test_timestamps_as_text(written: sa.Engine) -> None:
    """SQLite holds the one form of timestamp whose order as text is its order in time."""
    with written.connect() as connection:
        stamps = connection.exec_driver_sql("SELECT predicted_at FROM predictions LIMIT 100").scalars().all()
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", stamp) for stamp in stamps)


@pytest.mark.parametrize("name", READING)
def test_mapping(written: sa.Engine, name: str) -> None:
    """Each SELECT runs, also as a subquery, returns the contract's columns and one model's rows."""
    with written.connect() as connection:
        result = connection.exec_driver_sql(f"SELECT * FROM (\n{(SQL / f'{name}.sql').read_text()}\n) AS log")
        columns, rows = list(result.keys()), result.all()
        table = name.removeprefix("iris_")
        model = "iris" if "iris" in name else "breast_cancer"
        count = connection.exec_driver_sql(f"SELECT count(*) FROM {table} WHERE model = '{model}'").scalar_one()
    assert columns == READING[name].split()
    assert len(rows) == count > 5_000


def test_other_rows_stay(tmp_path: Path) -> None:
    """A log that holds other models keeps their rows."""
    engine = connect(f"sqlite:///{tmp_path / 'logs.db'}")
    small = make_logs(END, requests=300)
    write_logs(engine, Logs(small.predictions.assign(model="mine"), small.labels.assign(model="mine")))
    write_logs(engine, small)
    with engine.connect() as connection:
        models = connection.exec_driver_sql("SELECT model, count(*) FROM predictions GROUP BY model ORDER BY 1").all()
    assert [name for name, _ in models] == ["breast_cancer", "iris", "mine"]
    assert models[0][1] + models[1][1] == models[2][1]


def test_foreign_table_refused(tmp_path: Path) -> None:
    """A table `predictions` of another kind is named and left alone."""
    engine = connect(f"sqlite:///{tmp_path / 'logs.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE predictions (model TEXT, request_id TEXT)")
        connection.exec_driver_sql("INSERT INTO predictions VALUES ('iris', 'a')")
    with pytest.raises(ConfigError, match="table predictions of another kind, without a column predicted_at"):
        write_logs(engine, make_logs(END, requests=300))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM predictions").scalar() == 1


def test_schema_file(tmp_path: Path, written: sa.Engine) -> None:
    """sql/schema.sql, run statement by statement, makes the tables that write_logs makes: columns, NULLs, indexes."""
    engine = connect(f"sqlite:///{tmp_path / 'schema.db'}")
    run_schema(engine)
    for table in ("predictions", "labels"):
        assert shape(engine, table) == shape(written, table)


@pytest.fixture(params=["duckdb", "postgres", "mariadb"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An empty database of each other engine."""
    kind = request.param
    url = f"duckdb:///{tmp_path}/logs.duckdb" if kind == "duckdb" else request.getfixturevalue(f"{kind}_database")
    engine = database.connect(url, read_only=False)
    yield engine
    engine.dispose()


@pytest.mark.parametrize("prepare", [True, False], ids=["schema.sql", "own tables"])
def test_engines(engine: sa.Engine, prepare: bool) -> None:  # noqa: FBT001
    """On every engine schema.sql runs, the demo's rows go in, and the SELECTs give them back to the microsecond."""
    if prepare:
        run_schema(engine)
    small = make_logs(END, requests=300)
    write_logs(engine, small)
    with engine.connect() as connection:
        for name, columns in READING.items():
            table = small.labels if name.endswith("labels") else small.predictions
            expected = table[table["model"] == ("iris" if "iris" in name else "breast_cancer")][columns.split()]
            found = pd.DataFrame(connection.exec_driver_sql((SQL / f"{name}.sql").read_text()).all())
            pd.testing.assert_frame_equal(in_order(found), in_order(expected), check_dtype=False)


@pytest.mark.parametrize("prepare", [True, False], ids=["schema.sql", "own tables"])
def test_ids_byte_for_byte(engine: sa.Engine, prepare: bool) -> None:  # noqa: FBT001
    """`a`, `A` and `a ` are three requests on every engine, MariaDB included."""
    if prepare:
        run_schema(engine)
    small = make_logs(END, requests=300)
    three = small.labels.head(3).assign(request_id=["a", "A", "a "])
    write_logs(engine, Logs(small.predictions, three))
    with engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM labels WHERE request_id = 'a'").scalar() == 1


def in_order(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows in an order of their own."""
    return rows.sort_values(list(rows.columns), ignore_index=True)


def connect(url: str) -> sa.Engine:
    """An engine that keeps no connection open behind the test's back."""
    return sa.create_engine(url, poolclass=sa.NullPool)


def run_schema(engine: sa.Engine) -> None:
    """Run sql/schema.sql."""
    with engine.begin() as connection:
        for statement in filter(str.strip, (SQL / "schema.sql").read_text().split(";")):
            connection.exec_driver_sql(statement)


def shape(engine: sa.Engine, table: str) -> tuple[list[tuple[object, ...]], list[tuple[str | None, ...]]]:
    """Columns as (name, Python type, length, NULL allowed) and indexes as (name, columns)."""
    inspector = sa.inspect(engine)
    columns: list[tuple[object, ...]] = [
        (c["name"], c["type"].python_type, getattr(c["type"], "length", None), c["nullable"])
        for c in inspector.get_columns(table)
    ]
    return columns, sorted((index["name"], *index["column_names"]) for index in inspector.get_indexes(table))
