"""The commands, as a person or cron calls them: what they print, what they leave, and the exit codes, each for real."""

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from evaljob.database import connect
from tests import servers
from tests.processes import free_port
from tests.projects import AS_OF, LABELS, PREDICTIONS, Ended, Project, evaljob, locked, process, pushed

KEYS = [
    "model", "model_version", "window", "slice", "slice_value", "class", "metric", "value", "lower", "upper", "support",
    "as_of", "window_start", "window_end",
]  # fmt: skip
FURTHER = {"predicted", "quantile", "bin", "threshold", "strategy", "reason", "column", "age", "of", "reference"}
# What no command imports unless it uses it
OTHERS = {
    "apscheduler", "duckdb", "jinja2", "matplotlib", "mlflow", "pymysql", "scipy.stats", "sklearn",
    "sqlalchemy.dialects.mysql", "sqlalchemy.dialects.postgresql",
}  # fmt: skip
NUMBERS = {"numpy", "pandas", "prometheus_client", "rich", "scipy"}
UNUSED = {
    "--help": OTHERS | NUMBERS | {"http.client", "pydantic", "sqlalchemy", "tenacity", "yaml"},
    "check": OTHERS | NUMBERS,
    "run --no-push": OTHERS | {"http.client", "prometheus_client"},
}
COMMANDS = ["run", "worker", "report", "check", "sql", "init", "demo"]


@pytest.fixture
def project(tmp_path: Path, pushgateway: str) -> Project:
    """A project that has never run, and an empty gateway."""
    return Project.make(tmp_path, pushgateway)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """What `run --output json` prints for the project at 13:00."""
    project = Project.make(tmp_path_factory.mktemp("results"), "http://127.0.0.1:1")
    return project.run("--no-push")


def test_json_numbers(results: Ended) -> None:
    """Of five predictions four are labeled and three of those are right."""
    assert results.code == 0
    assert (results.value("predictions"), results.value("support")) == (4, 4)
    assert results.value("accuracy_ratio") == 3 / 4
    assert results.value("accuracy_ratio", model_version="v1") == 3 / 3
    assert results.value("accuracy_ratio", model_version="v2") == 0 / 1
    assert results.value("accuracy_ratio", slice="country", slice_value="FR") == 1 / 2
    assert results.value("recall_ratio", **{"class": "1"}) == 2 / 3


def test_json_keys(results: Ended) -> None:
    """Each result has the contract's keys in its order, and a metric's further labels only where it has them."""
    further: dict[str, set[str]] = {}
    for row in results.results():
        assert [key for key in row if key not in FURTHER] == KEYS
        further.setdefault(row["metric"], set()).update(FURTHER & row.keys())
    assert {metric: labels for metric, labels in further.items() if labels} == {
        "rejected_rows": {"reason"}, "other_slice_values": {"column"}, "prediction_latency_seconds": {"quantile"},
        "label_lag_seconds": {"quantile"}, "reliability_support": {"bin"}, "reliability_mean_predicted": {"bin"},
        "reliability_observed_ratio": {"bin"}, "confusion": {"predicted"}, "calibration_error": {"strategy"},
        "calibration_error_debiased": {"strategy"}, "threshold_precision_ratio": {"threshold"},
        "threshold_recall_ratio": {"threshold"}, "slice_gap": {"column", "of"}, "slice_ratio": {"column", "of"},
    }  # fmt: skip


def test_json_values(results: Ended) -> None:
    """Undefined is null, times are ISO 8601 in UTC, classes are texts, metrics are named without `evaljob_`."""
    rows = results.results()
    assert {type(row["value"]) for row in rows} == {float, type(None)}
    assert {type(row["class"]) for row in rows} == {str}
    assert {row["class"] for row in rows if row["metric"] != "confusion"} == {"", "1"}
    assert not any(row["metric"].startswith("evaljob") for row in rows)
    times = {name: {row[name] for row in rows} for name in ("as_of", "window_start", "window_end")}
    assert times["as_of"] == times["window_end"] == {"2024-06-01T13:00:00+00:00"}
    assert times["window_start"] == {"2024-06-01T12:00:00+00:00"}
    assert results.value("label_coverage_ratio") is None  # on labeled_at it has no meaning


def test_json_of_a_second_run_is_the_same(project: Project) -> None:
    """An evaluation of a past instant can be repeated to the byte, from the state or afresh, after later rows came."""
    first = project.run()
    project.insert("labels", [("e", 1, "2024-06-01 13:00:00.000000")])
    assert project.run().out == first.out
    assert project.run("--full").out == first.out


def test_as_of(project: Project) -> None:
    """At 12:40 the label of d, which came at 12:45, is not known; at 13:20 that of a has left the window's hour."""
    assert project.evaljob("run", "--as-of", "2024-06-01T12:40", "--output", "json").value("support") == 3
    assert project.evaljob("run", "--as-of", "2024-06-01T15:05+02:00", "--output", "json").value("support") == 4
    assert project.evaljob("run", "--as-of", "2024-06-01 13:20:00", "--output", "json").value("support") == 3


def test_without_as_of(project: Project) -> None:
    """It is the clock's instant, less ten seconds for rows on their way, to the whole second."""
    project.insert("labels", [("e", 0, f"{datetime.now(UTC) - timedelta(seconds=60):%Y-%m-%d %H:%M:%S.%f}")])
    project.insert("labels", [("e", 1, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S.%f}")])
    before = datetime.now(UTC)
    ended = project.evaljob("run", "--output", "json")
    as_of = datetime.fromisoformat(ended.results()[0]["as_of"])
    assert before - timedelta(seconds=11) <= as_of <= datetime.now(UTC) - timedelta(seconds=10)
    assert (as_of.microsecond, ended.value("accuracy_ratio")) == (0, 1)


def test_no_push(project: Project) -> None:
    """Nothing reaches the gateway."""
    assert project.run("--no-push").code == 0
    assert pushed(project.gateway) == []


def test_full(project: Project) -> None:
    """The first run counts everything, the second one steps, and `--full` counts everything again."""
    recounts = []
    for as_of, *arguments in ([AS_OF], ["2024-06-01T13:05:00Z"], ["2024-06-01T13:10:00Z", "--full"]):
        assert project.evaljob("run", "--as-of", as_of, *arguments).code == 0
        (value,) = (group["evaljob_full_recounts"] for group in pushed(project.gateway) if "kind" in group["labels"])
        recounts.append(float(value["metrics"][0]["value"]))
    assert recounts == [1, 1, 2]


def test_prometheus(project: Project) -> None:
    """The text passes promtool; the model is a label, undefined is NaN, and the values are those of the JSON."""
    text = project.evaljob("run", "--as-of", AS_OF, "--output", "prometheus", "--no-push").out
    lint = [servers.program("promtool"), "check", "metrics"]
    checked = subprocess.run(lint, input=text, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {sample.labels["model"] for sample in samples} == {"m"}
    series = {"model": "m", "model_version": "all", "window": "1h", "slice": "overall", "slice_value": ""}
    values = {sample.name: sample.value for sample in samples if sample.labels == series}
    assert values["evaljob_accuracy_ratio"] == 3 / 4
    assert values["evaljob_label_coverage_ratio"] != values["evaljob_label_coverage_ratio"]  # NaN


def test_table(project: Project) -> None:
    """A model's numbers by window and version, its books, and the slices that do worst; within 120 columns."""
    project.replace("windows: [1h]", "windows: [1h, {name: mature, length: 1h, on: predicted_at, maturity: 10m}]")
    lines = project.evaljob("run", "--as-of", AS_OF).out.splitlines()
    assert lines[0] == "m as of 2024-06-01 13:00:00 UTC"
    headings = "version predictions coverage accuracy precision recall ECE AUC p50/p99 p50/p99"
    assert lines[2].split() == headings.split()
    assert lines[4].split()[:3] == ["1h", "4/4", "0.750"]
    # Precision 2/2, recall 2/3, calibration error (0.1 + 0.2 + 0.2 + 0.6) / 4, and every positive scored above b.
    assert lines[4].split()[5:9] == ["1.000", "0.667", "0.275", "1.000"]
    assert [line.split()[0] for line in lines[4:10]] == ["1h", "v1", "v2", "mature", "v1", "v2"]
    assert lines[7].split()[:3] == ["mature", "4/5", "80.0%"]
    assert lines[11] == (
        "mature: 0.0% failed predictions, 0 duplicate predictions, 0 corrected labels, 0 orphan labels, 0 rejected rows"
    )
    assert "Slices that do worst in mature" in lines
    assert max(len(line) for line in lines) <= 120, lines


def test_table_says_what_is_undefined(project: Project) -> None:
    """With fewer labels than min_support a dash stands for the number, and a line below says why."""
    project.replace("min_support: 1", "min_support: 5")
    out = project.evaljob("run", "--as-of", AS_OF).out
    (row,) = (line for line in out.splitlines() if line.startswith("1h "))
    assert row.split()[:3] == ["1h", "4/4", "-"]
    assert "\n- undefined: support below min_support, or nothing to count\n" in out
    assert "worst" not in out


def test_table_of_names_that_are_markup(project: Project) -> None:
    """What a log holds is shown as it is: no colours, no emoji, and no commands to the terminal."""
    project.execute("UPDATE predictions SET country = '[bold]:smile:' || char(27) || '[31m' WHERE country = 'FR'")
    assert "country=[bold]:smile:\\x1b[31m" in project.evaljob("run", "--as-of", AS_OF).out


def test_regression(project: Project) -> None:
    """Numbers instead of classes: of four predictions one says 2 for 1, so the mean absolute error is 1/4."""
    project.replace("    task: binary\n    positive_label: 1\n", "    task: regression\n")
    project.execute("UPDATE predictions SET prediction = 2 WHERE request_id = 'a'")
    project.execute("UPDATE labels SET label = 0 WHERE request_id = 'd'")
    assert project.run("--full").value("mean_absolute_error") == 1 / 4
    out = project.evaljob("run", "--as-of", AS_OF).out
    assert out.splitlines()[2].split()[:3] == ["version", "predictions", "MAE"]


def test_closed_pipe(project: Project) -> None:
    """Whoever reads the output may stop reading: no traceback, results pushed, and the exit code is that of the run."""
    command = f"{sys.executable} -c 'from evaljob.cli import main; main()' run --as-of {AS_OF} --output json"
    shell = ["bash", "-c", f"set -o pipefail; {command} | true"]
    ended = subprocess.run(shell, cwd=project.folder, capture_output=True, text=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (0, False), ended.stderr
    assert len(pushed(project.gateway)) == 2


def test_check(project: Project) -> None:
    """Everything that was looked at stands on a line of its own; nothing is pushed."""
    ended = project.evaljob("check")
    assert (ended.code, ended.err) == (0, "")
    assert [line.split(":")[0] for line in ended.out.splitlines()] == [
        f"ok     configuration {project.folder}/config.yaml",
        "ok     evaluation m",
        "ok     state",
        "ok     pushgateway",
    ]
    assert "predictions.sql: 5 rows of request_id, predicted_at, " in ended.out
    assert "labels.sql: 4 rows of request_id, label, labeled_at" in ended.out
    assert "pushgateway: answers; holds results of no model yet" in ended.out
    assert pushed(project.gateway) == []


def test_check_of_a_gateway_that_is_down(project: Project) -> None:
    """The one thing that is wrong is told beside what is right, with the exit code of a push that fails."""
    project.replace(project.gateway, f"http://127.0.0.1:{free_port()}")
    ended = project.evaljob("check")
    assert ended.code == 3
    assert [line[:5] for line in ended.out.splitlines()] == ["ok   ", "ok   ", "ok   ", "WRONG"]


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
def engine(request: pytest.FixtureRequest, project: Project) -> Iterator[sa.Engine]:
    """The project's logs in one of three databases, which the configuration names."""
    url = f"sqlite:///{project.folder}/logs.db"
    if request.param != "sqlite":
        url = request.getfixturevalue(f"{request.param}_database")
        project.replace("sqlite:///logs.db", url)
    made = connect(url, read_only=False)
    if request.param != "sqlite":
        create(made)
    yield made
    made.dispose()


def test_sql(project: Project, engine: sa.Engine) -> None:
    """The statements run as they stand in the database's own language, with percent signs, colons and comments."""
    condition = "country LIKE '%' AND ':colon' <> '%s' -- 100% of them"
    (project.folder / "predictions.sql").write_text(f"SELECT * FROM predictions WHERE {condition}")
    ended = project.evaljob("sql", "--as-of", "2024-06-01T12:46")
    assert (ended.code, ended.err) == (0, "")
    full, step = ended.out.removesuffix(";\n").split(";\n\n")
    assert full.startswith("-- m: full count as of 2024-06-01 12:46:00+00:00\nWITH ")
    assert step.startswith("-- m: step from 2024-06-01 12:41:00+00:00 to 2024-06-01 12:46:00+00:00\nWITH ")
    assert sum(row["n"] for row in rows_of(engine, full) if row["kind"] == 3 and row["group"] == 0) == 4
    # d got its label in these five minutes: counted as it was, unlabeled and outside, and as it is.
    assert sum(row["n"] for row in rows_of(engine, step) if row["kind"] == 3 and row["group"] == 0) == 1


def test_init(tmp_path: Path) -> None:
    """The files load, and hold for the demo's logs when they are pointed at them; existing files are left alone."""
    (tmp_path / "sql").mkdir()
    (tmp_path / "sql" / "labels.sql").write_text("SELECT 1 AS mine")
    ended = evaljob("init", tmp_path)
    written = ["config.yaml", "sql/predictions.sql"]
    assert (ended.code, ended.out) == (0, "".join(f"wrote {tmp_path}/{name}\n" for name in written))
    assert (tmp_path / "sql" / "labels.sql").read_text() == "SELECT 1 AS mine"
    assert evaljob("init", tmp_path).out == ""


def test_init_and_check(tmp_path: Path, pushgateway: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `init` writes passes `check` and runs on logs with the columns that it names."""
    monkeypatch.setenv("EVALJOB_PUSHGATEWAY_URL", pushgateway)
    project = Project.make(tmp_path, pushgateway)
    (tmp_path / "config.yaml").unlink()
    assert evaljob("init", tmp_path).code == 0
    checked = project.evaljob("check")
    assert (checked.code, checked.out.count("ok   ")) == (0, 4), checked.out
    ended = project.evaljob("run", "--as-of", AS_OF, "--output", "json")
    assert {row["value"] for row in ended.results() if row["metric"] == "support"} == {4.0, 3.0, 1.0, 0.0}


def test_demo(tmp_path: Path) -> None:
    """The logs of two models; the same seed and end make the same ones, and a run evaluates both."""
    project = Project.make(tmp_path, "http://127.0.0.1:1")
    project.replace("logs.db", "demo.db")
    first, second = (project.evaljob("demo", "--requests", 1000, "--end", "2024-06-01") for _ in range(2))
    assert (first.code, second.code) == (0, 0)
    assert first.out == second.out
    made, story = first.out.splitlines()
    assert made.endswith(f" labels in sqlite:///{tmp_path}/demo.db")
    assert story.startswith("Version v2 joins v1 on 2024-05-07. From 2024-05-24 on its features come in inches")
    with closing(sqlite3.connect(tmp_path / "demo.db")) as connection:
        models = connection.execute("SELECT model, count(*) FROM predictions GROUP BY model").fetchall()
        (latest,) = connection.execute("SELECT max(labeled_at) FROM labels").fetchone()
    assert [model for model, _ in models] == ["breast_cancer", "iris"]
    assert 1000 <= sum(n for _, n in models) < 1050
    assert "2024-05-30" < latest < "2024-06-01"


def test_demo_forgets_the_states_of_other_logs(project: Project) -> None:
    """Logs that are replaced are not stepped from: the next run begins afresh."""
    assert project.run().code == 0
    project.execute("DROP TABLE predictions; DROP TABLE labels;")
    assert project.evaljob("demo", "--requests", 1000, "--end", "2024-06-01").code == 0
    assert project.run().code == 0
    status, _ = pushed(project.gateway)
    assert status["evaljob_full_recounts"]["metrics"][0]["value"] == "1"


def test_help() -> None:
    """Every command explains itself with an example; the exit codes stand in the help of all."""
    for command in COMMANDS:
        ended = evaljob(command, "--help")
        assert ended.code == 0
        assert "Example" in ended.out
        assert f"evaljob {command}" in ended.out
    assert "Exit codes: 0 done and pushed; 1 the evaluation failed; 2 configuration" in evaljob("--help").out


@pytest.mark.parametrize("command", UNUSED)
def test_no_library_is_imported_that_is_not_used(project: Project, command: str) -> None:
    """Each takes memory and a part of the time in which a command answers."""
    told = "import atexit\natexit.register(lambda: print('\\n', *sys.modules))"
    ended = process(*command.split(), cwd=project.folder, start=told)
    imported = set(ended.out.splitlines()[-1].split())
    assert ended.code == 0
    assert "click" in imported
    assert not imported & UNUSED[command]


def test_exit_code_0(project: Project) -> None:
    """Done and pushed: results and status, each in a group of their own."""
    ended = project.run()
    assert (ended.code, ended.err) == (0, "")
    assert [group["labels"] for group in pushed(project.gateway)] == [
        {"job": "evaljob", "kind": "status", "model": "m"},
        {"job": "evaljob", "model": "m"},
    ]


def test_exit_code_1(project: Project) -> None:
    """The logs are locked by somebody else: the last results stay, and the status says that this run failed."""
    assert project.run().code == 0
    results, _ = (group for group in reversed(pushed(project.gateway)))
    project.replace("sqlite:///logs.db", "sqlite:///logs.db?timeout=0.1")
    with locked(project.folder / "logs.db"):
        ended = project.run()
    assert (ended.code, ended.err) == (1, "Error: m: the database failed: database is locked\n")
    status, still = pushed(project.gateway)
    assert still == results
    assert status["evaljob_last_run_success"]["metrics"][0]["value"] == "0"
    assert project.run().code == 0


def test_exit_code_2(project: Project) -> None:
    """What is wrong with the configuration is on standard error, for cron's mail."""
    project.replace("task: binary", "task: binaries")
    ended = process("run", cwd=project.folder)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Error: config.yaml:6: evaluations[0].task: 'binaries' must be 'binary', 'multiclass'")


def test_exit_code_3(project: Project) -> None:
    """Nobody listens at the gateway's address: the results are printed and stored, and the next run pushes."""
    gateway = f"http://127.0.0.1:{free_port()}"
    project.replace(project.gateway, gateway)
    ended = project.run()
    assert (ended.code, ended.value("accuracy_ratio")) == (3, 3 / 4)
    assert ended.err.startswith(f"Error: {gateway}: PUT failed: ")
    assert (project.folder / "state.db").exists()
    project.replace(gateway, project.gateway)
    assert project.run().code == 0
    assert len(pushed(project.gateway)) == 2


def create(engine: sa.Engine) -> None:
    """The project's logs on a server."""
    stamp = "datetime(6)" if engine.dialect.name in ("mysql", "mariadb") else "timestamp"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE predictions (request_id varchar(9), predicted_at {stamp}, model_version varchar(9), "
            "prediction integer, score double precision, latency_seconds double precision, country varchar(9))"
        )
        connection.exec_driver_sql(
            f"CREATE TABLE labels (request_id varchar(9), label integer, labeled_at {stamp})",
        )
        for table, rows in (("predictions", PREDICTIONS), ("labels", LABELS)):
            for row in rows:
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES {row!r}")


def rows_of(engine: sa.Engine, statement: str) -> list[dict[str, Any]]:
    """What a statement returns when it is pasted into the database's own client."""
    with engine.connect() as connection, closing(connection.connection.cursor()) as cursor:
        cursor.execute(statement)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
