"""MLflow: a run a model version that unites what was measured offline with what evaljob measures online.

After the push, and never in its way: `points` says what is logged, `client` speaks to MLflow in a process of its own,
`child` bounds its time, and `kept` remembers what was found. What fails is told, counted and tried again.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any

import pandas as pd
import sqlalchemy as sa

from evaljob.config import Config, Evaluation
from evaljob.errors import EvaljobError, TrackingError
from evaljob.tracking import kept
from evaljob.tracking.child import ask
from evaljob.tracking.kept import Kept

logger = logging.getLogger(__name__)

Answers = Sequence[Mapping[str, Any]]


def track(config: Config, engine: sa.Engine, results: Mapping[str, pd.DataFrame]) -> None:
    """Log the results of these models, where `mlflow.every` is over since the last time, and keep what was found.

    Raises nothing for MLflow's sake; the database of the state may fail.
    """
    with engine.connect() as connection:
        known = {model: kept.load(connection, model) for model in results}
    due = {model: frame for model, frame in results.items() if _is_due(config, known[model].as_of, _as_of(frame))}
    if not due:
        return
    tasks = [
        _task(config, evaluation, due[evaluation.model]) for evaluation in config.evaluations if evaluation.model in due
    ]
    answers, error = _asked(config, tasks)
    with engine.begin() as transaction:
        for task in tasks:
            model = task["model"]
            mine = [answer for answer in answers if answer["model"] == model]
            kept.save(transaction, model, _learnt(known[model], task, mine, error))


def check(config: Config) -> str:
    """What MLflow says to the configuration. Raises TrackingError or ConfigError with what is wrong; makes nothing."""
    answers, error = ask(config.mlflow, [_task(config, evaluation, None) for evaluation in config.evaluations])
    for answer in answers:
        if "error" in answer:
            raise TrackingError(f"{answer['model']}: {answer['error']}")
    if error is not None:
        raise error
    return "; ".join(f"{answer['model']}: {answer['done']}" for answer in answers)


def _is_due(config: Config, last: datetime | None, as_of: datetime) -> bool:
    return last is None or as_of >= last + config.mlflow.every


def _as_of(results: pd.DataFrame) -> datetime:
    at: datetime = results["as_of"].iloc[0].to_pydatetime()
    return at


def _task(config: Config, evaluation: Evaluation, results: pd.DataFrame | None) -> dict[str, Any]:
    """What to do for a model; without results, only to look whether all is there that the configuration names."""
    from evaljob.tracking.points import points  # noqa: PLC0415  (with prometheus_client; others want what is kept)

    found = {} if results is None else points(evaluation, results)
    return {
        "model": evaluation.model,
        "as_of": None if results is None else _as_of(results).isoformat(),
        "every": config.mlflow.every.total_seconds(),
        "experiment": evaluation.mlflow.experiment or config.mlflow.experiment,
        "registered_model": evaluation.mlflow.registered_model,
        "runs": dict(evaluation.mlflow.runs),
        "offline_prefix": config.mlflow.offline_prefix,
        "versions": {version: [astuple(point) for point in of_version] for version, of_version in found.items()},
    }


def _asked(config: Config, tasks: Iterable[Mapping[str, Any]]) -> tuple[Answers, EvaljobError | None]:
    try:
        return ask(config.mlflow, tasks)
    except (EvaljobError, OSError) as error:  # OSError: no process can be started
        return [], error if isinstance(error, EvaljobError) else TrackingError(str(error))


def _learnt(before: Kept, task: Mapping[str, Any], answers: Answers, error: EvaljobError | None) -> Kept:
    """What is known after a try. Offline metrics of versions that gave no answer stay as they were."""
    model, versions = task["model"], task["versions"]
    wrong = list(_problems(answers, error))
    for message in wrong:
        logger.warning("%s: MLflow: %s; the next run tries again", model, message)
    logged = sum(answer.get("logged", 0) for answer in answers)
    logger.info("%s: MLflow: %d points logged for %d versions", model, logged, len(versions))
    offline = {**before.offline} | {answer["version"]: answer["offline"] for answer in answers if "offline" in answer}
    offline = {version: metrics for version, metrics in offline.items() if version in versions}
    if wrong:
        return Kept(before.as_of, before.failures + 1, offline)
    return Kept(datetime.fromisoformat(task["as_of"]), before.failures, offline)


def _problems(answers: Answers, error: EvaljobError | None) -> Iterator[str]:
    for answer in answers:
        if "error" in answer:
            yield f"version {answer['version']}: {answer['error']}" if "version" in answer else answer["error"]
    ended = any("done" in answer or ("error" in answer and "version" not in answer) for answer in answers)
    if not ended:
        yield str(error or "its client gave no complete answer")
