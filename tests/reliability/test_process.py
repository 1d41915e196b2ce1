"""Rows 7, 9, 10 and 11: processes that are killed, told to stop, absent, too slow; clocks that jump."""

import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine

from tests.processes import wait_until
from tests.projects import Ended, Project
from tests.reliability.conftest import Record
from tests.reliability.support import SLOW, Shown, connected, started, waiting
from tests.reliability.test_database import asleep

LATER = "2024-06-01T13:05:00Z"
AT_LATER = 1717247100
PROCESS_1 = ("unshare", "--pid", "--fork", "--kill-child")
NEW_ROWS = [("e", 1, "2024-06-01 13:01:00.000000"), ("a", 0, "2024-06-01 13:02:00.000000")]
STAGES = {
    "before the count": ("evaljob.job", "advance"),
    "in the transaction, before its history": ("evaljob.job", "keep"),
    "after the commit, before the push": ("evaljob.job", "publish"),
    "after the results, before the status": ("evaljob.push", "push_status"),
}


@pytest.fixture(scope="module")
def twin(tmp_path_factory: pytest.TempPathFactory, pushgateway_url: str) -> Project:
    """A project that has run at 13:00 and whose logs have grown since."""
    made = Project.make(tmp_path_factory.mktemp("twin"), pushgateway_url)
    made.replace("windows: [1h]", "windows: [1h, 1d]")
    assert made.run().code == 0
    made.insert("labels", NEW_ROWS)
    return made


def everything(project: Project) -> tuple[Ended, str, list[tuple[str, str, str]]]:
    """What a run at the later instant gives: its results, the whole history, what the gateway holds."""
    ended = project.evaljob("run", "--as-of", LATER, "--output", "json")
    history = project.evaljob("history", "--output", "csv", "--slice", "overall", "--slice", "country")
    return ended, history.out, Shown.of(project.gateway).results


@pytest.fixture(scope="module")
def undisturbed(
    twin: Project, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Ended, str, list[tuple[str, str, str]]]:
    """What the twin comes to that nobody kills."""
    return everything(twin.copy(tmp_path_factory.mktemp("undisturbed")))


@pytest.mark.parametrize("stage", STAGES)
def test_07_killed_at_a_stage(
    twin: Project,
    undisturbed: tuple[Ended, str, list[tuple[str, str, str]]],
    tmp_path: Path,
    stage: str,
    record: Record,
) -> None:
    """SIGKILL, then the same run again: all is as the twin has it. All stages: tests/test_sigkill.py."""
    project = twin.copy(tmp_path)
    with started(project, "run", "--as-of", LATER, start=waiting(*STAGES[stage])) as running:
        running.met()
        running.process.kill()
        assert running.ended().code == -9
    again, history, shown = everything(project)
    expected, *rest = undisturbed
    assert (again.code, again.out) == (0, expected.out)
    assert [history, shown] == rest
    record(f"SIGKILL {stage}", published="what the undisturbed twin has, history and gateway")


def test_09_sigterm_to_a_run_as_process_1(postgres_project: Project, postgres_database: str, record: Record) -> None:
    """In the middle of its query: it ends at once, holds no session any more, and the next run does its work."""
    if subprocess.run([*PROCESS_1, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this account may not make a process 1")
    (postgres_project.folder / "predictions.sql").write_text(SLOW.format(seconds=30))
    with started(postgres_project, "run", "--as-of", LATER, wrapper=PROCESS_1) as running:
        wait_until(lambda: asleep(postgres_database), "the query")
        began = time.monotonic()
        terminate_child(running.process.pid)
        ended = running.ended()
        seconds = time.monotonic() - began
    assert ended.code == 143
    assert "SIGTERM: the command is aborted" in ended.err
    wait_until(lambda: not sessions(postgres_database), "the end of its sessions", timeout=35)
    (postgres_project.folder / "predictions.sql").write_text("SELECT * FROM predictions")
    assert postgres_project.evaljob("run", "--as-of", LATER).code == 0
    record("SIGTERM to `run` as process 1", seconds=seconds, published="exit 143, nothing; next run: all")


def test_09_sigterm_to_a_worker_as_process_1(postgres_project: Project, postgres_database: str, record: Record) -> None:
    """In the middle of a run: within its grace the run is finished and published, and no session is left."""
    if subprocess.run([*PROCESS_1, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this account may not make a process 1")
    (postgres_project.folder / "predictions.sql").write_text(SLOW.format(seconds=2))
    with (postgres_project.folder / "config.yaml").open("a") as config:
        config.write("worker: {port: 0}\n")
    with started(postgres_project, "worker", wrapper=PROCESS_1) as running:
        wait_until(lambda: asleep(postgres_database), "the query")
        began = time.monotonic()
        terminate_child(running.process.pid)
        ended = running.ended()
        seconds = time.monotonic() - began
    assert ended.code == 0, ended.err
    assert "SIGTERM: the current run may finish" in ended.err
    assert seconds < 25
    assert Shown.of(postgres_project.gateway).status[0] == 1
    assert not sessions(postgres_database)
    record("SIGTERM to `worker` as process 1", seconds=seconds, published="exit 0; the run that was going on")


def terminate_child(wrapper: int) -> None:
    """Send SIGTERM to process 1 of the namespace that this process has made."""
    child = Path(f"/proc/{wrapper}/task/{wrapper}/children").read_text().strip()
    subprocess.run(["kill", "-TERM", child], check=True)  # noqa: S607


def sessions(url: str) -> int:
    """How many other sessions there are in this database."""
    with connected(url) as connection:
        asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        return int(connection.exec_driver_sql(asked).scalar_one())


def test_10_six_hours_down(project: Project, record: Record) -> None:
    """A worker that comes back evaluates once, at the present instant, and its state is what a full count gives."""
    project.replace("windows: [1h]", "windows: [1h, 30d]")
    with (project.folder / "config.yaml").open("a") as config:
        config.write("worker: {port: 0}\nschedule: {every: 1h}\n")
    now = datetime.now(UTC)
    for number in range(12):
        at = f"{now - timedelta(hours=number, minutes=7):%Y-%m-%d %H:%M:%S.%f}"
        project.insert("predictions", [(f"new{number}", at, "v1", 1, 0.9, 0.01, "DE")])
        project.insert("labels", [(f"new{number}", number % 2, at)])
    assert project.evaljob("run", "--as-of", f"{now - timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}").code == 0
    with started(project, "worker") as running:
        wait_until(lambda: Shown.of(project.gateway).value("as_of_timestamp_seconds") > now.timestamp() - 60, "a run")
        seconds = time.monotonic() - running.began
        wait_until(lambda: Shown.of(project.gateway).status[1] > now.timestamp(), "its status")
        running.process.terminate()
        ended = running.ended()
    assert ended.err.count("evaluation: exit code 0") == 1
    shown, full = Shown.of(project.gateway), project.evaljob("run", "--full", "--no-push", "--output", "json")
    assert shown.value("support", window="30d") == full.value("support", window="30d") == 12
    assert shown.value("accuracy_ratio", window="30d") == full.value("accuracy_ratio", window="30d") == 0.5
    record("six hours down, then up", seconds=seconds, published="one run at the present instant; 12 of 12 rows")


JUMPS = {
    "the end of summer time": ("2024-10-27 00:30:00.000000", 8),
    "its beginning": ("2024-03-31 00:30:00.000000", 8),
    "a leap day": ("2024-02-28 22:30:00.000000", 28),
    "the end of a year": ("2024-12-31 21:30:00.000000", 8),
}


@pytest.mark.parametrize("night", JUMPS)
def test_11_no_sample_twice_or_lost(
    project: Project, record: Record, monkeypatch: pytest.MonkeyPatch, night: str
) -> None:
    """A label every ten minutes, a run every hour over the last hour, in Berlin: each counts exactly once."""
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    text, hours = JUMPS[night]
    first = datetime.fromisoformat(text).replace(tzinfo=UTC)
    stamps = [first + timedelta(minutes=10 * i) for i in range(6 * hours)]
    project.execute("DELETE FROM labels; DELETE FROM predictions;")
    project.insert(
        "predictions", [(f"{i}", f"{at:%Y-%m-%d %H:%M:%S.%f}", "v", 1, 0.5, 0, "DE") for i, at in enumerate(stamps)]
    )
    project.insert("labels", [(f"{i}", 1, f"{at:%Y-%m-%d %H:%M:%S.%f}") for i, at in enumerate(stamps)])
    supports = []
    for hour in range(hours + 1):
        with time_machine.travel(first + timedelta(hours=hour, seconds=10), tick=False):  # `settle` behind
            ended = project.evaljob("run", "--no-push", "--output", "json")
        supports.append(ended.value("support"))
    time.tzset()
    assert supports == [0, *[6] * hours]
    record(f"hourly runs over {night}", published=f"{6 * hours} samples, each once")
    monkeypatch.undo()
    time.tzset()


def test_11_the_clock_is_set_back(project: Project, record: Record, caplog: pytest.LogCaptureFixture) -> None:
    """By an hour: nothing is published until time has come to where it was, and that is said; then all goes on."""
    noon = datetime(2024, 6, 1, 13, tzinfo=UTC)
    with time_machine.travel(noon, tick=False):
        assert project.evaljob("run").code == 0
    before = Shown.of(project.gateway)
    with time_machine.travel(noon - timedelta(hours=1), tick=False):
        ended = project.evaljob("run")
    assert ended.code == 0
    assert "which is later than now; nothing is done" in caplog.text
    assert Shown.of(project.gateway).results == before.results
    with time_machine.travel(noon + timedelta(minutes=5), tick=False):
        assert project.evaljob("run").code == 0
    assert Shown.of(project.gateway).value("as_of_timestamp_seconds") == (noon + timedelta(seconds=290)).timestamp()
    record("the clock is set back by an hour", published="nothing, and a warning, until it is later again")


def test_11_the_clock_was_years_ahead(project: Project, record: Record, caplog: pytest.LogCaptureFixture) -> None:
    """Ten years ahead for a run, then right again: the present is counted afresh, said so, and no future is left."""
    noon = datetime(2024, 6, 1, 13, tzinfo=UTC)
    with time_machine.travel(noon + timedelta(days=3650), tick=False):
        assert project.evaljob("run").code == 0
    assert Shown.of(project.gateway).value("support") == 0  # nothing is known of that hour
    with time_machine.travel(noon + timedelta(seconds=10), tick=False):
        assert project.evaljob("run").code == 0
    assert "when the clock was wrong; now is counted afresh" in caplog.text
    shown = Shown.of(project.gateway)
    assert (shown.value("as_of_timestamp_seconds"), shown.value("accuracy_ratio")) == (noon.timestamp(), 0.75)
    history = project.evaljob("history", "--metric", "support", "--output", "json")
    assert {row["as_of"] for row in json.loads(history.out)} == {noon.isoformat()}
    record("the clock was ten years ahead", published="the present, counted afresh, with a warning")


def test_11_an_earlier_instant_is_pushed_on_demand_alone(
    project: Project, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """`--as-of` an hour ago: pushed, for it was asked for, with a warning that it goes over later results."""
    assert project.evaljob("run", "--as-of", LATER).code == 0
    ended = project.evaljob("run", "--as-of", "2024-06-01T12:30:00Z")
    assert ended.code == 0
    assert "the results of 2024-06-01 12:30:00+00:00 go over later ones, as was asked for" in caplog.text
    assert project.evaljob("run", "--as-of", LATER).code == 0
    assert Shown.of(project.gateway).value("as_of_timestamp_seconds") == AT_LATER
    record("--as-of before the state's", published="the earlier results, with a warning; next run: the later")
