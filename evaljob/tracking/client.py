"""The process that speaks to MLflow: a request on standard input, an answer a line on standard output.

A process of its own, because it can be ended whatever it hangs in, because credentials reach the client by the
environment alone, and because a worker need not hold that library. Nothing else imports mlflow.
"""

import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric, Run, RunTag
from mlflow.exceptions import MlflowException

MODEL_TAG, VERSION_TAG, AS_OF_TAG = "evaljob.model", "evaljob.model_version", "evaljob.as_of"
DEFAULT_EXPERIMENT = "evaljob"
_BATCH = 1000
_PAGE = 1000
_REGISTERED = re.compile(r"models:/(?P<name>[^/@]+)(?:/(?P<number>\d+)|@(?P<alias>.+))")
_NUMBER = re.compile(r"v?(\d{1,9})", re.IGNORECASE)

Answer = dict[str, Any]


class MissingError(Exception):
    """Something that the configuration names is not there."""


def main() -> None:
    """Answer the request that standard input holds, while its `seconds` last."""
    request = json.load(sys.stdin)
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])  # whoever started it may be gone
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    with contextlib.redirect_stdout(sys.stderr):  # where the library may print links
        client = MlflowClient(request["tracking_uri"], request["tracking_uri"])
        for model in request["models"]:
            for answer in followed(client, model):
                print(json.dumps({"model": model["model"], **answer}), file=answers, flush=True)


def followed(client: MlflowClient, model: Mapping[str, Any]) -> Iterator[Answer]:
    """What became of each version of a model, and at the end {"done": ...} or what was wrong with the model itself."""
    try:
        runs = _Runs(client, model)
        for version, points in model["versions"].items():
            yield {"version": version} | _tried(runs, version, points)
    except (MlflowException, MissingError) as error:
        yield {"error": str(error)}
    else:
        yield {"done": runs.told}


def _tried(runs: "_Runs", version: str, points: list[tuple[str, float, int]]) -> Answer:
    try:
        run = runs.of(version)
        return _logged(runs, run, points) | {"run_id": run.info.run_id, "offline": _offline(runs, run)}
    except (MlflowException, MissingError) as error:
        return {"error": str(error)}


def _logged(runs: "_Runs", run: Run, points: list[tuple[str, float, int]]) -> Answer:
    """Log the points, unless the run has some of the last interval already or of a later instant."""
    as_of = datetime.fromisoformat(runs.model["as_of"])
    last = run.data.tags.get(AS_OF_TAG)
    if last is not None and as_of < datetime.fromisoformat(last) + timedelta(seconds=runs.model["every"]):
        return {"logged": 0}
    step = int(as_of.timestamp())  # of its own: of several values at one step MLflow shows the largest as the latest
    metrics = [Metric(key, value, at, step) for key, value, at in points]
    for first in range(0, len(metrics), _BATCH):
        rest = first + _BATCH >= len(metrics)
        tags = [RunTag(AS_OF_TAG, as_of.isoformat())] if rest else []
        runs.client.log_batch(run.info.run_id, metrics=metrics[first : first + _BATCH], tags=tags)
    return {"logged": len(metrics)}


def _offline(runs: "_Runs", run: Run) -> dict[str, float]:
    prefix = runs.model["offline_prefix"]
    return {name.removeprefix(prefix): value for name, value in run.data.metrics.items() if name.startswith(prefix)}


class _Runs:
    """The runs of a model's versions. Raises MissingError for what the configuration names and MLflow does not have."""

    def __init__(self, client: MlflowClient, model: Mapping[str, Any]) -> None:
        self.client, self.model = client, model
        self._versions_of: dict[str, str] = {}  # run to version
        self._experiment = self._find_experiment()
        self._aliases = self._find_aliases()
        self._named = {version: self._get(reference) for version, reference in model["runs"].items()}
        self._tagged = self._find_tagged()
        self.told = f"experiment {model['experiment'] or DEFAULT_EXPERIMENT}, {len(self._tagged)} runs of the model"

    def of(self, version: str) -> Run:
        """The run of a version: that of the configuration, of the registered version, one with its tags, or a new one.

        Raises MissingError where it is another version's already: their points could not be told apart.
        """
        run = self._named.get(version) or self._registered(version) or self._tagged.get(version) or self._made(version)
        other = self._versions_of.setdefault(run.info.run_id, version)
        if other != version:
            raise MissingError(f"run {run.info.run_id} is that of version {other} already; give each version its own")
        return run

    def _find_experiment(self) -> str | None:
        """The id of the experiment, None for the default one that is still to be made."""
        name = self.model["experiment"] or DEFAULT_EXPERIMENT
        found = self.client.get_experiment_by_name(name)
        if found is not None and found.lifecycle_stage == "active":
            return str(found.experiment_id)
        if found is not None or self.model["experiment"] is not None:
            why = "is not there; make it" if found is None else "is deleted; restore it"
            raise MissingError(f"mlflow.experiment {name} {why}, or name another one")
        return None

    def _find_aliases(self) -> dict[str, str]:
        name = self.model["registered_model"]
        if name is None:
            return {}
        try:
            return dict(self.client.get_registered_model(name).aliases)
        except MlflowException as error:
            raise MissingError(f"mlflow.registered_model {name}: {error}") from error

    def _get(self, reference: str) -> Run:
        registered = _REGISTERED.fullmatch(reference)
        if registered is None:
            return self.client.get_run(reference)
        name, number, alias = registered["name"], registered["number"], registered["alias"]
        found = self.client.get_model_version_by_alias(name, alias) if alias else self._version(name, number)
        if found is None or not found.run_id:
            raise MissingError(f"{reference} is not there, or has no run")
        return self.client.get_run(found.run_id)

    def _registered(self, version: str) -> Run | None:
        """The run of the version of the registered model that has this alias or number."""
        name, plain = self.model["registered_model"], _NUMBER.fullmatch(version)
        number = self._aliases.get(version) or (plain and plain[1])
        found = self._version(name, number) if name and number else None
        return self.client.get_run(found.run_id) if found is not None and found.run_id else None

    def _version(self, name: str, number: str) -> Any:
        try:
            return self.client.get_model_version(name, number)
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _find_tagged(self) -> dict[str, Run]:
        """The newest run of each version that carries both tags."""
        if self._experiment is None:
            return {}
        found: dict[str, Run] = {}
        for run in self._with_model_tag(self._experiment):
            if run.data.tags.get(MODEL_TAG) == self.model["model"] and VERSION_TAG in run.data.tags:
                found.setdefault(run.data.tags[VERSION_TAG], run)
        return found

    def _with_model_tag(self, experiment: str) -> Iterator[Run]:
        # No quoting is known for what stands between quotes, so it is left to a wildcard, and looked at afterwards.
        pattern = re.sub(r"""['"\\]""", "_", self.model["model"])
        query, token = f"tags.`{MODEL_TAG}` LIKE '{pattern}'", None
        while True:
            newest_first = ["attributes.start_time DESC"]
            page = self.client.search_runs(
                [experiment], query, max_results=_PAGE, order_by=newest_first, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return

    def _made(self, version: str) -> Run:
        if self._experiment is None:
            self._experiment = self.client.create_experiment(DEFAULT_EXPERIMENT)
        name, tags = f"{self.model['model']} {version}", {MODEL_TAG: self.model["model"], VERSION_TAG: version}
        run = self.client.create_run(self._experiment, tags=tags, run_name=name)
        self.client.set_terminated(run.info.run_id)
        return run


if __name__ == "__main__":
    main()
