"""Backfill: exactly what runs would have published, whatever interrupts it, in a form that Prometheus takes."""

import io
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlencode

import pandas as pd
import pytest
import sqlalchemy as sa
from prometheus_client.openmetrics.parser import text_fd_to_metric_families
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from evaljob import openmetrics, progress
from evaljob.config import Evaluation
from evaljob.errors import EvaluationError
from evaljob.gauges import INSTANTS
from evaljob.metrics import evaluate
from evaljob.state import to_microseconds
from tests import past, servers
from tests.past import Kept, hours
from tests.processes import free_port, program, run, running
from tests.projects import Ended, Project, process
from tests.servers import fetch

NUMBERS = ("metric", "value", "lower", "upper", "support", "as_of", "window_start", "window_end")
Labels: TypeAlias = tuple[tuple[str, str], ...]
BOUNDS = {"value": "", "lower": "_lower", "upper": "_upper"}


class Sample(NamedTuple):
    """A sample; its value as text, for NaN is not equal to itself."""

    name: str
    labels: Labels
    value: str
    at: float

    @property
    def as_scraped(self) -> tuple[str, Labels, str]:
        """Without the instant."""
        return self[:3]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project in SQLite, without a gateway."""
    return past.project(tmp_path / "project")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    """What runs at 44, 45, ... 49 h keep, each by a full count of its own."""
    twin = past.project(tmp_path_factory.mktemp("twin") / "project")
    run_each(twin, *range(44, 50))
    return past.kept(twin)


def backfill(project: Project, start: float, end: float, *arguments: object, every: str = "1h") -> Ended:
    """Backfill from one hour of the logs to another."""
    span = ("--from", hours(start).isoformat(), "--to", hours(end).isoformat(), "--every", every)
    return project.evaljob("backfill", *span, *arguments)


def run_each(project: Project, *as_of: float) -> None:
    """Evaluate instants by themselves, each by a full count."""
    for h in as_of:
        assert project.evaljob("run", "--as-of", hours(h).isoformat(), "--full").code == 0


def test_a_backfill_is_what_runs_would_have_published(project: Project, undisturbed: Kept) -> None:
    """Five hourly steps through late, corrected and missing labels: bit for bit the runs with `--as-of`."""
    assert backfill(project, 44, 49).code == 0
    assert len(undisturbed) == 6
    assert past.kept(project) == undisturbed


def test_a_backfill_on_postgresql(postgres_database: str, tmp_path: Path, undisturbed: Kept) -> None:
    """The same where logs and state live in one PostgreSQL database."""
    project = past.project(tmp_path / "project", database=postgres_database)
    assert backfill(project, 44, 49).code == 0
    assert past.kept(project) == undisturbed


def test_steps_longer_than_they_are_worth(project: Project, tmp_path: Path) -> None:
    """With a day between the instants each is counted afresh, and the end need not be one: 24, 48 and 72 h of 80."""
    twin = past.project(tmp_path / "twin")
    assert backfill(project, 24, 80, every="1d").code == 0
    run_each(twin, 24, 48, 72)
    assert past.kept(project) == past.kept(twin)


def test_live_runs_go_on_from_their_own_state(project: Project, tmp_path: Path) -> None:
    """A backfill leaves the state as it was, so that a run after it steps as one without it does."""
    run_each(project, 50)
    before = past.state(project)
    assert backfill(project, 40, 42).code == 0
    assert past.state(project) == before
    twin = past.project(tmp_path / "twin")
    run_each(twin, 50)
    for each in (project, twin):
        assert each.evaljob("run", "--as-of", hours(51).isoformat()).code == 0
    assert past.state(project) == past.state(twin)


# Ends the process when it stores the third instant, before or after a function of the backfill does its part.
KILLED = """
import os, signal
from evaljob import backfill
backfill.COMMIT_EVERY = 0.0
call, calls = backfill.{function}, []
def killing(*args):
    calls.append(args)
    if len(calls) < 3:
        return call(*args)
    if "{when}" == "after":
        call(*args)
    os.kill(os.getpid(), signal.SIGKILL)
backfill.{function} = killing
"""


@pytest.mark.parametrize(
    ("function", "when", "done"),
    [("history.record", "before", 2), ("history.record", "after", 2), ("_save", "after", 3)],
    ids=["in the transaction", "before it is committed", "after"],
)
def test_an_interrupted_backfill_goes_on(
    project: Project, undisturbed: Kept, function: str, when: str, done: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Killed while it stores the third of six instants, it goes on after the last one stored and ends the same."""
    span = ("--from", hours(44).isoformat(), "--to", hours(49).isoformat())
    start = KILLED.format(function=function, when=when)
    assert process("backfill", *span, cwd=project.folder, start=start).code == -9
    assert list(past.kept(project)) == [(to_microseconds(hours(44 + h)), "m") for h in range(done)]
    with caplog.at_level(logging.INFO):
        assert project.evaljob("backfill", *span).code == 0
    assert f"with {done} of 6 instants done" in caplog.text
    assert "full count" not in caplog.text
    assert past.kept(project) == undisturbed
    assert past.rows_of(project, "SELECT model FROM evaljob_backfill") == []


@contextmanager
def interrupted(monkeypatch: pytest.MonkeyPatch, after: int) -> Iterator[None]:
    """Backfills in the block store every instant by itself, and somebody presses Ctrl-C after so many."""

    def report(_log: progress.Log, _model: str, done: int, *_: object) -> None:
        if done == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("evaljob.backfill.COMMIT_EVERY", 0.0)
        patch.setattr(progress.Log, "__call__", report)
        yield


def test_another_configuration_starts_over(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A threshold that is changed while a backfill is interrupted holds for all of its instants."""
    with interrupted(monkeypatch, after=2):
        assert backfill(project, 44, 46).code == 130
    assert len(past.kept(project)) == 2
    twin = past.project(tmp_path / "twin")
    for each in (project, twin):
        each.replace("min_support: 3", "min_support: 30")
        assert backfill(each, 44, 46).code == 0
    assert past.kept(project) == past.kept(twin)


def test_a_damaged_checkpoint_starts_over(
    project: Project, undisturbed: Kept, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Cells that cannot be read are counted afresh, never guessed."""
    with interrupted(monkeypatch, after=2):
        backfill(project, 44, 49)
    in_state_database(project, "UPDATE evaljob_backfill SET cells = x'789c'")
    with caplog.at_level(logging.INFO):
        assert backfill(project, 44, 49).code == 0
    assert caplog.text.count("full count") == 1
    assert past.kept(project) == undisturbed


def in_state_database(project: Project, statement: str) -> None:
    """Change what a project has stored."""
    engine = sa.create_engine(past.config(project).state.url.get_secret_value())
    with engine.begin() as connection:
        connection.execute(sa.text(statement))
    engine.dispose()


REFUSED = [
    (("--from", "2024-05-02", "--to", "2024-05-01"), "--to: 2024-05-01T00:00:00+00:00 lies before --from"),
    (("--from", "2024-05-02", "--to", "2924-05-01"), "--to: 2924-05-01T00:00:00+00:00 is still to come"),
    (("--from", "2024-05-02", "--to", "2024-05-03", "--every", "0s"), "--every: must be longer than nothing"),
    (("--from", "2024-05-02", "--to", "2024-05-03", "--every", "soon"), "'soon' must be a duration"),
    (("--from", "2024-05-02", "--to", "2024-05-03", "--openmetrics", "no/x"), "no: there is no such directory"),
    (("--from", "2024-05-02"), "--to"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED)
def test_what_cannot_be_filled_is_refused(project: Project, arguments: tuple[str, ...], message: str) -> None:
    """Spans without instants or in the future and files that cannot be end with exit code 2 before anything is made."""
    ended = project.evaljob("backfill", *arguments)
    assert (ended.code, message in ended.err) == (2, True), ended.err
    assert not (project.folder / "state.db").exists()


def test_a_model_that_fails_does_not_keep_the_others(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first of two models fails: exit code 1, the second one's history is there, and no file is written.

    The same command then fills the first and writes the file.
    """
    config = project.folder / "config.yaml"
    text = config.read_text()
    config.write_text(text + text.partition("evaluations:\n")[2].replace("model: m", "model: n"))
    file = tmp_path / "points.om"
    with monkeypatch.context() as patch:
        patch.setattr("evaljob.backfill.evaluate", failing("m"))
        ended = backfill(project, 44, 45, "--openmetrics", file)
    assert (ended.code, ended.err.count("Error: out of luck")) == (1, 1)
    assert {model for _, model in past.kept(project)} == {"n"}
    assert not file.exists()
    assert backfill(project, 44, 45, "--openmetrics", file).code == 0
    assert {dict(sample.labels)["model"] for sample in samples(file)} == {"m", "n"}


def failing(model: str) -> Callable[..., pd.DataFrame]:
    """Evaluates every model but one."""

    def evaluate_(evaluation: Evaluation, *args: Any) -> pd.DataFrame:
        if evaluation.model == model:
            raise EvaluationError("out of luck")
        return evaluate(evaluation, *args)

    return evaluate_


def samples(file: Path) -> list[Sample]:
    """The samples of an OpenMetrics file, by a parser that refuses what the format does not allow."""
    with file.open(encoding="utf-8", newline="\n") as text:
        found = [sample for family in text_fd_to_metric_families(text) for sample in family.samples]  # type: ignore[no-untyped-call]
    return [Sample(one.name, labels(one.labels), repr(float(one.value)), float(one.timestamp)) for one in found]


def test_openmetrics_is_the_history(project: Project, tmp_path: Path) -> None:
    """Every result at the span's instants is a sample at its `as_of`; that of 45:30, also in the history, is none."""
    run_each(project, 45.5)
    file = tmp_path / "points.om"
    assert backfill(project, 44, 47, "--openmetrics", file).code == 0
    found = set(samples(file))
    history = project.evaljob("history", "--output", "json").results()
    expected = {
        Sample(f"evaljob_{row['metric']}", of_job(row), repr(number(row["value"])), seconds(row["as_of"]))
        for row in history
        if seconds(row["as_of"]) % 3600 == 0
    }
    assert 0.75 < len(expected) / len(history) < 0.85  # four instants of five
    assert expected <= found
    others = {name.removeprefix("evaljob_") for name, *_ in found - expected}
    assert {name for name in others if not name.endswith(("_lower", "_upper"))} == set(INSTANTS)


def labels(record: Mapping[str, Any], *others: str) -> Labels:
    """The labels that are not empty, sorted."""
    return tuple(sorted((name, value) for name, value in record.items() if name not in others and value != ""))


def of_job(row: Mapping[str, Any]) -> Labels:
    """The labels of a result as they are published."""
    return labels({**row, "job": "evaljob"}, *NUMBERS)


def seconds(instant: str) -> float:
    """An ISO 8601 instant as seconds since 1970."""
    return datetime.fromisoformat(instant).timestamp()


def number(value: float | None) -> float:
    """A value of JSON, where undefined is null."""
    return float("nan") if value is None else float(value)


def test_openmetrics_is_what_a_scrape_would_show(pushgateway: str, tmp_path: Path) -> None:
    """The samples at 46 h are those that the Pushgateway exposes once the run at 46 h has pushed."""
    project = past.project(tmp_path / "project", pushgateway)
    file = tmp_path / "points.om"
    assert backfill(project, 45, 47, "--openmetrics", file).code == 0
    assert project.evaljob("run", "--as-of", hours(46).isoformat()).code == 0
    scraped = text_string_to_metric_families(fetch(f"{pushgateway}/metrics"))
    pushed = [sample for family in scraped for sample in family.samples if sample.name.startswith("evaljob_")]
    results = [(one.name, labels(one.labels), repr(float(one.value))) for one in pushed if "kind" not in one.labels]
    at_46 = [sample.as_scraped for sample in samples(file) if sample.at == hours(46).timestamp()]
    assert len(results) > 1000
    assert sorted(results) == sorted(at_46)


def test_prometheus_has_the_points(project: Project, tmp_path: Path) -> None:
    """The blocks that promtool makes of the file give a real Prometheus each accuracy, with bounds, at each instant."""
    file, blocks = tmp_path / "points.om", tmp_path / "data"
    assert backfill(project, 44, 50, "--openmetrics", file).code == 0
    make = ["tsdb", "create-blocks-from", "--max-block-duration=720h", "openmetrics", str(file), str(blocks)]
    run([program("promtool"), *make], tmp_path)
    with prometheus(blocks) as url:
        found = {name: points(url, f"evaljob_accuracy_ratio{suffix}", 50) for name, suffix in BOUNDS.items()}
    history = project.evaljob("history", "--metric", "accuracy_ratio", "--output", "json").results()
    assert len({row["as_of"] for row in history}) == 7
    for name in BOUNDS:
        assert found[name] == {(of_job(row), seconds(row["as_of"])): repr(number(row[name])) for row in history}


@contextmanager
def prometheus(data: Path) -> Iterator[str]:
    """A Prometheus over a directory with data, which scrapes nothing. Yields its URL."""
    address = f"127.0.0.1:{free_port()}"
    (data / "prometheus.yml").write_text("{}")
    options = [f"--storage.tsdb.path={data}", "--storage.tsdb.retention.time=100y", f"--web.listen-address={address}"]
    command = [program("prometheus"), f"--config.file={data}/prometheus.yml", *options]
    with running(command, data, lambda: servers.answers(f"http://{address}/-/ready")):
        yield f"http://{address}"


def points(url: str, metric: str, until: float) -> dict[tuple[Labels, float], str]:
    """Every stored point of a metric's series in the day up to an hour of the logs."""
    query = urlencode({"query": f"{metric}[1d]", "time": hours(until).timestamp()})
    series = json.loads(fetch(f"{url}/api/v1/query?{query}"))["data"]["result"]
    return {
        (labels(one["metric"], "__name__"), stamp): repr(float(value))
        for one in series
        for stamp, value in one["values"]
    }


def test_memory_bounds_how_much_is_read_at_once(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read metric by metric, the file is the same as when all are read at once."""
    files = [tmp_path / "once.om", tmp_path / "often.om"]
    backfill(project, 44, 45, "--openmetrics", files[0])
    monkeypatch.setattr(openmetrics, "TOGETHER", 1)
    backfill(project, 44, 45, "--openmetrics", files[1])
    assert files[0].read_text() == files[1].read_text()


def test_values_of_labels_are_escaped(project: Project, tmp_path: Path) -> None:
    """A slice value with quotes, backslashes and a line break is read back as it is."""
    value = 'say "\\no\\"\n'
    engine = sa.create_engine(f"sqlite:///{project.folder / 'logs.db'}")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE predictions SET country = :value WHERE country = 'DE'"), {"value": value})
    engine.dispose()
    file = tmp_path / "points.om"
    assert backfill(project, 48, 48, "--openmetrics", file).code == 0
    assert {dict(sample.labels).get("slice_value") for sample in samples(file)} == {None, "FR", "US", value}


def test_points_that_retention_has_removed(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that would miss instants is not written: exit code 1, and the next backfill makes them again."""
    file = tmp_path / "points.om"
    with interrupted(monkeypatch, after=2):
        backfill(project, 44, 46)
    in_state_database(project, "DELETE FROM evaljob_history")
    ended = backfill(project, 44, 46, "--openmetrics", file)
    assert (ended.code, file.exists()) == (1, False)
    assert "m: 2 of 3 instants are not in the history any more; raise state.history_retention" in ended.err
    assert backfill(project, 44, 46, "--openmetrics", file).code == 0
    assert len({sample.at for sample in samples(file)}) == 3


def test_what_the_next_run_would_remove_is_said(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """Instants that lie before what is kept are filled, with a warning that names the key to raise."""
    project.replace("3650d", "90d")
    assert backfill(project, 44, 44).code == 0
    assert "state.history_retention: the next run removes" in caplog.text


def test_the_log_tells_the_time_left(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 s after a resumed backfill's first report 8 more of 20 instants are done: the other 8 take 10 s."""
    log, clock = progress.Log(), iter([0.0, 5.0, 10.0, 20.0])
    monkeypatch.setattr(progress, "_now", lambda: next(clock))
    with caplog.at_level(logging.INFO):
        for done in (4, 8, 12, 20):
            log("m", done, 20, hours(done))
    assert [record.getMessage() for record in caplog.records] == [
        "m: 12 of 20 instants, to 2024-05-01T12:00:00+00:00, about 10s left",
        "m: 20 of 20 instants, to 2024-05-01T20:00:00+00:00",
    ]


def test_a_terminal_shows_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal each model has a bar with the instants done, where it stands, and the time left."""
    terminal = io.StringIO()
    monkeypatch.setattr(progress, "Console", lambda **_: Console(file=terminal, force_terminal=True, width=120))
    with progress.reporting() as report:
        report("a[b]", 1, 5, hours(1))
        report("a[b]", 5, 5, hours(5))
    assert all(text in terminal.getvalue() for text in ("a[b]", "5/5", "2024-05-01 05:00", "0:00:00"))
