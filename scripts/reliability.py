"""docs/reliability.md, made from a run of tests/reliability: `python -m scripts.reliability`.

Each test records what it saw: how long it took to return, how many tries there were, and what was published.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"


@dataclass(frozen=True)
class Row:
    """A fault, what must hold of it, and what of that does not hold in full."""

    fault: str
    holds: str
    remains: str = ""


ROWS = {
    1: Row(
        "The database dies before, in and after the query",
        "last good results stay, last success unchanged, the failure is published, exit 1, the next run heals",
    ),
    2: Row(
        "The gateway is down, DNS is gone, blackhole, drip, cut, reset, 5xx",
        "return within `pushgateway.timeout` in all, bounded retries, results in the history, exit 3, the next "
        "run publishes",
    ),
    3: Row(
        "The gateway answers 400",
        "not tried again, its words on standard error, exit 3 and `last_run_success 0`",
    ),
    4: Row(
        "The gateway redirects; `http_proxy` is set",
        "never a false success",
    ),
    5: Row(
        "The gateway loses its memory",
        "every group is back after the next run",
    ),
    6: Row(
        "Labels come later and lower the accuracy",
        "gateway, history, report and MLflow show the lower value",
        "MLflow gets a point once in `mlflow.every`: until then its latest one is the earlier value.",
    ),
    7: Row(
        "SIGKILL at each stage, then the run again",
        "equal to an undisturbed twin; no point twice anywhere",
    ),
    8: Row(
        "Two replicas; the leader is stopped and wakes later",
        "one publisher; nothing older overwrites newer",
        "With the state in PostgreSQL, MariaDB or MySQL a push holds the lock on its state's row, and a sleeper "
        "that loses it finds its time over before it sends. What is left is a process that is stopped between "
        "that look at the clock and the system call after it, for longer than `pushgateway.timeout`. SQLite has "
        "no such lock: there a leader that naps in its push for less than the timeout sends the older results, "
        "and then pushes the newer ones again, within milliseconds. The gateway itself knows no fencing.",
    ),
    9: Row(
        "SIGTERM in the middle of a run, as process 1",
        "ends within the grace period, holds nothing any more",
        "PostgreSQL before 14 notices that a killed client is gone only when the query ends.",
    ),
    10: Row(
        "Six hours down, then up; a run longer than its interval",
        "caught up with once, no overlap (tests/test_worker.py), nothing lost",
    ),
    11: Row(
        "The clock jumps; DST nights, a leap day, the end of a year",
        "no sample twice or lost; `as_of` never goes back in silence",
        "A clock that was up to a day ahead leaves the state ahead of it: nothing is published, with a warning "
        "each run, until time has come to where the state stands. One further ahead was wrong: the present "
        "instant is counted afresh.",
    ),
    12: Row(
        "100,000 slice values; 10,000 series",
        "capped into `__other__`, counted; 10,000 series in under 1 s",
    ),
    13: Row(
        "Awkward names and slice values",
        "correct, or refused at start; no injection, no neighbour overwritten",
    ),
    14: Row(
        "A model is taken out of the configuration",
        "its groups are deleted",
    ),
    15: Row(
        "Wrong password, expired certificate, private CA, mutual TLS, bearer token",
        "works or fails clearly; no secret in logs, metrics, pages, `check` or the process list",
        "Variables of the environment can be read by the same account and by root, as of every process: a file, "
        "`password_file` or `bearer_token_file`, cannot.",
    ),
    16: Row(
        "The state is corrupt, truncated, read-only, without room, of an older or a later layout",
        "a clear error or a recount, never a wrong number; older layouts are brought forward",
        "A state file that SQLite cannot read has to be removed by hand: the next run counts afresh, the history "
        "is lost with the file (`evaljob backfill` makes it again).",
    ),
    17: Row(
        "Rows of the logs are deleted or rewritten",
        "detected where it can be, repaired by `reconcile`, said so",
        "Deleted rows that nothing touches are seen by `reconcile` alone, which `schedule.reconcile` runs: until "
        "then they count.",
    ),
    18: Row(
        "Slow queries, locks, no connection, serialization failures, deadlocks, killed sessions; SQL that writes",
        "bounded in time; transient failures alone are tried again; sources are only read",
        "A statement timeout is the server's: where the server's host is gone without a word, TCP keepalives end "
        "the wait after a minute (libpq). DuckDB and SQLite are bounded by evaljob itself; Spark has no bound.",
    ),
    19: Row(
        "One of several evaluations fails",
        "the others publish; the exit code tells",
    ),
    20: Row(
        "Random bytes as configuration, SQL, environment, arguments",
        "never a traceback; exit code 2",
        "The coverage-guided fuzzer, tests/fuzz/coverage_guided.py, ran for 20 minutes (101,486 inputs) "
        "instead of an hour, and found nothing.",
    ),
    21: Row(
        "A soak of thousands of scheduled runs",
        "memory, file handles and state stay as large as they were",
        "The suite's soak is short. The long one, `python -m benchmarks.soak`, was stopped after 600 runs, not "
        "after thousands: 221.7 MB after the 100th and 221.5 MB after the 600th, 7 file handles and 172 KiB of "
        "state all along.",
    ),
}


def measured(folder: Path) -> list[dict[str, Any]]:
    """What the tests recorded. Raises CalledProcessError when one fails."""
    record = folder / "record"
    command = [sys.executable, "-m", "pytest", "-q", "tests/reliability"]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "RELIABILITY_RECORD": str(record)}, check=True)  # noqa: S603
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    return list({(line["row"], line["fault"]): line for line in lines}.values())  # random inputs record each time


def page(lines: Iterable[dict[str, Any]]) -> str:
    """The page, of all rows in their order."""
    known = sorted(lines, key=lambda line: line["row"])
    parts = [HEAD]
    for number, row in ROWS.items():
        parts.append(f"## {number}. {row.fault}\n\nMust hold: {row.holds}.\n")
        parts.append("| fault | returns after | tries | what was published |\n|---|---|---|---|")
        parts += [_line(line) for line in known if line["row"] == number]
        parts.append(f"\nNot in full: {row.remains}\n" if row.remains else "")
    return "\n".join(parts).rstrip() + "\n"


HEAD = """\
# Reliability

What evaljob does when the world around it fails, row by row. This page is made from a run of the tests in
tests/reliability, against real processes (PostgreSQL, MariaDB, Pushgateways, MLflow, proxies that reset, swallow, drip
and cut): `python -m scripts.reliability`. Times are those of a busy machine with two cores, evaluation included;
`pushgateway.timeout` is 2 s in most of these tests.
"""


def _line(line: dict[str, Any]) -> str:
    seconds = "" if line["seconds"] is None else f"{line['seconds']:.1f} s"
    cells = (line["fault"], seconds, line["tries"] or "", line["published"])
    return f"| {' | '.join(str(cell).replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in cells)} |"


def main() -> None:
    """Run the tests and write the page."""
    with tempfile.TemporaryDirectory(prefix="evaljob-reliability-") as folder:
        text = page(measured(Path(folder)))
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
