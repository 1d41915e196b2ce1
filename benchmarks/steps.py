"""What a step costs against a full count, a longer window, larger logs: `python -m benchmarks.steps`.

Prints a table of ratios of medians, each with the measures it is made of. `--requests` is the smaller size of the logs,
the larger is ten times as many at the same arrival rate. Wall time, in processes of their own.
"""

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks import logs
from benchmarks.measure import Measure, ask
from tests import servers

EVALUATE = "benchmarks.evaluate"
ACCELERATED = ("--database", "accelerate=duckdb")  # of the counts that steps begin with
BACKFILL = 24  # instants
STEPS = 31  # of large logs, the first ones wait for the disk


def figures(folder: Path, requests: int) -> Iterator[tuple[str, float, Measure, Measure]]:
    """What is compared, how many times the first costs the second, and both."""
    size = logs.Size(requests)
    source = folder / f"{size.name}.duckdb"
    if not source.exists():
        logs.to_duckdb(source, size)
    file = source.with_suffix(".sqlite")
    sqlite = ["--url", f"sqlite:///{file}" if file.exists() else logs.to_sqlite(file, source)]
    full = ask(EVALUATE, ["full", *sqlite, "--times", 3])
    step = ask(EVALUATE, ["step", *sqlite, *ACCELERATED, "--times", STEPS])
    yield _compared("SQLite: full count by a five-minute step", full, step)
    with servers.postgres() as url:
        postgres = ["--url", logs.to_postgres(url, source)]
        counted = ask(EVALUATE, ["full", *postgres, "--times", 3])
        stepped = ask(EVALUATE, ["step", *postgres, "--times", STEPS])
        yield _compared("PostgreSQL: full count by a five-minute step", counted, stepped)
    one, month = (ask(EVALUATE, ["step", *sqlite, "--times", STEPS, "--windows", name]) for name in ("1h", "30d"))
    yield _compared("SQLite: step with a window of 30d by one of 1h", month, one)
    yield _backfilled(sqlite)
    yield from _larger(folder, requests, step)


def _larger(folder: Path, requests: int, step: Measure) -> Iterator[tuple[str, float, Measure, Measure]]:
    """Logs ten times as long at the same rate: what a step costs there, and the memory of a run that goes on."""
    longer = logs.Size(10 * requests, 309)
    source = folder / f"{longer.name}.duckdb"
    if not source.exists():
        logs.to_duckdb(source, longer)
    file = source.with_suffix(".sqlite")
    large = ["--url", f"sqlite:///{file}" if file.exists() else logs.to_sqlite(file, source), *ACCELERATED]
    there = ask(EVALUATE, ["step", *large, "--times", STEPS])
    yield _compared(f"SQLite: step over {10 * requests:,} requests by one over {requests:,}", there, step)
    with tempfile.TemporaryDirectory() as state:
        begun = ask(EVALUATE, ["first", *large, "--folder", state, "--times", 5])
        run = ask(EVALUATE, ["run", *large, "--folder", state, "--times", 5])
        yield _compared("SQLite: first run by one that steps, all of it but the push", begun, run)


def _backfilled(where: list[str]) -> tuple[str, float, Measure, Measure]:
    """A run of an instant by itself, in a process that has nothing, against an instant of a backfill."""
    alone = ask(EVALUATE, ["first", *where, "--times", 1])
    filled = ask(EVALUATE, ["backfill", *where, "--times", BACKFILL * 5, "--minutes", 60])
    start = ask(EVALUATE, ["backfill", *where, "--times", 1, "--minutes", 60])
    each = (filled.median - start.median) / (BACKFILL * 5 - 1)
    instant = Measure([each], [], filled.peak_mb)
    return "SQLite: an instant evaluated by itself by one of an hourly backfill", alone.median / each, alone, instant


def _compared(what: str, first: Measure, second: Measure) -> tuple[str, float, Measure, Measure]:
    return what, first.median / second.median, first, second


def main() -> None:
    """Print the table as it comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--logs", type=Path, default=Path("build/benchmarks"))
    given = parser.parse_args()
    given.logs.mkdir(parents=True, exist_ok=True)
    print("| | ratio | | | peak memory |\n|---|---:|---:|---:|---:|")
    for what, ratio, first, second in figures(given.logs, given.requests):
        memory = f"{first.peak_mb:,.0f} MB, {second.peak_mb:,.0f} MB"
        print(f"| {what} | {ratio:.1f} | {first.shown} | {second.shown} | {memory} |", flush=True)


if __name__ == "__main__":
    main()
