"""Reconciliation: count afresh at the state's own instant, compare cell by cell, say what differs, and repair it."""

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from evaljob import job, journal
from evaljob.advance import Advanced, advance
from evaljob.cells import BOOKED_BUCKET, NONE, Cells, Levels
from evaljob.config import Config, Evaluation
from evaljob.job import Work
from evaljob.join.plan import AGE, BOOKED, BOOKS, LAG, LATENCY, OUTCOME
from evaljob.metrics import evaluate
from evaljob.metrics.series import OVERALL
from evaljob.runs import Run, exit_code, tell
from evaljob.state import SupersededError

WORST = 5
ATTEMPTS = 5  # to catch up with other workers: each takes a step, which is shorter than the time between their runs
_KINDS = {OUTCOME: "outcomes", LAG: "label lags", LATENCY: "latencies", BOOKS: "books", AGE: "ages"}
_REASONS = ("usable", "orphan label", "prediction without id", "label without id", "score invalid", "number invalid")

logger = logging.getLogger(__name__)


def reconcile(config: Config, *, pushing: bool = True) -> tuple[int, list[Run]]:
    """Recount the state of every model, repair what differs, and push the status with how many cells that were.

    Returns the exit code, which is 0 also when something was repaired, and a Run a model, `superseded` where there is
    no state to compare. Raises ConfigError as a run does.
    """
    with journal.run():
        runs = [Run(evaluation.model, datetime.now(UTC)) for evaluation in config.evaluations]
        job.each(config, runs, _reconcile)
        if pushing:
            job.publish(config, runs)
        tell(runs)
    return exit_code(runs), runs


def drifted(evaluation: Evaluation, difference: Cells) -> list[str]:
    """The cells in which a state differs from a count, by name, those that are furthest off first."""
    furthest = difference.frame.sort_values("n", ascending=False, kind="stable", key=abs)
    return [_drifted(evaluation, difference.levels, cell) for cell in furthest.itertuples()]


def _reconcile(run_: Run, work: Work) -> None:
    with run_.stage("load"):
        old = work.states.load(run_.model)
        run_.mlflow = job.known_of_mlflow(work, run_.model)
    digest = job.digest_of(work.config, work.plan)
    if old is None or old.unreadable or old.fingerprint != digest:
        run_.superseded = True
        logger.warning("%s: there is no state of this configuration to compare; the next run counts afresh", run_.model)
        return
    with run_.stage("count"):
        counted = advance(work.connection, work.plan, old, old.as_of, digest, full=True)
    difference = old.cells + -counted.state.cells
    found = len(difference.frame)
    _tell(run_.model, work.plan.evaluation, difference)
    recounts = old.full_recounts + (found > 0)  # one that confirms the state is no repair
    _repair(run_, work, replace(counted, state=replace(counted.state, drift_cells=found, full_recounts=recounts)))


def _tell(model: str, evaluation: Evaluation, difference: Cells) -> None:
    names = drifted(evaluation, difference)
    if not names:
        logger.info("%s: reconciled: no cell differs", model)
        return
    logger.warning("%s: DRIFT: %d cells differ from the logs; the state is repaired", model, len(names))
    for name in names[:WORST]:
        logger.warning("%s: drift: %s", model, name)
    logger.warning(
        "%s: rows were changed, deleted, or became visible after their own timestamp; return ingested_at from the SQL "
        "files or raise schedule.settle",
        model,
    )


def _repair(run_: Run, work: Work, counted: Advanced) -> None:
    """Put the count in the state's place. A state that has moved on meanwhile is met at its new instant."""
    for _ in range(ATTEMPTS):
        try:
            _store(run_, work, counted)
        except SupersededError:
            counted = _caught_up(run_.model, work, counted)
        else:
            return
    raise SupersededError(run_.model)


def _store(run_: Run, work: Work, counted: Advanced) -> None:
    state = counted.state
    with run_.stage("metrics"):
        missing = job.unplaceable(work.connection, work.plan, state.as_of)
        past = job.known_of_past(work, run_, state.as_of)
        results = evaluate(work.plan.evaluation, state.cells, state.as_of, missing, past)
    with run_.stage("store"), work.states.engine.begin() as transaction:
        work.states.replace(transaction, run_.model, state)
        job.keep(transaction, work.config, results)
    run_.as_of, run_.results, run_.advanced = state.as_of, results, counted


def _caught_up(model: str, work: Work, counted: Advanced) -> Advanced:
    """The count stepped to where another worker has brought the state."""
    current, state = work.states.load(model), counted.state
    if current is None or current.fingerprint != state.fingerprint:
        raise SupersededError(model)
    work.connection.rollback()  # ends the snapshot, in which the rows that came since are missing
    there = advance(work.connection, work.plan, state, current.as_of, state.fingerprint)
    return replace(counted, state=replace(there.state, revision=current.revision + 1))


def _drifted(evaluation: Evaluation, levels: Levels, cell: Any) -> str:
    off = f"{cell.n:+,} requests" if cell.n else "the same count, but other sums"
    return f"{_place(evaluation, levels, cell)}: {_kind(levels, cell)}: {off}"


def _place(evaluation: Evaluation, levels: Levels, cell: Any) -> str:
    slice_, value = OVERALL, ""
    if cell.slice:
        slice_, value = ",".join(evaluation.slices[cell.slice - 1]), f"={levels['slice_value'][cell.slice_value]}"
    version = levels["model_version"][cell.model_version]
    return f"window {evaluation.windows[cell.window].name}, version {version}, {slice_}{value}"


def _kind(levels: Levels, cell: Any) -> str:
    if cell.kind == BOOKS:
        booked = cell.bucket >= BOOKED_BUCKET
        return BOOKED[cell.bucket - BOOKED_BUCKET].replace("_", " ") if booked else _REASONS[cell.bucket]
    label, prediction = ("none" if c == NONE else levels["class"][c] for c in (cell.label, cell.prediction))
    classes = f" of label {label}, prediction {prediction}" if cell.kind == OUTCOME else ""
    return f"{_KINDS[cell.kind]}{classes}, bin {cell.bucket}"
