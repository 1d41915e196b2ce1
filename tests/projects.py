"""A small project for tests of the command line: a configuration, its SQL, logs in SQLite, and what `evaljob` says."""

import io
import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from evaljob import cli
from tests import servers

AS_OF = "2024-06-01T13:00:00Z"
CONFIG = """\
database: {{url: "sqlite:///logs.db"}}
state: {{url: "sqlite:///state.db"}}
pushgateway: {{url: "{gateway}", timeout: 2s}}
evaluations:
  - model: m
    task: binary
    positive_label: 1
    predictions: predictions.sql
    labels: labels.sql
    windows: [1h]
    slices: [country]
    min_support: 1
"""
SQL = {"predictions.sql": "SELECT * FROM predictions\n", "labels.sql": "SELECT * FROM labels\n"}
TABLES = """
CREATE TABLE predictions (request_id, predicted_at, model_version, prediction, score, latency_seconds, country);
CREATE TABLE labels (request_id, label, labeled_at);
CREATE INDEX predictions_request_id ON predictions (request_id);
CREATE INDEX labels_request_id ON labels (request_id);
"""
# Three of four are right at 13:00; the fourth has no label.
PREDICTIONS = [
    ("a", "2024-06-01 12:00:00.000000", "v1", 1, 0.9, 0.010, "DE"),
    ("b", "2024-06-01 12:10:00.000000", "v1", 0, 0.2, 0.020, "DE"),
    ("c", "2024-06-01 12:20:00.000000", "v1", 1, 0.8, 0.030, "FR"),
    ("d", "2024-06-01 12:30:00.000000", "v2", 0, 0.4, 0.040, "FR"),
    ("e", "2024-06-01 12:40:00.000000", "v2", 0, 0.1, 0.050, "FR"),
]
LABELS = [
    ("a", 1, "2024-06-01 12:15:00.000000"),
    ("b", 0, "2024-06-01 12:25:00.000000"),
    ("c", 1, "2024-06-01 12:35:00.000000"),
    ("d", 1, "2024-06-01 12:45:00.000000"),
]


@dataclass(frozen=True)
class Ended:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str

    def results(self) -> list[dict[str, Any]]:
        """What `--output json` printed."""
        found: list[dict[str, Any]] = json.loads(self.out)
        return found

    def value(self, metric: str, **labels: str) -> float | None:
        """The one value of a metric for a series, by default the total."""
        asked = {"model_version": "all", "slice": "overall", "metric": metric} | labels
        (found,) = [row["value"] for row in self.results() if all(row.get(k, "") == v for k, v in asked.items())]
        return None if found is None else float(found)


def evaljob(*arguments: object) -> Ended:
    """What `evaljob` does with these arguments, in this process."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    argv = ["evaljob", *map(str, arguments)]
    with mock.patch.object(sys, "argv", argv), redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 0
    out.seek(0)
    return Ended(code, out.read(), err.getvalue())


def process(*arguments: object, cwd: Path, environ: Mapping[str, str] | None = None, start: str = "") -> Ended:
    """The same in a process of its own, which runs the statements `start` first."""
    code = f"import sys\nsys.argv[0] = 'evaljob'\n{start}\nfrom evaljob.cli import main\nmain()"
    command = [sys.executable, "-W", "error", "-c", code, *map(str, arguments)]
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=100)
    return Ended(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Project:
    """A folder with a configuration, SQL and logs, which pushes to a gateway."""

    folder: Path
    gateway: str

    @classmethod
    def make(cls, folder: Path, gateway: str) -> "Project":
        """A project with the logs above."""
        made = cls(folder, gateway)
        for name, text in {"config.yaml": CONFIG.format(gateway=gateway), **SQL}.items():
            (folder / name).write_text(text)
        made.execute(TABLES)
        made.insert("predictions", PREDICTIONS)
        made.insert("labels", LABELS)
        return made

    def copy(self, folder: Path) -> "Project":
        """The same in another folder, with the state it has reached, and the same gateway."""
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Project(folder, self.gateway)

    def evaljob(self, command: str, *arguments: object) -> Ended:
        """A command on this project's configuration."""
        return evaljob(command, "--config", self.folder / "config.yaml", *arguments)

    def run(self, *arguments: object) -> Ended:
        """`evaljob run --as-of` 13:00, which prints JSON."""
        return self.evaljob("run", "--as-of", AS_OF, "--output", "json", *arguments)

    def replace(self, old: str, new: str, file: str = "config.yaml") -> None:
        """Write something in a file otherwise."""
        text = (self.folder / file).read_text()
        assert old in text
        (self.folder / file).write_text(text.replace(old, new))

    def execute(self, script: str) -> None:
        """Run statements in the database of the logs."""
        with closing(sqlite3.connect(self.folder / "logs.db")) as connection:
            connection.executescript(script)

    def insert(self, table: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Further rows of a log."""
        with closing(sqlite3.connect(self.folder / "logs.db")) as connection, connection:
            for row in rows:
                connection.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)

    def everything(self) -> dict[str, Any]:
        """What a refused command must leave as it was: every file, and what the gateway holds."""
        files: dict[str, Any] = {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}
        return files | {"gateway": pushed(self.gateway)}


def pushed(gateway: str) -> list[dict[str, Any]]:
    """The groups that a gateway holds, with their metrics and when they were pushed."""
    found: list[dict[str, Any]] = json.loads(servers.fetch(f"{gateway}/api/v1/metrics"))["data"]
    return sorted(found, key=lambda group: sorted(group["labels"].items()))


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """An SQLite file that another process keeps to itself, in whatever journal mode it is."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("BEGIN EXCLUSIVE")
        yield
