"""The Iris service as it runs: two processes under uvicorn, a real database, and what happens when it goes away."""

import json
import re
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import LOOPBACK, directory, free_port, running, wait_until
from tests.servers import answers, fetch

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "iris"
SETOSA = [5.1, 3.5, 1.4, 0.2]
JSON = {"content-type": "application/json"}
pytestmark = pytest.mark.timeout(240)  # two processes import scikit-learn, which takes a busy machine its time


@dataclass(frozen=True)
class Service:
    """A running service and its SQLite file."""

    url: str
    database: Path
    spool: Path

    def post(self, path: str, body: object) -> tuple[int, Any]:
        """Status and decoded answer; `body` as it is when it is bytes, as JSON else."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}{path}", data, JSON)  # noqa: S310  (http)
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with direct.open(request, timeout=30) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, _decoded(error.read())

    def predict(self, features: object = SETOSA) -> dict[str, Any]:
        """The answer to a request that must succeed."""
        status, answer = self.post("/predict", {"features": features})
        assert status == 200, answer
        return dict(answer)

    def rows(self, query: str, *values: object) -> list[Any]:
        """What the database has."""
        connection = sqlite3.connect(self.database, timeout=10)
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def labels(self, request_id: str) -> list[Any]:
        """The label rows of a request, oldest first."""
        return self.rows("SELECT label FROM labels WHERE request_id = ? ORDER BY labeled_at", request_id)

    def samples(self) -> dict[tuple[str, tuple[str, ...]], float]:
        """What /metrics says: (name, values of the labels in order of their names) to value."""
        families = text_string_to_metric_families(fetch(f"{self.url}/metrics"))
        samples = (sample for family in families for sample in family.samples)
        return {(sample.name, tuple(v for _, v in sorted(sample.labels.items()))): sample.value for sample in samples}

    def total(self, name: str) -> float:
        """A counter, summed over its labels."""
        return sum(value for (sample, _), value in self.samples().items() if sample == name)


def _decoded(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    """The service with two processes on one SQLite file."""
    port = free_port()
    with directory("iris") as folder:
        found = Service(f"http://{LOOPBACK}:{port}", folder / "iris.db", folder / "spool")
        environ = [f"PYTHONPATH={ROOT}", f"IRIS_DATABASE_URL=sqlite:///{found.database}", f"IRIS_SPOOL={found.spool}"]
        command = ["env", *environ, sys.executable, "-m", "examples.iris", "--port", str(port), "--workers", "2"]
        with running(command, folder, lambda: True):
            wait_until(lambda: answers(f"{found.url}/healthz"), "the service", timeout=200)
            yield found


def test_answer_is_the_row_in_the_log(service: Service) -> None:
    """Class, probability and request_id of the answer are what the log holds when the answer has come."""
    answer = service.predict()
    assert (answer["class"], answer["probability"] > 0.5) == ("setosa", True)
    (row,) = service.rows(
        "SELECT model, prediction, score, model_version, latency_seconds > 0, ingested_at > predicted_at "
        "FROM predictions WHERE request_id = ?",
        answer["request_id"],
    )
    assert row == ("iris", "setosa", answer["probability"], answer["model_version"], 1, 1)


def test_every_process_counts_and_logs(service: Service) -> None:
    """200 requests of 8 clients at once leave 200 rows, and /metrics of either process says 200 more."""
    before = service.samples()
    with ThreadPoolExecutor(8) as clients:
        served = list(clients.map(lambda _: service.predict(), range(200)))
    ids = {answer["request_id"] for answer in served}
    versions = Counter(answer["model_version"] for answer in served)
    marks = ",".join("?" * len(ids))
    rows = service.rows(f"SELECT request_id FROM predictions WHERE request_id IN ({marks})", *ids)
    assert len(rows) == len(ids) == 200
    assert set(versions) == {"v1", "v2"}
    for _ in range(6):  # scrapes reach one process or the other
        after = service.samples()
        for version, times in versions.items():
            for name, labels in (
                ("predictions_total", ("setosa", version)),
                ("predict_latency_seconds_count", (version,)),
            ):
                assert after[name, labels] - before[name, labels] == times


def test_readme_says_what_is_so(service: Service) -> None:
    """Its requests get answers of the form that it shows, and it names every metric there is."""
    readme = (EXAMPLE / "README.md").read_text()
    shown = re.findall(r"-d '(.+)' \\\n +http://127\.0\.0\.1:8000(/\w+)\n +(\{.+\})", readme)
    assert [path for _, path, _ in shown] == ["/predict", "/labels"]
    for body, path, answer in shown:
        status, found = service.post(path, json.loads(body))
        assert (status, found.keys()) == (200, json.loads(answer).keys())
    families = text_string_to_metric_families(fetch(f"{service.url}/metrics"))
    assert {family.name for family in families} == {
        name.removesuffix("_total")
        for name in re.findall(r"`([a-z_]+)(?:\{[a-z_,]+\})?`", readme.partition("## Metrics")[2])
        if name.startswith(("predict", "labels", "offline"))
    }


def test_latency_buckets(service: Service) -> None:
    """The histogram tells apart what takes less than a millisecond and goes up to 5 s."""
    bounds = sorted(
        {float(labels[0]) for name, labels in service.samples() if name == "predict_latency_seconds_bucket"}
    )
    assert sum(bound < 0.001 for bound in bounds) >= 3
    assert bounds[-2:] == [5.0, float("inf")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"features": [5.1, 3.5, NaN, 0.2]}', "features.2"),
        (b'{"features": [5.1, 3.5, 1.4, -Infinity]}', "features.3"),
        (b'{"features": [5.1, 1e999, 1.4, 0.2]}', "features.1"),
        ({"features": [5.1, 3.5, 1.4]}, "features"),
        ({"features": [[5.1, 3.5, 1.4, 0.2]]}, "features.0"),
        ({"features": [5.1, "3.5", 1.4, 0.2]}, "features.1"),
        ({"features": [5.1, True, 1.4, 0.2]}, "features.1"),
        ({"features": SETOSA, "country": "\u0000"}, "country"),
        ({"feature": SETOSA}, "features"),
        (b"[]", "body"),
        (b'{"features": [5.1', "body"),
        (b"", "body"),
    ],
    ids=str,
)
def test_refused_requests(service: Service, body: object, field: str) -> None:
    """422 names the field; the request is in the log without a prediction and counted as an error."""
    before = service.total("predict_errors_total")
    status, answer = service.post("/predict", body)
    assert status == 422
    assert field in [found["field"] for found in answer["detail"]]
    query = "SELECT prediction, score, latency_seconds > 0 FROM predictions WHERE request_id = ?"
    assert service.rows(query, answer["request_id"]) == [(None, None, 1)]
    assert service.total("predict_errors_total") == before + 1


@pytest.mark.parametrize("path", ["/predict", "/labels"])
def test_oversize_bodies(service: Service, path: str) -> None:
    """More than a request can need is refused before it is parsed, whether its length was declared or not."""
    body = b" " * 300_000
    assert service.post(path, body)[0] == 413
    chunked = urllib.request.Request(f"{service.url}{path}", iter([body]), JSON)  # noqa: S310  (http)
    with pytest.raises(urllib.error.HTTPError, match="413") as refused:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(chunked, timeout=10)
    refused.value.close()


def test_labels_are_idempotent_and_corrections_append(service: Service) -> None:
    """The same label again adds no row; another one adds a later row, and null, which retracts it, another."""
    request_id = service.predict()["request_id"]
    rows = []
    for label in ("setosa", "setosa", "virginica", "virginica", "setosa", None):
        status, counts = service.post("/labels", {"request_id": request_id, "label": label})
        rows.append((counts["new"], counts["corrected"], counts["repeated"], counts["orphan"]))
        assert status == 200
    assert rows == [(1, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 1, 0, 0)]
    assert service.labels(request_id) == [("setosa",), ("virginica",), ("setosa",), (None,)]


def test_many_labels_at_once(service: Service) -> None:
    """A list is stored whole: of three labels for two requests one is repeated; an unknown id is stored and counted."""
    known, unknown = service.predict()["request_id"], "nobody-asked"
    before = service.samples()["labels_total", ("orphan",)]
    body = [{"request_id": name, "label": "setosa"} for name in (known, unknown, known)]
    assert service.post("/labels", body) == (200, {"new": 2, "corrected": 0, "repeated": 1, "orphan": 1})
    assert service.labels(unknown) == [("setosa",)]
    assert service.samples()["labels_total", ("orphan",)] == before + 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([{"request_id": "kept-out", "label": "setosa"}, {"request_id": "b", "label": "tulip"}], "1.label"),
        ({"request_id": "x" * 65, "label": "setosa"}, "0.request_id"),
        ({"request_id": "a", "label": "setosa", "revenue": "5"}, "0.revenue"),
        ([], "body"),
    ],
    ids=str,
)
def test_refused_labels(service: Service, body: object, field: str) -> None:
    """422 names the place in the list, and nothing of the list is stored."""
    status, answer = service.post("/labels", body)
    assert (status, [found["field"] for found in answer["detail"]]) == (422, [field])
    assert service.labels("kept-out") == []


def test_the_same_label_from_all_sides_at_once(service: Service) -> None:
    """Eight clients say the same of five requests through both processes: one row each."""
    ids = [service.predict()["request_id"] for _ in range(5)]
    body = [{"request_id": request_id, "label": "setosa"} for request_id in ids]
    with ThreadPoolExecutor(8) as clients:
        counts = [answer for _, answer in clients.map(lambda _: service.post("/labels", body), range(16))]
    assert sum(count["new"] for count in counts) == 5
    assert [service.labels(request_id) for request_id in ids] == [[("setosa",)]] * 5


def test_database_down_loses_no_prediction(service: Service) -> None:
    """While another program holds the database, predictions are served and wait; then each is in the table, once.

    Labels are refused as a whole, with the advice to send them again.
    """
    wait = sqlite3.connect(service.database, timeout=30, isolation_level=None)
    wait.execute("BEGIN EXCLUSIVE")
    try:
        with ThreadPoolExecutor(8) as clients:
            ids = [answer["request_id"] for answer in clients.map(lambda _: service.predict(), range(40))]
        status, answer = service.post("/labels", {"request_id": ids[0], "label": "setosa"})
        assert (status, "send it again" in answer["detail"]) == (503, True)
        assert service.samples()["prediction_log_spool_bytes", ()] > 1000
    finally:
        wait.execute("ROLLBACK")
        wait.close()
    marks = ",".join("?" * len(ids))
    query = f"SELECT request_id, ingested_at > predicted_at FROM predictions WHERE request_id IN ({marks})"
    wait_until(lambda: len(service.rows(query, *ids)) >= len(ids), "the rows of the spool")
    wait_until(lambda: service.samples()["prediction_log_spool_bytes", ()] == 0, "an empty spool")
    assert sorted(service.rows(query, *ids)) == sorted((request_id, 1) for request_id in ids)


def test_traffic_plays_requests_and_late_labels(service: Service) -> None:
    """Three seconds at 36,000 times: the median label comes after 0.6 s, and what was sent is what the database has."""
    before = {table: _count(service, table) for table in ("predictions", "labels")}
    pace = ["--speed", "36000", "--requests-per-hour", "3", "--seconds", "3"]
    command = [sys.executable, "-m", "examples.iris.traffic", "--url", service.url, *pace]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    done = {what: int(times) for what, times in (part.split(": ") for part in ended.stdout.strip().split(", "))}
    assert done["predict 200"] + done.get("predict 422", 0) == _count(service, "predictions") - before["predictions"]
    labels = _count(service, "labels") - before["labels"]
    assert 0.9 * done["labels 200"] <= labels <= done["labels 200"]
    assert done["labels 200"] > 0.2 * done["predict 200"]


def _count(service: Service, table: str) -> int:
    (row,) = service.rows(f"SELECT count(*) FROM {table}")
    return int(row[0])
