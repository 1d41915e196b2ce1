"""A soak: thousands of scheduled runs at full speed; whether memory, file handles and state stay as they were.

    python -m benchmarks.soak --runs 3000

The worker's own runner under a real scheduler that is due again as soon as a run has ended; logs in SQLite that grow by
some rows before each run; a real Pushgateway. Each run speaks for the minute after the last one's.
"""

import argparse
import gc
import json
import logging
import os
import sqlite3
import sys
import tempfile
import threading
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from apscheduler.schedulers.background import BackgroundScheduler

from evaljob import config, job
from evaljob.health import EVALUATION, Health
from evaljob.schedule import every
from evaljob.worker import Runner
from tests import servers
from tests.projects import Project

START = datetime(2024, 6, 1, 13, tzinfo=UTC)
STEP = timedelta(minutes=1)
ROWS = 20  # predictions, and labels, before each run
EVERY = timedelta(milliseconds=20)


@dataclass(frozen=True)
class Measure:
    """What this process holds after some runs."""

    runs: int
    resident_bytes: int
    file_handles: int
    state_bytes: int


class Soak:
    """Runs of a project, measured now and then."""

    def __init__(self, project: Project, runs: int, measures: int) -> None:
        self.project, self.runs = project, runs
        self.config = config.load(project.folder / "config.yaml")
        self.done, self.codes = 0, set[int]()
        self.ended = threading.Event()
        self._when = {runs * (number + 1) // measures for number in range(measures)}

    def run(self, _: datetime | None) -> int:
        """The next run."""
        if self.ended.is_set():
            return 0
        as_of = START + self.done * STEP
        self._log_rows(as_of)
        code, _runs = job.run(self.config, as_of)
        self.done += 1
        self.codes.add(code)
        if self.done in self._when:
            sys.stdout.write(json.dumps(asdict(self._measure())) + "\n")
            sys.stdout.flush()
        if self.done == self.runs:
            self.ended.set()
        return code

    def _log_rows(self, as_of: datetime) -> None:
        at = f"{as_of - STEP / 2:%Y-%m-%d %H:%M:%S.%f}"
        names = [f"{self.done}-{number}" for number in range(ROWS)]
        predictions = [(name, at, f"v{i % 2}", i % 2, i / ROWS, 0.01, f"C{i % 7}") for i, name in enumerate(names)]
        self.project.insert("predictions", predictions)
        self.project.insert("labels", [(name, i % 3 == 0, at) for i, name in enumerate(names)])
        old = f"{as_of - timedelta(hours=6):%Y-%m-%d %H:%M:%S.%f}"
        with closing(sqlite3.connect(self.project.folder / "logs.db")) as connection, connection:
            connection.execute("DELETE FROM predictions WHERE predicted_at < ?", (old,))
            connection.execute("DELETE FROM labels WHERE labeled_at < ?", (old,))

    def _measure(self) -> Measure:
        gc.collect()
        resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        handles = len(list(Path("/proc/self/fd").iterdir()))
        with closing(sqlite3.connect(self.project.folder / "state.db")) as connection:
            pages, free, size = (
                connection.execute(f"PRAGMA {name}").fetchone()[0]
                for name in ("page_count", "freelist_count", "page_size")
            )
        return Measure(self.done, resident, handles, (pages - free) * size)


def soak(folder: Path, gateway: str, runs: int, measures: int) -> set[int]:
    """Print measures after equal numbers of runs. Returns the exit codes that occurred."""
    project = Project.make(folder, gateway)
    project.execute("DELETE FROM predictions; DELETE FROM labels;")
    project.execute("CREATE INDEX p ON predictions (predicted_at); CREATE INDEX l ON labels (labeled_at);")
    project.replace("windows: [1h]", "windows: [10m, {name: mature, length: 20m, on: predicted_at, maturity: 5m}]")
    project.replace('state: {url: "sqlite:///state.db"}', 'state: {url: "sqlite:///state.db", history_retention: 10m}')
    project.replace("timeout: 2s", "timeout: 60s")
    task = Soak(project, runs, measures)
    trigger = every(EVERY)
    runner = Runner(task.run, None, Health(trigger, datetime.now(UTC)))
    jobs = {"coalesce": True, "max_instances": 1, "misfire_grace_time": None}
    scheduler = BackgroundScheduler(timezone=UTC, job_defaults=jobs)
    scheduler.add_job(runner.evaluate, trigger, id=EVALUATION)
    scheduler.start()
    task.ended.wait()
    scheduler.shutdown()
    return task.codes


def main() -> None:
    """Print a line of JSON a measure, and the exit codes that occurred."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3000)
    parser.add_argument("--measures", type=int, default=10)
    given = parser.parse_args()
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # that it is due again while it runs is wanted
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="evaljob-soak-") as folder, servers.pushgateway() as gateway:
        codes = soak(Path(folder), gateway, given.runs, given.measures)
    sys.stdout.write(json.dumps({"exit_codes": sorted(codes), "seconds": round(time.monotonic() - began, 1)}) + "\n")


if __name__ == "__main__":
    main()
