"""Publishing: results and status to the Pushgateway, never over newer ones; what it holds of models that are gone."""

import logging
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

import pandas as pd

from evaljob import gauges, history, push
from evaljob.config import Config
from evaljob.errors import PushError
from evaljob.runs import Run, failing, failing_all
from evaljob.state import OvertakenError, Store, SupersededError, store

SLACK = 3.0  # seconds that a push may take besides its network's
RESTORATIONS = 3  # each is overtaken only by a worker that has pushed meanwhile

logger = logging.getLogger(__name__)


def publish(config: Config, runs: list[Run]) -> None:
    """Results and status of every run, and the end of groups whose model is not configured any more."""
    budget = push.Budget(config.pushgateway)
    evaluated = [run for run in runs if run.results is not None and not run.superseded]
    if evaluated:
        with failing_all(evaluated), store(config) as states:
            for run in evaluated:
                with failing(run):
                    _push(config, run, states, budget)
    for run in runs:
        if run.error is not None and not isinstance(run.error, PushError):  # those have told as far as they could
            _push_status(config, run, budget)
    try:
        for model in push.groups(config.pushgateway, budget) - {run.model for run in runs}:
            push.delete_model(config.pushgateway, model, budget)
    except PushError as error:
        logger.warning("groups of models taken out of the configuration may remain: %s", error)


def _push(config: Config, run: Run, states: Store, budget: push.Budget) -> None:
    """A run's results and its status, unless another worker has newer ones; no worker gets newer ones meanwhile."""
    if run.advanced is None or run.results is None:
        return
    if run.advanced.recounted and not run.advanced.kept:
        logger.warning("%s: the results of %s go over later ones, as was asked for", run.model, run.as_of)
    seconds = max(budget.left, 0) + SLACK
    try:
        with budget.within(seconds), states.holding(run.model, run.advanced.state.revision, seconds):
            _push_results(config, run, run.results, budget)
            _push_status(config, run, budget)
    except OvertakenError:
        run.superseded = True
        logger.warning("%s: another worker came in between; its results are pushed again", run.model)
        _restore(config, run.model, states)


def _push_results(config: Config, run: Run, results: pd.DataFrame, budget: push.Budget) -> None:
    try:
        with run.stage("push"):
            registry = gauges.results_registry(results, run.mlflow.offline if run.mlflow else None)
            push.push_results(config.pushgateway, run.model, registry, budget)
    except PushError as error:
        run.error = error


def _push_status(config: Config, run: Run, budget: push.Budget) -> None:
    try:
        push.push_status(config.pushgateway, run.model, status(run), budget)
    except PushError as error:
        run.error = run.error or error


def _restore(config: Config, model: str, states: Store) -> None:
    """Push the results that the state stands for, which older ones may have overwritten."""
    seconds = config.pushgateway.timeout.total_seconds()
    for _ in range(RESTORATIONS):
        newest = states.load(model)
        if newest is None:
            return
        with suppress(SupersededError), states.holding(model, newest.revision, seconds):
            with states.engine.connect() as connection:
                results = history.read(connection, history.Selection((model,), newest.as_of, newest.as_of))
            push.push_results(config.pushgateway, model, gauges.results_registry(results))
            return


def status(run: Run) -> gauges.Status:
    """How a run ended, for the gateway."""
    done = run.advanced
    known = (None, None, None) if done is None else (done.rows_read, done.state.full_recounts, done.state.drift_cells)
    told = gauges.Status(run.error is None, datetime.now(UTC), run.durations, *known)
    return told if run.mlflow is None else replace(told, mlflow_failures=run.mlflow.failures)
