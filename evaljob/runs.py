"""What became of the evaluations of a run, for the log and the exit code: their results, or why there are none."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from evaljob import journal
from evaljob.advance import Advanced
from evaljob.database import reason
from evaljob.errors import EvaljobError, EvaluationError, worst
from evaljob.state import SupersededError
from evaljob.tracking.kept import Kept

logger = logging.getLogger(__name__)


@dataclass
class Run:
    """What became of one evaluation: its results, or why there are none."""

    model: str
    as_of: datetime
    clock: bool = False  # whether `as_of` is the clock's instant, and not one that was asked for
    results: pd.DataFrame | None = None
    advanced: Advanced | None = None
    mlflow: Kept | None = None  # what is known of MLflow when the run begins; None: not configured
    error: EvaljobError | None = None
    superseded: bool = False
    durations: dict[str, float] = field(default_factory=dict)

    def fail(self, error: sa.exc.SQLAlchemyError) -> None:
        """Note that a database failed."""
        self.error = EvaluationError(f"{self.model}: the database failed: {reason(error)}")
        self.error.__cause__ = error

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a part of the run."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.durations[name] = time.perf_counter() - start


def exit_code(runs: list[Run]) -> int:
    """The worst of what became of the runs."""
    return worst(run.error.exit_code for run in runs if run.error is not None)


def logged(code: int, runs: list[Run]) -> int:
    """The exit code, with what failed in the log: a worker has nobody to tell it to."""
    for run in runs:
        if run.error is not None:
            logger.error("%s", run.error)
    return code


def tell(runs: list[Run]) -> None:
    """What became of each run, in the log."""
    for run in runs:
        journal.ended(run.model, run.as_of, run.durations, _outcome(run))


def _outcome(run: Run) -> dict[str, Any]:
    done = run.advanced
    known = {} if done is None else {
        "rows_read": done.rows_read, "cells": len(done.state.cells.frame), "revision": done.state.revision,
        "recounted": done.recounted, "full_recounts": done.state.full_recounts, "drift_cells": done.state.drift_cells,
    }  # fmt: skip
    return {
        "exit_code": 0 if run.error is None else run.error.exit_code,
        "error": None if run.error is None else str(run.error),
        "superseded": run.superseded,
        "results": 0 if run.results is None else len(run.results),
        **known,
    }


@contextmanager
def failing_all(runs: list[Run]) -> Iterator[None]:
    """A database that cannot be reached fails every model that has no error of its own."""
    try:
        yield
    except EvaluationError as error:
        for run in runs:
            run.error = error
    except sa.exc.SQLAlchemyError as error:
        for run in runs:
            run.fail(error)


@contextmanager
def failing(run: Run) -> Iterator[None]:
    """What fails one model is noted in its run."""
    try:
        yield
    except SupersededError:
        run.superseded = True
        logger.warning("%s: another worker has advanced the state meanwhile; nothing is pushed", run.model)
    except EvaljobError as error:
        run.error = error
    except sa.exc.SQLAlchemyError as error:
        run.fail(error)
