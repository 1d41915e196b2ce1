"""MLflow: results logged to a real tracking server, offline metrics read from it, and runs that it cannot delay."""

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from uuid import uuid4

import pandas as pd
import pytest
import sqlalchemy as sa

from evaljob.config import Costs, Outcomes
from evaljob.tracking.points import Point, points
from tests import logs
from tests.configs import MINIMAL, further, refusal
from tests.faulty_proxy import faulty_proxy
from tests.projects import PREDICTIONS, Project, pushed
from tests.tracking_server import Server, pairs

NOON = "2024-06-01T13:00:00+00:00"
AT = int(datetime.fromisoformat(NOON).timestamp())
LATER = "2024-06-01T13:30:00Z"  # when the labels of c and d alone are of the last hour


@pytest.fixture
def server(mlflow_url: str) -> Server:
    """The session's tracking server."""
    return Server(mlflow_url)


@pytest.fixture
def project(tmp_path: Path, pushgateway: str) -> Project:
    """A project with a window of an hour, in which v1 is right 3 of 3 times and v2 0 of 1."""
    return Project.make(tmp_path, pushgateway)


def follow(project: Project, url: str, evaluation: str = "", **keys: Any) -> None:
    """Let a project log to MLflow: a point a minute, and in a time that does for a busy machine."""
    keys = {"tracking_uri": url, "every": "1m", "timeout": "60s"} | keys
    project.replace("evaluations:", f"mlflow: {json.dumps(keys)}\nevaluations:")
    if evaluation:
        project.replace("    min_support: 1", f"    min_support: 1\n    mlflow: {evaluation}")


def published(project: Project, metric: str, kind: str = "results") -> dict[str, float]:
    """What the gateway holds of a metric, by version and name."""
    groups = [group for group in pushed(project.gateway) if ("kind" in group["labels"]) == (kind == "status")]
    found = [sample for group in groups for sample in group.get(metric, {}).get("metrics", [])]
    names = [[sample["labels"].get(name, "") for name in ("model_version", "name")] for sample in found]
    return {" ".join(name): float(sample["value"]) for name, sample in zip(names, found, strict=True)}


# What is logged


def test_each_version_gets_a_run_with_the_windows_metrics(project: Project, server: Server) -> None:
    """No run is known of v1 and v2: each gets one, with points at the window's end and at steps of their own."""
    experiment, name = server.experiment()
    follow(project, server.url, experiment=name)
    assert project.run().code == 0
    runs = server.runs(experiment)
    assert set(runs) == {"v1", "v2"}
    tags = pairs(runs["v1"]["data"]["tags"])
    assert (tags["evaljob.model"], tags["evaljob.as_of"], tags["mlflow.runName"]) == ("m", NOON, "m v1")
    assert runs["v1"]["info"]["status"] == "FINISHED"
    found = server.metrics(runs["v1"]["info"]["run_id"])
    assert found["rolling_accuracy_1h"] == 3 / 3
    assert 0 < found["rolling_accuracy_1h_lower"] < 1
    assert (found["rolling_support_1h"], found["rolling_predictions_1h"]) == (3, 3)
    assert found["online_p95_ms"] == pytest.approx(30, rel=0.011)
    assert server.metrics(runs["v2"]["info"]["run_id"])["rolling_accuracy_1h"] == 0 / 1
    assert server.history(runs["v1"]["info"]["run_id"], "rolling_accuracy_1h") == [(AT, AT, 1.0)]


def test_a_run_again_adds_no_points(project: Project, server: Server) -> None:
    """The same instant again, with what is remembered and without it: one point. Half an hour later: two."""
    experiment, name = server.experiment()
    follow(project, server.url, experiment=name)
    project.run()
    project.run()
    (project.folder / "state.db").unlink()  # another machine, say
    project.execute("DELETE FROM labels WHERE request_id = 'a'")  # what would be another value at the same step
    assert project.run().value("support", model_version="v1") == 2
    run_id = server.runs(experiment)["v1"]["info"]["run_id"]
    assert server.history(run_id, "rolling_support_1h") == [(AT, AT, 3.0)]
    project.evaljob("run", "--as-of", LATER)
    assert server.history(run_id, "rolling_support_1h") == [(AT, AT, 3.0), (AT + 1800, AT + 1800, 1.0)]


def test_a_corrected_label_shows_in_the_next_point(project: Project, server: Server) -> None:
    """D's label is corrected to what v2 said: the new point knows, the old one stays as it was known then."""
    experiment, name = server.experiment()
    follow(project, server.url, experiment=name)
    project.run()
    project.insert("labels", [("d", 0, "2024-06-01 13:02:00.000000")])
    project.evaljob("run", "--as-of", "2024-06-01T13:05:00Z")
    run_id = server.runs(experiment)["v2"]["info"]["run_id"]
    assert server.history(run_id, "rolling_accuracy_1h") == [(AT, AT, 0.0), (AT + 300, AT + 300, 1.0)]


def test_between_two_points_lies_the_interval(project: Project, server: Server) -> None:
    """Every 30 minutes: the run after 5 minutes logs nothing and asks nobody, the one after 30 does."""
    experiment, name = server.experiment()
    follow(project, server.url, experiment=name, every="30m")
    project.run()
    with faulty_proxy(server.url) as proxy:
        project.replace(server.url, proxy.url)
        project.evaljob("run", "--as-of", "2024-06-01T13:05:00Z")
        assert proxy.connections == 0
        project.evaljob("run", "--as-of", "2024-06-01T13:30:00Z")
        assert proxy.connections > 0
    run_id = server.runs(experiment)["v1"]["info"]["run_id"]
    assert [at for at, *_ in server.history(run_id, "rolling_support_1h")] == [AT, AT + 1800]


def test_no_push_means_no_mlflow(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """`--no-push` publishes nowhere: nobody listens at this address, and nobody misses it."""
    follow(project, "http://127.0.0.1:1")
    assert project.run("--no-push").code == 0
    assert "MLflow" not in caplog.text


# Offline metrics, and whose run it is


def test_offline_metrics_of_training_runs_are_published(project: Project, server: Server) -> None:
    """The run of a training, found by its tags: what it measured is published from the next push on."""
    experiment, name = server.experiment()
    tags = {"evaljob.model": "m", "evaljob.model_version": "v1"}
    run_id = server.run(experiment, tags, offline_accuracy=0.97, offline_auc=0.99, loss=0.1)
    server.run(experiment, tags | {"evaljob.model": "another"}, offline_accuracy=0.5)
    follow(project, server.url, experiment=name)
    project.run()
    assert published(project, "evaljob_offline_metric") == {}
    project.evaljob("run", "--as-of", LATER)
    expected = {"v1 accuracy": 0.97, "v1 auc": 0.99}
    assert published(project, "evaljob_offline_metric") == expected
    assert server.history(run_id, "rolling_support_1h") == [(AT, AT, 3.0), (AT + 1800, AT + 1800, 1.0)]
    assert len(server.post("runs/search", experiment_ids=[experiment])["runs"]) == 2 + 1  # and the one made for v2


def test_runs_come_from_the_registry_or_by_name(project: Project, server: Server) -> None:
    """v1 and v2 are versions 1 and 2 of the registered model; what the configuration names goes before them."""
    experiment, _ = server.experiment()
    registered = f"fraud-{uuid4().hex}"
    first, second, third = (server.run(experiment, offline_accuracy=value) for value in (0.7, 0.8, 0.9))
    assert server.registered(registered, first) == "1"
    server.registered(registered, second, alias="best")
    follow(project, server.url, f"{{registered_model: {registered}}}")
    project.run()
    assert server.metrics(first)["rolling_accuracy_1h"] == 3 / 3
    assert server.metrics(second)["rolling_accuracy_1h"] == 0 / 1
    named = f"runs: {{v2: {third}, v1: 'models:/{registered}@best'}}"
    project.replace(f"registered_model: {registered}", f"registered_model: {registered}, {named}")
    project.evaljob("run", "--as-of", LATER)
    assert "rolling_support_1h" in server.metrics(third)
    project.evaljob("run", "--as-of", "2024-06-01T13:31:00Z")
    assert published(project, "evaljob_offline_metric") == {"v1 accuracy": 0.8, "v2 accuracy": 0.9}


def test_two_versions_cannot_share_a_run(project: Project, server: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Their points could not be told apart: the first keeps the run, the second is a failure that says so."""
    experiment, name = server.experiment()
    run_id = server.run(experiment)
    follow(project, server.url, f"{{runs: {{v1: {run_id}, v2: {run_id}}}}}", experiment=name)
    ended = project.run()
    assert ended.code == 0
    assert server.history(run_id, "rolling_support_1h") == [(AT, AT, 3.0)]
    assert f"version v2: run {run_id} is that of version v1 already" in caplog.text


def test_awkward_names_find_their_runs_again(project: Project, server: Server) -> None:
    """Versions and a model with quotes and the like in their names: one run each, also the second time."""
    experiment, name = server.experiment()
    versions = {"a": "it's", "b": 'q"', "c": "back\\slash", "d": "é 🙂 100%_"}
    project.replace("model: m", f"model: {json.dumps(' '.join(versions.values()), ensure_ascii=False)}")
    project.execute("DELETE FROM predictions")
    project.insert("predictions", [(*row[:2], versions[row[0]], *row[3:]) for row in PREDICTIONS if row[0] in versions])
    follow(project, server.url, experiment=name)
    project.run()
    project.evaljob("run", "--as-of", "2024-06-01T13:01:00Z")
    runs = server.post("runs/search", experiment_ids=[experiment])["runs"]
    assert sorted(pairs(run["data"]["tags"])["evaljob.model_version"] for run in runs) == sorted(versions.values())
    assert {len(server.history(run["info"]["run_id"], "rolling_support_1h")) for run in runs} == {2}


# What goes wrong


def failures(project: Project, as_of: str = LATER) -> float:
    """What a further run publishes of how many runs failed to log, or a failure of that run itself."""
    assert project.evaljob("run", "--as-of", as_of).code == 0
    (count,) = published(project, "evaljob_mlflow_failures", "status").values()
    return count


def test_a_server_that_is_down_costs_the_run_nothing(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """Exit code 0, results pushed, a line in the log, and one failure more in the status of the next run."""
    follow(project, "http://127.0.0.1:1")
    assert project.run().code == 0
    assert published(project, "evaljob_mlflow_failures", "status") == {" ": 0}
    assert published(project, "evaljob_last_run_success", "status") == {" ": 1}
    assert "m: MLflow: API request to http://127.0.0.1:1/" in caplog.text
    assert failures(project) == 1
    assert failures(project, "2024-06-01T13:31:00Z") == 2


@pytest.mark.parametrize("mode", ["blackhole", "drip"])
def test_a_server_that_hangs_is_left_when_the_time_is_over(
    project: Project, server: Server, mode: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Two seconds are given, and the push was before them: the results are there although the answer never comes."""
    with faulty_proxy(server.url) as proxy:
        proxy.mode = mode
        follow(project, proxy.url, timeout="2s")
        started = time.monotonic()
        assert project.run().code == 0
        took = time.monotonic() - started
    assert 2 <= took < 2 + 8
    assert published(project, "evaljob_last_run_success", "status") == {" ": 1}
    assert f"m: MLflow: {proxy.url}: no complete answer within 2 s; the next run tries again" in caplog.text
    assert failures(project) == 1


def test_what_a_failure_leaves_is_logged_by_the_next_run(project: Project, server: Server) -> None:
    """One version's run is not there: the other is logged all the same, its offline metrics stay, and it is mended."""
    experiment, name = server.experiment()
    run_id = server.run(experiment, {"evaljob.model": "m", "evaljob.model_version": "v1"}, offline_accuracy=0.9)
    follow(project, server.url, "{experiment: nowhere}")
    project.run()
    project.replace("experiment: nowhere", f"experiment: {name}")
    assert failures(project, "2024-06-01T13:01:00Z") == 1
    assert server.history(run_id, "rolling_support_1h") == [(AT + 60, AT + 60, 3.0)]
    assert failures(project, "2024-06-01T13:02:00Z") == 1
    assert published(project, "evaljob_offline_metric") == {"v1 accuracy": 0.9}


WRONG = {
    "experiment": ("experiment: nowhere", "m: mlflow.experiment nowhere is not there; make it, or name another one"),
    "model": ("registered_model: no-model", "m: mlflow.registered_model no-model: RESOURCE_DOES_NOT_EXIST"),
    "run": ("runs: {v1: 0123456789abcdef}", "m: RESOURCE_DOES_NOT_EXIST: Run with id=0123456789abcdef not found"),
    "alias": ("runs: {v1: 'models:/no-model@best'}", "m: RESOURCE_DOES_NOT_EXIST"),
    "number": ("runs: {v1: 'models:/no-model/1'}", "m: models:/no-model/1 is not there, or has no run"),
}


@pytest.mark.parametrize("what", WRONG)
def test_check_finds_what_is_not_there(project: Project, server: Server, what: str) -> None:
    """Whatever the configuration names and MLflow does not have, before anything runs."""
    keys, message = WRONG[what]
    follow(project, server.url, f"{{{keys}}}")
    ended = project.evaljob("check")
    assert ended.code == 3
    assert f"WRONG  mlflow: {message}" in ended.out


def test_check_says_what_answers(project: Project, server: Server) -> None:
    """A server that has what is named is well, and nothing is made there; one that is down is not."""
    experiment, name = server.experiment()
    follow(project, server.url, experiment=name)
    ended = project.evaljob("check")
    assert f"ok     mlflow: m: experiment {name}, 0 runs of the model" in ended.out
    assert (ended.code, server.runs(experiment)) == (0, {})
    project.replace(server.url, "http://127.0.0.1:1")
    assert project.evaljob("check").code == 3


def test_a_deleted_experiment_is_said_to_be_one(project: Project, server: Server) -> None:
    """Runs cannot be made in it, and another of its name cannot be made either."""
    experiment, name = server.experiment()
    server.post("experiments/delete", experiment_id=experiment)
    follow(project, server.url, experiment=name)
    assert f"mlflow.experiment {name} is deleted; restore it, or name another one" in project.evaljob("check").out


# Secrets


@contextmanager
def echoing() -> Iterator[tuple[str, list[str]]]:
    """A server that refuses everybody and shows them their own credentials: its URL, and what it was shown."""
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            shown.append(self.headers.get("Authorization", ""))
            body = json.dumps({"error_code": "PERMISSION_DENIED", "message": f"not you: {shown[-1]}"}).encode()
            self.send_response(401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as web:
        Thread(target=web.serve_forever, kwargs={"poll_interval": 0.02}).start()
        try:
            yield f"http://127.0.0.1:{web.server_port}", shown
        finally:
            web.shutdown()


def test_a_token_is_sent_and_never_shown(
    project: Project, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token of the file, not the one in the environment, reaches the server; its echo stays out of the log."""
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "another")
    (project.folder / "token").write_text("t0ken-of-nobody\n")
    with echoing() as (url, shown):
        follow(project, url, bearer_token_file="token")  # noqa: S106  (a file)
        assert project.run().code == 0
    assert shown[0] == "Bearer t0ken-of-nobody"
    assert "not you: Bearer ***" in caplog.text
    assert "t0ken-of-nobody" not in caplog.text


def test_a_password_is_sent_and_never_shown(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    """Basic authentication: neither the password nor its encoding is in the log."""
    with echoing() as (url, shown):
        follow(project, url, username="me", password="s3cret")  # noqa: S106
        assert project.run().code == 0
    assert shown[0] == "Basic bWU6czNjcmV0"
    assert "not you: Basic ***" in caplog.text


KEYS = [
    ("{tracking_uri: 'http://me:s3cret@host'}", "mlflow.tracking_uri: must not hold a user or a password; write them"),
    ("{tracking_uri: databricks}", "mlflow.tracking_uri: must be the address of an MLflow tracking server, such as"),
    ("{tracking_url: 'http://host'}", "mlflow.tracking_url: is no key of this section; did you mean `tracking_uri`?"),
    ("{username: me}", "mlflow.username: must go with a password; give both or none"),
    ("{every: 0s}", "mlflow.every: must be longer than zero"),
]
OF_MODEL = [
    ("{runs: [v1]}", "evaluations[0].mlflow.runs: must be a mapping"),
    ("{runs: {v1: 7}}", "evaluations[0].mlflow.runs.v1: 7 must be text; put it in quotes"),
    ("{runs: {v1: runs/7}}", "evaluations[0].mlflow.runs.v1: 'runs/7' must be a run's id, or models:/name/1 or"),
    ("{runs: {v1: {id: a}}}", "evaluations[0].mlflow.runs.v1: must be text"),
    ("{model: fraud}", "evaluations[0].mlflow.model: is no key of this section; its keys are experiment, registered_"),
]


@pytest.mark.parametrize(
    ("text", "message"),
    [(f"{MINIMAL}mlflow: {keys}\n", message) for keys, message in KEYS]
    + [(further(f"mlflow: {keys}"), message) for keys, message in OF_MODEL],
)
def test_wrong_keys_are_refused(tmp_path: Path, text: str, message: str) -> None:
    """Each with its path, what is wrong and the mend, and never with a password."""
    (line,) = refusal(tmp_path, text)
    assert message in line
    assert "s3cret" not in line


# Names


def of_all(folder: Path, task: str, **keys: Any) -> dict[str, dict[str, Point]]:
    """The points of every version of a small log whose windows are an hour and, mature, a day."""
    rows: list[logs.Row] = [
        logs.prediction(i, "12:00", i % 2, 0.9, model_version=f"v{i % 2}", latency_seconds=0.25) for i in range(8)
    ]
    truth = [logs.label(i, "12:30", i % 2, revenue=2.5) for i in range(8)]
    windows = (logs.window("1h"), logs.window("24h", name="a day/24%"))
    engine = sa.create_engine("sqlite://", poolclass=sa.StaticPool)
    logs.create(engine, "predictions", rows)
    logs.create(engine, "labels", truth)
    evaluation = logs.evaluation(folder, windows=windows, values=("revenue",), task=task, **keys)
    with engine.connect() as connection:
        frame = logs.results(connection, evaluation, logs.at("13:00")).frame
    engine.dispose()
    return {version: {p.key: p for p in found} for version, found in points(evaluation, frame).items()}


def test_names_tell_metric_part_and_window(tmp_path: Path) -> None:
    """Binary: the positive class has no name of its own. The latency is of the shortest window, in milliseconds."""
    costs = Costs(outcomes=Outcomes(tp=-1, fp=4, fn=100, tn=0))
    found = of_all(tmp_path, "binary", positive_label=1, costs=costs)
    assert set(found) == {"v0", "v1"}
    ones = found["v1"]
    at = int(logs.utc(logs.at("13:00")).timestamp() * 1000)
    assert ones["rolling_precision_1h"] == Point("rolling_precision_1h", 1.0, at)
    assert {f"rolling_recall_1h{bound}" for bound in ("", "_lower", "_upper")} < set(ones)
    assert ones["rolling_cost_1h"].value == -4
    assert ones["rolling_value_sum_revenue_1h"].value == 10
    assert ones["rolling_label_lag_seconds_p95_1h"].value == pytest.approx(1800, rel=0.011)
    assert ones["online_p99_ms"].value == pytest.approx(250, rel=0.011)
    assert ones["rolling_support_a day_2f_24_25_"].value == 4
    assert not any("reliability" in key or "rejected" in key for key in ones)


def test_classes_are_logged_as_their_mean(tmp_path: Path) -> None:
    """Multiclass: the macro average, and no metric of each class."""
    found = of_all(tmp_path, "multiclass")["v1"]
    assert [key for key in found if "recall" in key and key.endswith("1h")] == ["rolling_recall_macro_1h"]
    assert found["rolling_accuracy_1h"].value == 1


def test_undefined_is_logged_as_undefined(tmp_path: Path) -> None:
    """v0 never says 1 and never is: its precision is 0/0, which MLflow gets as NaN, not as 0."""
    found = of_all(tmp_path, "binary", positive_label=1)["v0"]
    assert math.isnan(found["rolling_precision_1h"].value)


def test_keys_are_no_longer_than_mlflow_allows(tmp_path: Path) -> None:
    """A window of 200 letters and a column of 100 make keys of at most 250, still one for each metric and bound."""
    long = logs.window("1h", name="w" * 200)
    evaluation = logs.evaluation(tmp_path, windows=(long,))
    row = dict.fromkeys(("class", "quantile", "bin", "reason"), "") | {
        "model_version": "v1", "slice": "overall", "metric": "value_sum", "window": long.name, "value": 1.0,
        "lower": math.nan, "upper": math.nan, "window_end": pd.Timestamp(0, tz="UTC"),
    }  # fmt: skip
    frame = pd.DataFrame([row | {"column": "c" * 100 + end} for end in "ab"])
    keys = {point.key for point in points(evaluation, frame)["v1"]}
    assert [len(key) for key in keys] == [250] * 2 * 3
