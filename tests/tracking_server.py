"""An MLflow tracking server as tests see it: by its REST interface, not by the client that evaljob uses."""

import json
import time
import urllib.parse
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from tests import servers


class Server:
    """An MLflow tracking server, asked over its REST interface."""

    def __init__(self, url: str) -> None:
        self.url = url

    def post(self, what: str, **body: Any) -> Any:
        """Change or search something."""
        return self._ask("POST", f"/api/2.0/mlflow/{what}", json.dumps(body).encode())

    def get(self, what: str, **query: Any) -> Any:
        """Read something."""
        return self._ask("GET", f"/api/2.0/mlflow/{what}?{urllib.parse.urlencode(query)}")

    def experiment(self) -> tuple[str, str]:
        """The id and the name of a new experiment."""
        name = f"experiment {uuid4().hex}"
        return str(self.post("experiments/create", name=name)["experiment_id"]), name

    def run(self, experiment: str, tags: Mapping[str, str] | None = None, **metrics: float) -> str:
        """The id of a new run, such as a training leaves behind."""
        told = [{"key": key, "value": value} for key, value in (tags or {}).items()]
        made = self.post("runs/create", experiment_id=experiment, start_time=_now(), tags=told)
        run_id = str(made["run"]["info"]["run_id"])
        for key, value in metrics.items():
            self.post("runs/log-metric", run_id=run_id, key=key, value=value, timestamp=_now())
        return run_id

    def registered(self, name: str, run_id: str, alias: str | None = None) -> str:
        """The number of a version of a registered model, made where there is none of this name."""
        if not self.get("registered-models/search", filter=f"name = '{name}'"):
            self.post("registered-models/create", name=name)
        source = f"runs:/{run_id}/model"
        made = self.post("model-versions/create", name=name, source=source, run_id=run_id)["model_version"]
        if alias is not None:
            self.post("registered-models/alias", name=name, alias=alias, version=made["version"])
        return str(made["version"])

    def runs(self, experiment: str) -> dict[str, dict[str, Any]]:
        """The runs of an experiment by what `evaljob.model_version` says."""
        found = self.post("runs/search", experiment_ids=[experiment]).get("runs", [])
        return {pairs(run["data"]["tags"]).get("evaljob.model_version", ""): run for run in found}

    def metrics(self, run_id: str) -> dict[str, float]:
        """The latest metrics of a run."""
        data = self.get("runs/get", run_id=run_id)["run"]["data"]
        return {key: float(value) for key, value in pairs(data.get("metrics", [])).items()}

    def history(self, run_id: str, key: str) -> list[tuple[int, int, float]]:
        """The points of a metric: timestamp in seconds, step and value."""
        found = self.get("metrics/get-history", run_id=run_id, metric_key=key)["metrics"]
        return sorted((int(p["timestamp"]) // 1000, int(p["step"]), float(p["value"])) for p in found)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        return json.loads(servers.fetch(f"{self.url}{path}", method, body, {"Content-Type": "application/json"}))


def _now() -> int:
    return int(time.time() * 1000)


def pairs(items: list[dict[str, Any]]) -> dict[str, Any]:
    """Keys and values that come as a list of both."""
    return {item["key"]: item["value"] for item in items}
