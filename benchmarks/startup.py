"""What `evaljob run` on a small database with nothing new takes, against importing the libraries that it uses.

`python -m benchmarks.startup` prints medians of processor time, which other work on the machine disturbs the least, and
of wall time, and each kind's peak memory. Both kinds of processes start in turn. Evaljob is compiled to bytecode
before, as pip does when it installs.
"""

import compileall
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import ROOT

REPETITIONS = 11
# What this run imports of other people's libraries: `main` refuses to go on with anything that it does not.
LIBRARIES = """
import click, cronsim, numpy, pandas, scipy.optimize, scipy.special, rich.console, rich.table, tenacity, yaml
import sqlalchemy, sqlalchemy.dialects.sqlite, sqlalchemy.ext.compiler, sqlite3
from pydantic import BaseModel, Field, SecretStr, ValidationError, field_validator
"""
RUN = """
import sys
from evaljob.cli import main
sys.argv = ["evaljob", "run", "--no-push", "--as-of", "2026-03-02"]
main()
"""
TABLES = """
CREATE TABLE predictions (request_id TEXT, predicted_at TEXT, model_version TEXT, prediction INTEGER, score REAL);
CREATE TABLE labels (request_id TEXT, label INTEGER, labeled_at TEXT);
"""
CONFIG = """
database: {url: "sqlite:///logs.db"}
evaluations:
  - {model: m, task: binary, positive_label: 1, predictions: predictions.sql, labels: labels.sql, windows: [1h, 24h]}
"""


IMPORTED = """
import atexit, sys
atexit.register(lambda: print(*sys.modules, file=sys.__stderr__))
"""


@dataclass(frozen=True)
class Process:
    """What a process took: seconds of the processor and of the clock, and MB of memory at most."""

    processor: float
    wall: float
    memory: float


def main() -> None:
    """Print both medians and their ratios."""
    compileall.compile_dir(ROOT / "evaljob", quiet=1)
    with tempfile.TemporaryDirectory() as folder:
        _logs(Path(folder))
        _measured(RUN, folder)  # the full count, and the files' caches
        if unused := _imported(LIBRARIES, folder) - _imported(RUN, folder):
            raise RuntimeError(f"the run does not import {sorted(unused)}")
        pairs = [(_measured(LIBRARIES, folder), _measured(RUN, folder)) for _ in range(REPETITIONS)]
    for kind, unit in (("processor", "s"), ("wall", "s"), ("memory", "MB")):
        imports, run = (statistics.median(getattr(pair[side], kind) for pair in pairs) for side in (0, 1))
        print(f"{kind:9}  imports {imports:.3f} {unit}  run {run:.3f} {unit}  ratio {run / imports:.2f}")


def _logs(folder: Path) -> None:
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    for log in ("predictions", "labels"):
        (folder / f"{log}.sql").write_text(f"SELECT * FROM {log}", encoding="utf-8")
    with sqlite3.connect(folder / "logs.db") as database:
        database.executescript(TABLES)
        rows = [(str(i), f"2026-03-01 {i % 24:02}:{i % 60:02}:00.000000", i % 2, i % 100 / 100) for i in range(500)]
        database.executemany("INSERT INTO predictions VALUES (?1, ?2, 'v1', ?3, ?4)", rows)
        database.executemany("INSERT INTO labels VALUES (?1, ?3, ?2)", [row[:3] for row in rows])


def _measured(program: str, folder: str) -> Process:
    """What a fresh Python takes."""
    start = time.perf_counter()
    process = _started(program, folder, stderr=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status != 0:
        raise RuntimeError(f"ended with status {status}: {program}")
    return Process(used.ru_utime + used.ru_stime, time.perf_counter() - start, used.ru_maxrss / 1024)


def _imported(program: str, folder: str) -> set[str]:
    """The modules that a fresh Python has imported in the end."""
    _, told = _started(IMPORTED + program, folder, stderr=subprocess.PIPE).communicate()
    return set(told.splitlines()[-1].decode().split())


def _started(program: str, folder: str, stderr: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program], cwd=folder, stdout=subprocess.DEVNULL, stderr=stderr)


if __name__ == "__main__":
    main()
