"""What `evaljob run` on a small database with nothing new takes, against importing the libraries that it uses.

`python -m benchmarks.startup` prints medians of processor time, which other work on the machine disturbs the least, and
of wall time. Both kinds of processes start in turn.
"""

import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPETITIONS = 11
# What this run imports of other people's libraries.
LIBRARIES = """
import click, pydantic, yaml, sqlalchemy, sqlalchemy.dialects.sqlite, sqlite3, numpy, pandas, tenacity, cronsim
import scipy.special, scipy.optimize, prometheus_client, rich.console, rich.table
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


def main() -> None:
    """Print both medians and their ratios."""
    with tempfile.TemporaryDirectory() as folder:
        _logs(Path(folder))
        _measured(RUN, folder)  # the full count, and the files' caches
        pairs = [(_measured(LIBRARIES, folder), _measured(RUN, folder)) for _ in range(REPETITIONS)]
    for i, kind in enumerate(("processor", "wall")):
        imports, run = (statistics.median(pair[side][i] for pair in pairs) for side in (0, 1))
        print(f"{kind:9}  imports {imports:.3f} s  run {run:.3f} s  ratio {run / imports:.2f}")


def _logs(folder: Path) -> None:
    (folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
    for log in ("predictions", "labels"):
        (folder / f"{log}.sql").write_text(f"SELECT * FROM {log}", encoding="utf-8")
    with sqlite3.connect(folder / "logs.db") as database:
        database.executescript(TABLES)
        rows = [(str(i), f"2026-03-01 {i % 24:02}:{i % 60:02}:00.000000", i % 2, i % 100 / 100) for i in range(500)]
        database.executemany("INSERT INTO predictions VALUES (?1, ?2, 'v1', ?3, ?4)", rows)
        database.executemany("INSERT INTO labels VALUES (?1, ?3, ?2)", [row[:3] for row in rows])


def _measured(program: str, folder: str) -> tuple[float, float]:
    """Seconds of processor and of wall time of a fresh Python."""
    before, start = os.times(), time.perf_counter()
    subprocess.run(
        [sys.executable, "-c", program], cwd=folder, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    after = os.times()
    used = after.children_user + after.children_system - before.children_user - before.children_system
    return used, time.perf_counter() - start


if __name__ == "__main__":
    main()
