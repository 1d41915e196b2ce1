"""evaljob as a contender: `python -m benchmarks.evaluate full|step|run|backfill --url URL ...` tells its measure.

`full` and `step` are what a run asks of the database, up to the cells in memory; `run` is all of a run but the push:
state, metrics and history too. It goes on from the state that `first` has left in `--folder`, in a process that has
counted nothing itself: its peak memory is that of a step.
"""

import argparse
import gc
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from benchmarks.evaluations import STEP, WINDOWS, configure
from benchmarks.logs import END
from benchmarks.measure import Measure, peak_mb, repeated, tell
from evaljob import job
from evaljob.advance import advance
from evaljob.config import Config
from evaljob.join import Plan
from evaljob.opening import logs, plan_of
from evaljob.state import State

WARM = 2  # first steps, which are not measured: statements are compiled, files come into memory


def full(config: Config, times: int) -> Measure:
    """Full counts at END."""
    with logs(config) as engine, engine.connect() as connection:
        plan = plan_of(connection, config.evaluations[0])
        counted = advance(connection, plan, None, END, "")
        notes = {"cells": len(counted.state.cells.frame), "requests": counted.rows_read}
        return repeated(times, lambda: advance(connection, plan, None, END, ""), **notes)


def step(config: Config, times: int, every: timedelta) -> Measure:
    """Steps up to END, from a full count that is not measured."""
    with logs(config) as engine, engine.connect() as connection:
        plan = plan_of(connection, config.evaluations[0])
        instants = [END - every * number for number in range(times + WARM, -1, -1)]
        state = advance(connection, plan, None, instants[0], "").state
        steps = _Steps(connection, plan, state, iter(instants[1:]))
        repeated(WARM, steps.take)
        measure = repeated(times, steps.take, requests=steps.read)
        counted = advance(connection, plan, None, END, "").state.cells
        return replace(measure, notes={"requests": steps.read, "exact": counted.identical(steps.state.cells)})


@dataclass
class _Steps:
    """A state that goes from instant to instant."""

    connection: sa.Connection
    plan: Plan
    state: State
    instants: Iterator[datetime]
    read: int = 0

    def take(self) -> None:
        """One step."""
        advanced = advance(self.connection, self.plan, self.state, next(self.instants), "")
        self.state, self.read = advanced.state, max(self.read, advanced.rows_read)


def first(config: Config, times: int, every: timedelta) -> Measure:
    """The first run, so long before END that `run` can take its steps."""
    return repeated(1, lambda: job.run(config, END - every * (times + WARM), pushing=False))


def run(config: Config, times: int, every: timedelta) -> Measure:
    """Whole runs without the push, one step each."""
    instants = iter(END - every * number for number in range(times + WARM - 1, -1, -1))
    repeated(WARM, lambda: job.run(config, next(instants), pushing=False))
    return repeated(times, lambda: job.run(config, next(instants), pushing=False))


def filled(config: Config, instants: int, every: timedelta) -> Measure:
    """A backfill of so many instants up to END."""
    from evaljob import backfill  # noqa: PLC0415  (the others' memory is without it)
    from evaljob.checkpoint import Span  # noqa: PLC0415

    span = Span(END - every * (instants - 1), END, every)
    measure = repeated(1, lambda: backfill.backfill(config, span, lambda *_: None))
    return Measure(measure.seconds, measure.cpu, peak_mb(), {"instants": instants})


def main() -> None:
    """Tell one measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["full", "step", "first", "run", "backfill"])
    parser.add_argument("--url", required=True)
    parser.add_argument("--parquet", type=Path, help="the folder of the Parquet files")
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=STEP.total_seconds() / 60)
    parser.add_argument("--windows", nargs="+", default=list(WINDOWS))
    parser.add_argument("--folder", type=Path, help="where the state is kept (default: nowhere)")
    parser.add_argument("--database", nargs="*", default=[], help="further keys of `database`, as key=value")
    given = parser.parse_args()
    logging.disable(logging.INFO)
    gc.freeze()  # as the commands do with what they import
    every = timedelta(minutes=given.minutes)
    with tempfile.TemporaryDirectory() as nowhere:
        keys = dict(pair.split("=", 1) for pair in given.database)
        config = configure(
            given.folder or Path(nowhere), given.url, windows=tuple(given.windows), parquet=given.parquet, **keys
        )
        if given.what == "full":
            tell(full(config, given.times))
        else:
            tell({"step": step, "first": first, "run": run, "backfill": filled}[given.what](config, given.times, every))


if __name__ == "__main__":
    main()
