"""Backfill: the evaluations as they would have been published at each instant, made by stepping a state of its own.

The results of some instants and the cells at the last of them are stored in one transaction, so that a backfill that
was interrupted goes on where it stood, and ends with the same results as one that was not.
"""

import hashlib
import logging
import time
from datetime import datetime
from functools import partial
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

from evaljob import checkpoint, clock, history, job, openmetrics
from evaljob.advance import advance
from evaljob.checkpoint import Span
from evaljob.config import Config, Evaluation
from evaljob.errors import ConfigError, EvaluationError
from evaljob.history import Selection
from evaljob.job import Work
from evaljob.metrics import evaluate
from evaljob.metrics.past import Past
from evaljob.past import Archive
from evaljob.progress import Report
from evaljob.runs import Run, exit_code
from evaljob.state import State, store

COMMIT_EVERY = 10.0  # seconds of work that an interruption may cost

logger = logging.getLogger(__name__)


def backfill(config: Config, span: Span, report: Report, file: Path | None = None) -> tuple[int, list[Run]]:
    """Evaluate every model at the instants of the span, into the history, and write that to `file` as OpenMetrics.

    The states that live runs go on from are left alone, and nothing is pushed. Returns the exit code and a Run a model.
    Raises ConfigError as a run does, for instants that are still to come and for a file that cannot be; and
    EvaluationError when the file cannot be written.
    """
    _refuse(config, span, file)
    _warn_of_retention(config, span)
    runs = [Run(evaluation.model, span.end) for evaluation in config.evaluations]
    job.each(config, runs, partial(_fill, span=span, report=report))
    if exit_code(runs) == 0:
        _finish(config, span, file)
    return exit_code(runs), runs


def _refuse(config: Config, span: Span, file: Path | None) -> None:
    """What would otherwise fail after hours."""
    now, last = clock.now(config), span[len(span) - 1]
    if last > now:
        raise ConfigError(f"--to: {last.isoformat()} is still to come; the last instant known is {now.isoformat()}")
    if file is not None and not file.absolute().parent.is_dir():
        raise ConfigError(f"--openmetrics: {file.parent}: there is no such directory; make it")


def _warn_of_retention(config: Config, span: Span) -> None:
    kept = clock.now(config) - config.state.history_retention
    if span.start < kept:
        logger.warning(
            "state.history_retention: the next run removes from the history what lies before %s; raise it to keep all "
            "of this backfill",
            kept.isoformat(),
        )


def _fill(run_: Run, work: Work, span: Span, report: Report) -> None:
    """One model's instants, from where an earlier backfill of the span was interrupted."""
    evaluation, digest = work.plan.evaluation, job.digest_of(work.config, work.plan)
    meaning = _meaning(evaluation, digest)
    state, done = _resumed(run_.model, work, span, meaning, digest)
    missing = job.unplaceable(work.connection, work.plan, span.start)
    unsaved, saved = list[pd.DataFrame](), time.monotonic()
    for number in range(done, len(span)):
        state = advance(work.connection, work.plan, state, span[number], digest).state
        past = _past(work, state.as_of, unsaved)
        unsaved.append(evaluate(evaluation, state.cells, state.as_of, missing, past))
        if time.monotonic() - saved >= COMMIT_EVERY or number == len(span) - 1:
            _save(work, span, meaning, state, unsaved)
            unsaved, saved = [], time.monotonic()
            work.connection.rollback()  # a snapshot that is held for hours keeps the database from cleaning up
        report(run_.model, number + 1, len(span), state.as_of)


def _past(work: Work, as_of: datetime, unsaved: list[pd.DataFrame]) -> Past:
    """What results are compared with. Offline metrics of today were not known then."""
    with work.states.engine.connect() as connection:
        return Archive(connection, work.plan.evaluation, unsaved).past(as_of)


def _meaning(evaluation: Evaluation, fingerprint: str) -> str:
    """A digest of everything that results depend on: besides the cells, the evaluation's thresholds and costs."""
    return hashlib.sha256(f"{fingerprint} {evaluation.model_dump_json()}".encode()).hexdigest()


def _resumed(model: str, work: Work, span: Span, meaning: str, digest: str) -> tuple[State | None, int]:
    """The state at the last instant that is stored, and how many instants are."""
    with work.states.engine.connect() as connection:
        state = checkpoint.load(connection, model, span, meaning, digest)
    if state is None:
        return None, 0
    done = (state.as_of - span.start) // span.every + 1
    logger.info("%s: goes on after %s, with %d of %d instants done", model, state.as_of.isoformat(), done, len(span))
    return state, done


def _save(work: Work, span: Span, meaning: str, state: State, unsaved: list[pd.DataFrame]) -> None:
    with work.states.engine.begin() as transaction:
        checkpoint.save(transaction, work.plan.evaluation.model, span, meaning, state)
        for results in unsaved:
            history.record(transaction, results)


def _finish(config: Config, span: Span, file: Path | None) -> None:
    """What is left to do when all instants are done: the file, and then to forget where the backfill stood."""
    models = tuple(evaluation.model for evaluation in config.evaluations)
    selection = Selection(models, span.start, span.end, span.every)
    with store(config) as states:
        with states.engine.connect() as connection:
            lost = {} if file is None else _lost(connection, selection, len(span))
            if file is not None and not lost:
                _write(connection, selection, config.pushgateway.job, file)
        with states.engine.begin() as transaction:
            checkpoint.forget(transaction, models, span)
    for model, instants in lost.items():
        mend = "raise state.history_retention, which has removed them, and start the backfill again"
        raise EvaluationError(f"{model}: {instants} of {len(span)} instants are not in the history any more; {mend}")


def _lost(connection: sa.Connection, selection: Selection, instants: int) -> dict[str, int]:
    """How many instants have been removed from the history meanwhile, of models that have lost any."""
    found = {model: len(history.instants(connection, model, selection)) for model in selection.models}
    return {model: instants - kept for model, kept in found.items() if kept < instants}


def _write(connection: sa.Connection, selection: Selection, job_: str, file: Path) -> None:
    """The file at once: whoever reads it sees all of it or none."""
    draft = file.with_name(f"{file.name}.part")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as text:
            openmetrics.write(text, connection, selection, job_)
        draft.replace(file)
    except OSError as error:
        raise EvaluationError(f"{file}: cannot be written: {error.strerror}") from error
