"""The worker: as a real process that is told to stop, and its parts against a real scheduler."""

import json
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from apscheduler.events import EVENT_JOB_MAX_INSTANCES, JobSubmissionEvent
from apscheduler.schedulers.background import BackgroundScheduler

from evaljob.config import Worker
from evaljob.errors import ConfigError, PushError
from evaljob.health import EVALUATION, RECONCILIATION, Health, listen
from evaljob.schedule import Trigger, every
from evaljob.worker import Runner, catch_up, heed_clock
from tests import servers

ROOT = Path(__file__).parents[1]
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
CONFIG = """
database: {url: "sqlite:///logs.db"}
state: {url: "sqlite:///state.db"}
schedule: {every: 1s}
worker: {port: 0}
evaluations:
  - {model: fraud, task: binary, positive_label: 1, predictions: p.sql, labels: l.sql, windows: [1h]}
"""
# Takes seconds and an outcome from the command line, and notes the begin and the end of each run.
PROGRAM = """
import logging, sys, time
from datetime import timedelta
from pathlib import Path
from evaljob import worker
from evaljob.errors import EvaluationError

folder, seconds, outcome, grace = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3], float(sys.argv[4])

def note(what):
    with open(folder / "runs", "a") as file:
        file.write(f"{what} {time.time()}\\n")

def run(as_of):
    assert as_of is None
    note("begin")
    time.sleep(seconds)
    note("end")
    if outcome == "evaluation":
        raise EvaluationError("the database is gone")
    if outcome == "unforeseen":
        raise SystemExit(0)
    return int(outcome)

logging.basicConfig(level=logging.INFO)
sys.exit(worker.serve(folder / "config.yaml", run, grace=timedelta(seconds=grace)))
"""


class Process:
    """A running worker."""

    def __init__(self, folder: Path, process: subprocess.Popen[str]) -> None:
        self.folder, self.process = folder, process

    @property
    def runs(self) -> list[tuple[str, float]]:
        """What was noted: ("begin" or "end", seconds since the epoch), in order."""
        file = self.folder / "runs"
        lines = file.read_text().splitlines() if file.exists() else []
        return [(line.split()[0], float(line.split()[1])) for line in lines]

    @property
    def log(self) -> str:
        """What it wrote on standard error so far."""
        return (self.folder / "log").read_text()

    @property
    def url(self) -> str:
        """Where it answers."""
        servers.wait_until(lambda: "/healthz and /metrics at" in self.log, "the worker to listen")
        return self.log.split("/healthz and /metrics at ")[1].split()[0]

    def seen(self, what: str, times: int = 1) -> None:
        """Wait until this was noted so many times."""
        servers.wait_until(lambda: [name for name, _ in self.runs].count(what) >= times, f"{what} of a run")

    def stop(self, *signals: signal.Signals) -> tuple[int, float]:
        """Send signals; its exit code, and the seconds it took to end."""
        started = time.monotonic()
        for number in signals:
            self.process.send_signal(number)
            time.sleep(0.3)
        return self.process.wait(timeout=30), time.monotonic() - started


@contextmanager
def worker(
    folder: Path, seconds: float = 0, outcome: object = 0, grace: float = 20, wrapper: tuple[str, ...] = ()
) -> Iterator[Process]:
    """A worker whose runs take `seconds` and come to `outcome`, scheduled every second."""
    for name, text in {"config.yaml": CONFIG, "p.sql": "SELECT 1", "l.sql": "SELECT 1"}.items():
        (folder / name).write_text(text)
    arguments = [*wrapper, sys.executable, "-c", PROGRAM, str(folder), str(seconds), str(outcome), str(grace)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(arguments, cwd=ROOT, stderr=log, text=True)
        try:
            yield Process(folder, process)
        finally:
            process.kill()
            process.wait()


def get(url: str) -> tuple[int, str]:
    """Status and body of an answer."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  (the worker's own address)
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def metric(text: str, line: str) -> float:
    """The value of a sample by its name and labels as the exposition writes them."""
    [value] = [found.split()[-1] for found in text.splitlines() if found.startswith(f"{line} ")]
    return float(value)


# The process


def test_runs_begin_at_once_and_then_on_the_second(tmp_path: Path) -> None:
    """Scheduled every second: the first when it starts, the others at whole seconds, none twice and none left out."""
    with worker(tmp_path) as process:
        process.seen("begin", 4)
        begins = [moment for what, moment in process.runs if what == "begin"][1:4]
    assert [int(later) - int(earlier) for earlier, later in pairwise(begins)] == [1, 1]


def test_sigterm_lets_the_current_run_finish(tmp_path: Path) -> None:
    """Told to stop one second before the run ends: it ends, no other begins, the exit code is 0."""
    with worker(tmp_path, seconds=1.5) as process:
        process.seen("begin")
        time.sleep(0.5)
        assert process.stop(signal.SIGTERM)[0] == 0
        assert [what for what, _ in process.runs] == ["begin", "end"]
        assert "SIGTERM: the current run may finish" in process.log


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_worker_stops_at_once(tmp_path: Path, number: signal.Signals) -> None:
    """With nothing to finish it does not wait for the grace of 20 seconds."""
    with worker(tmp_path) as process:
        process.seen("end")
        code, seconds = process.stop(number)
        assert (code, seconds < 10) == (0, True)
        assert "Traceback" not in process.log


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    """The run would take a minute: the process does not wait for it, and says so."""
    with worker(tmp_path, seconds=60) as process:
        process.seen("begin")
        code, seconds = process.stop(signal.SIGINT, signal.SIGINT)
        assert (code, seconds < 10) == (1, True)
        assert "the current run is aborted: a second SIGINT" in process.log


def test_grace_has_an_end(tmp_path: Path) -> None:
    """The run would take a minute, the grace is one second."""
    with worker(tmp_path, seconds=60, grace=1) as process:
        process.seen("begin")
        code, seconds = process.stop(signal.SIGTERM)
        assert (code, 1 < seconds < 10) == (1, True)
        assert "the current run is aborted: not finished within 1 s" in process.log


def test_sigterm_to_process_1(tmp_path: Path) -> None:
    """In a container it is process 1, which the kernel spares signals that it has no handler for."""
    wrapper = ("unshare", "--pid", "--fork", "--kill-child")
    if subprocess.run([*wrapper, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("this account may not make a process 1")
    with worker(tmp_path, seconds=1, wrapper=wrapper) as process:
        process.seen("begin")
        children = Path(f"/proc/{process.process.pid}/task/{process.process.pid}/children").read_text()
        subprocess.run(["kill", "-TERM", children.strip()], check=True)  # noqa: S607
        assert process.process.wait(timeout=10) == 0
        assert [what for what, _ in process.runs] == ["begin", "end"]


@pytest.mark.parametrize(
    ("outcome", "code", "logged"),
    [("3", 3, ""), ("evaluation", 1, "the database is gone"), ("unforeseen", 1, "in a way that nobody foresaw")],
)
def test_a_failing_run_does_not_end_the_worker(tmp_path: Path, outcome: str, code: int, logged: str) -> None:
    """Whatever a run comes to, the next one is tried; it is counted by its exit code, and health fails after 3 s."""
    with worker(tmp_path, outcome=outcome) as process:
        assert get(f"{process.url}/healthz")[0] == 200
        process.seen("begin", 2)
        servers.wait_until(lambda: get(f"{process.url}/healthz")[0] == 503, "the worker to be unhealthy")
        told = json.loads(get(f"{process.url}/healthz")[1])
        assert (told["healthy"], told["last_success"], told["last_exit_code"]) == (False, None, code)
        runs = metric(
            get(f"{process.url}/metrics")[1],
            f'evaljob_worker_runs_total{{exit_code="{code}",task="evaluation"}}',
        )
        assert runs >= 2
        assert logged in process.log


def test_a_run_longer_than_its_interval_never_overlaps(tmp_path: Path) -> None:
    """Runs of 1.3 s every second: one at a time, begun again at the next second, the left-out ones counted."""
    with worker(tmp_path, seconds=1.3) as process:
        process.seen("end", 3)
        assert [what for what, _ in process.runs][:6] == ["begin", "end"] * 3
        assert metric(get(f"{process.url}/metrics")[1], "evaljob_worker_overruns_total") >= 2


def test_healthz_and_metrics(tmp_path: Path) -> None:
    """A successful worker: 200 with its times, metrics that promtool accepts, and nothing under other paths."""
    with worker(tmp_path) as process:
        process.seen("end", 2)
        status, body = get(f"{process.url}/healthz")
        metrics = get(f"{process.url}/metrics")[1]
        assert get(f"{process.url}/nothing")[0] == 404
    told = json.loads(body)
    assert (status, told["healthy"], told["last_exit_code"]) == (200, True, 0)
    started, success, completion, until = (
        datetime.fromisoformat(told[name]) for name in ("started", "last_success", "last_completion", "healthy_until")
    )
    assert started < success == completion < until
    assert metric(metrics, 'evaljob_worker_runs_total{exit_code="0",task="evaluation"}') >= 1
    assert metric(metrics, 'evaljob_worker_runs_total{exit_code="1",task="evaluation"}') == 0
    assert metric(metrics, 'evaljob_worker_run_duration_seconds_count{task="evaluation"}') >= 1
    assert metric(metrics, "evaljob_worker_last_success_timestamp_seconds") >= started.timestamp()
    assert metric(metrics, "process_resident_memory_bytes") > 1e6
    checked = subprocess.run(
        [servers.program("promtool"), "check", "metrics"], input=metrics, text=True, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


# Health


def health(interval: timedelta = timedelta(minutes=5)) -> Health:
    """Of a worker that was started at noon."""
    return Health(every(interval), NOON)


def after(minutes: float) -> datetime:
    """An instant after noon."""
    return NOON + timedelta(minutes=minutes)


def test_health_before_any_success() -> None:
    """Every five minutes, started at 12:00: healthy until 12:15, whatever fails till then."""
    record = health()
    record.finished(EVALUATION, 1, after(0), after(1), 60)
    assert record.answer(after(15))[0]
    assert not record.answer(after(15.1))[0]


def test_health_lasts_three_intervals_from_the_last_success() -> None:
    """Succeeded 12:05 to 12:06, the next runs are due 12:10, 12:15 and 12:20: the third may take a minute, too."""
    record = health()
    record.finished(EVALUATION, 0, after(5), after(6), 60)
    assert record.answer(after(21))[0]
    assert not record.answer(after(21.1))[0]
    record.finished(EVALUATION, 3, after(10), after(11), 60)
    assert not record.answer(after(21.1))[0]
    record.finished(EVALUATION, 0, after(25), after(26), 60)
    assert record.answer(after(41))[0]


def test_a_reconciliation_is_no_evaluation() -> None:
    """Its success says nothing of the results in the gateway."""
    record = health()
    record.finished(RECONCILIATION, 0, after(14), after(15), 60)
    healthy, told = record.answer(after(16))
    assert (healthy, told["last_success"]) == (False, None)


def test_a_port_that_is_taken() -> None:
    """The second worker on a machine says which address, and how to mend it."""
    with listen(Worker(port=0), health()) as server:
        taken = Worker(port=int(server.server_address[1]))
        with pytest.raises(ConfigError, match=rf"127.0.0.1:{taken.port}: Address already in use; choose another port"):
            listen(taken, health())


def test_an_ipv6_address() -> None:
    """The URL in the log can be opened as it stands."""
    with listen(Worker(host="::1", port=0), health()) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        assert get(f"{server.url}/metrics")[0] == 200
        server.shutdown()


# The schedule


def noting(noted: list[str], what: str) -> Callable[..., int]:
    """A task that notes that it was called."""

    def task(*_: object) -> int:
        noted.append(what)
        return 0

    return task


def test_evaluation_and_reconciliation_wait_for_each_other() -> None:
    """Begun at once from four threads, each takes its turn."""
    noted: list[str] = []

    def task(*_: object) -> int:
        noted.append("begin")
        time.sleep(0.05)
        noted.append("end")
        return 0

    runner = Runner(task, task, health())
    threads = [threading.Thread(target=call) for call in (runner.evaluate, runner.reconcile) * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert noted == ["begin", "end"] * 4


def test_nothing_begins_any_more_once_it_stops() -> None:
    """A task that waited for its turn finds that the worker was told to stop."""
    noted: list[str] = []
    runner = Runner(noting(noted, "run"), noting(noted, "reconcile"), health())
    runner.stopping.set()
    runner.evaluate()
    runner.reconcile()
    assert noted == []


def test_an_error_of_the_contract_keeps_its_exit_code() -> None:
    """A push that fails is 3, as the command line ends with 3."""

    def run(_: datetime | None) -> int:
        raise PushError("nobody listens")

    record = health()
    Runner(run, None, record).evaluate()
    assert record.answer(NOON)[1]["last_exit_code"] == 3


@contextmanager
def scheduling(call: Callable[[], Any], trigger: Trigger, next_run: datetime) -> Iterator[BackgroundScheduler]:
    """A running scheduler with one evaluation."""
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults={"misfire_grace_time": None, "coalesce": True})
    scheduler.add_job(call, trigger, id=EVALUATION, next_run_time=next_run)
    scheduler.start()
    try:
        yield scheduler
    finally:
        scheduler.shutdown()


def test_a_run_that_took_beyond_the_next_is_made_up_for() -> None:
    """A daily run was due while another took long: it is made up for at once, not left out for a day; and once."""
    runs: list[str] = []
    runner = Runner(noting(runs, "run"), None, health(DAY))
    with scheduling(runner.evaluate, every(DAY), datetime.now(UTC) + DAY) as scheduler:
        catch_up(runner, scheduler)
        assert runs == []
        runner.overrun(JobSubmissionEvent(EVENT_JOB_MAX_INSTANCES, EVALUATION, "default", []))
        catch_up(runner, scheduler)
        servers.wait_until(lambda: runs, "the run that was left out", timeout=5)
        servers.wait_until(lambda: not runner.busy, "its end", timeout=5)
        catch_up(runner, scheduler)
        time.sleep(0.2)
        assert len(runs) == 1
        assert scheduler.get_job(EVALUATION).next_run_time == every(DAY).following(datetime.now(UTC))


def test_a_clock_that_was_set_back_does_not_stop_the_runs() -> None:
    """Planned for ten hours ahead by the old clock, due every five minutes by the new one: planned anew."""
    trigger = every(timedelta(minutes=5))
    with scheduling(list, trigger, datetime.now(UTC) + timedelta(hours=10)) as scheduler:
        heed_clock(scheduler)
        assert scheduler.get_job(EVALUATION).next_run_time == trigger.following(datetime.now(UTC))


def test_a_clock_that_was_set_back_a_little_repeats_no_run() -> None:
    """The run of the next time was before the jump: the plan for the one after it stays."""
    trigger = every(timedelta(hours=5))
    planned = trigger.after(datetime.now(UTC), 2)
    with scheduling(list, trigger, planned) as scheduler:
        heed_clock(scheduler)
        assert scheduler.get_job(EVALUATION).next_run_time == planned
