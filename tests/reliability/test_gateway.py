"""Rows 2 to 6, 12 and 14: gateways that are down, refuse, lie and forget; what comes late, is much, or is taken out."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta

import pandas as pd
import pytest

from evaljob import gauges, push
from evaljob.config import Pushgateway
from evaljob.push import ATTEMPTS
from tests import servers
from tests.faulty_proxy import faulty_proxy
from tests.processes import free_port
from tests.projects import Project, pushed
from tests.reliability.conftest import Record
from tests.reliability.support import Shown, add_second, timed
from tests.test_push import scripted
from tests.tracking_server import Server

LATER = "2024-06-01T13:10:00Z"
TIMEOUT = 2.0  # of the project's pushes, in all
EVALUATED = 8.0  # seconds that the evaluation may take besides, on a busy machine
AT_LATER = 1717247400


@contextmanager
def faulty(gateway: str, fault: str) -> Iterator[str]:
    """The URL of a gateway with this fault."""
    if fault == "down":
        yield f"http://127.0.0.1:{free_port()}"
    elif fault == "DNS gone":
        yield "http://gateway.invalid:9091"
    elif fault == "503":
        with scripted(503, body="down for maintenance") as (url, _):
            yield url
    else:
        with faulty_proxy(gateway) as proxy:
            proxy.mode = fault  # type: ignore[assignment]  # one of its modes
            yield proxy.url


@pytest.mark.parametrize("fault", ["down", "DNS gone", "blackhole", "drip", "cut", "reset", "503"])
def test_02_the_gateway_fails(project: Project, record: Record, caplog: pytest.LogCaptureFixture, fault: str) -> None:
    """In all within the timeout, however many pushes there are; stored all the same; the next run publishes."""
    good = project.gateway
    assert project.run("--no-push").code == 0  # everything is imported
    with faulty(good, fault) as url:
        project.replace(good, url)
        ended, seconds = timed(project.run)
        project.replace(url, good)
    tries = 1 + sum("as it raised" in message for message in caplog.messages)
    assert (ended.code, ended.out != "") == (3, True)
    assert seconds < TIMEOUT + EVALUATED
    assert tries <= 3 * ATTEMPTS  # the results, the status, the list of groups
    stored = project.evaljob("history", "--slice", "overall", "--output", "json")
    assert json.loads(stored.out) == [row for row in ended.results() if row["slice"] == "overall"]
    # Whose answer does not arrive, that gateway has the results all the same; to push them again does no harm.
    assert Shown.of(good).groups == () or fault in ("cut", "drip")
    assert project.evaljob("run", "--as-of", LATER).code == 0
    assert Shown.of(good).value("as_of_timestamp_seconds") == AT_LATER
    record(f"gateway: {fault}", seconds=seconds, tries=tries, published="exit 3, results in the history; next run: all")


def test_03_the_gateway_answers_400(project: Project, record: Record) -> None:
    """The name of a metric is a counter's elsewhere: one try, the gateway's words, exit 3, and the status is pushed."""
    assert project.run().code == 0
    before = Shown.of(project.gateway)
    taken = b"# TYPE evaljob_cost counter\nevaljob_cost 1\n"
    servers.fetch(f"{project.gateway}/metrics/job/other", method="PUT", body=taken)
    project.replace("    windows:", "    costs: {outcomes: {tp: 0, fp: 1, fn: 1, tn: 0}}\n    windows:")
    with faulty_proxy(project.gateway) as proxy:
        project.replace(project.gateway, proxy.url)
        ended, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER))
    assert ended.code == 3
    assert re.search("400 Bad Request: .*evaljob_cost", ended.err)
    assert proxy.connections == 3  # results, status, groups: each once
    after = Shown.of(project.gateway)
    assert after.results == before.results
    assert after.status[:2] == (0, before.status[1])
    record("400: the name is taken", seconds=seconds, tries=1, published="exit 3; last_run_success 0; old results stay")


def test_03_the_gateway_answers_400_to_everything(project: Project, record: Record) -> None:
    """Also the status is refused: what is left is the exit code and the message on standard error."""
    with scripted(400, body="pushed metrics are invalid") as (url, requests):
        project.replace(project.gateway, url)
        ended, seconds = timed(project.run)
    assert (ended.code, len(requests)) == (3, 3)
    assert "Error: " in ended.err
    assert "400 Bad Request: pushed metrics are invalid" in ended.err
    record("400 to everything", seconds=seconds, tries=1, published="exit 3 and the body on standard error")


@pytest.mark.parametrize("status", [301, 302, 307])
def test_04_the_gateway_redirects(project: Project, record: Record, status: int) -> None:
    """A redirect, be it to the true gateway, is followed by nobody: exit 3, nothing is there."""
    target = f"{project.gateway}/metrics/job/evaljob/model/m"
    with scripted(status, Location=target) as (url, requests):
        project.replace(project.gateway, url)
        ended, seconds = timed(project.run)
    assert (ended.code, len(requests)) == (3, 3)
    assert f"redirects are not followed; set pushgateway.url to {target}" in ended.err
    assert Shown.of(project.gateway).groups == ()
    record(f"a redirect, {status}", seconds=seconds, tries=1, published="exit 3; nothing anywhere")


def test_04_a_proxy_in_the_environment(project: Project, record: Record, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that says yes to everything is not asked: exit 0 means that the gateway has it, 3 that it has not."""
    with scripted(200) as (proxy, requests):
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name)
        ended, seconds = timed(project.run)
        nowhere = f"http://127.0.0.1:{free_port()}"
        project.replace(project.gateway, nowhere)
        assert project.run().code == 3
        monkeypatch.undo()
    assert (ended.code, requests) == (0, [])
    assert Shown.of(project.gateway).value("accuracy_ratio") == 0.75
    record("http_proxy that answers 200", seconds=seconds, tries=1, published="all, at the gateway itself")


def test_05_the_gateway_loses_its_memory(project: Project, record: Record) -> None:
    """Every group of every model is back after the next run, the results with the same values."""
    add_second(project, "SELECT * FROM predictions")
    assert project.run().code == 0
    before = [Shown.of(project.gateway, model) for model in ("m", "second")]
    servers.wipe(project.gateway)
    assert Shown.of(project.gateway).groups == ()
    ended, seconds = timed(project.run)
    after = [Shown.of(project.gateway, model) for model in ("m", "second")]
    assert ended.code == 0
    for was, now in zip(before, after, strict=True):
        assert [group["labels"] for group in now.groups] == [group["labels"] for group in was.groups]
        assert now.results == was.results
    record("the gateway forgets everything", seconds=seconds, published="all 4 groups, with the same results")


def test_06_late_labels_lower_the_accuracy(project: Project, mlflow_url: str, record: Record) -> None:
    """Corrected and late labels that came after the last run: all places show the lower value."""
    server = Server(mlflow_url)
    experiment, name = server.experiment()
    project.replace("windows: [1h]", "windows: [1d]")
    keys = {"tracking_uri": mlflow_url, "experiment": name, "every": "1m", "timeout": "60s"}
    project.replace("evaluations:", f"mlflow: {json.dumps(keys)}\nevaluations:")
    assert project.run().value("accuracy_ratio") == 3 / 4
    late = [("a", 0, "2024-06-01 13:05:00.000000"), ("e", 1, "2024-06-01 13:06:00.000000")]
    project.insert("labels", late)  # now b and c are right of a, b, c, d and e
    ended, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER, "--output", "json"))
    assert (ended.code, ended.value("accuracy_ratio")) == (0, 2 / 5)
    shown = Shown.of(project.gateway)
    assert shown.value("accuracy_ratio") == 2 / 5
    assert (shown.value("corrected_labels"), shown.value("full_recounts")) == (1, 1)
    accuracies = project.evaljob("history", "--metric", "accuracy_ratio", "--slice", "overall", "--output", "json")
    totals = [row["value"] for row in json.loads(accuracies.out) if row["model_version"] == "all"]
    assert totals == [3 / 4, 2 / 5]
    followed = server.metrics(server.runs(experiment)["v1"]["info"]["run_id"])
    assert followed["rolling_accuracy_1d"] == 2 / 3  # of a, b and c; before it was 3 of 3
    page = project.evaljob("report", "--output", "-").out
    assert "From 75.0% on 1 Jun 13:00 to 40.0% on 1 Jun 13:10" in page
    published = "0.75, then 0.4: gateway, history and report; MLflow's v1 1, then 0.667"
    record("later labels lower the accuracy", seconds=seconds, published=published)


VALUES, KEPT = 100_000, 50
SERIES = 10_000


def test_12_many_slice_values(project: Project, record: Record) -> None:
    """Of 100,000 values the 50 largest are kept, the others are one and counted; nothing is lost in the sum."""
    with closing(sqlite3.connect(project.folder / "logs.db")) as connection, connection:
        prediction = ("2024-06-01 12:00:00.000000", "v1", 1, 0.9, 0.01)
        rows = ((f"r{i}", *prediction, f"country {i:06}") for i in range(VALUES))
        connection.executemany("INSERT INTO predictions VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        labels = ((f"r{i}", 1, "2024-06-01 12:30:00.000000") for i in range(VALUES))
        connection.executemany("INSERT INTO labels VALUES (?, ?, ?)", labels)
    ended, seconds = timed(project.run)
    assert ended.code == 0, ended.err
    shown = Shown.of(project.gateway)
    assert shown.value("other_slice_values") == VALUES + 2 - KEPT  # and the project's own DE and FR
    (results,) = [group for group in shown.groups if "kind" not in group["labels"]]
    supports = {
        (sample["labels"]["slice_value"]): float(sample["value"])
        for sample in results["evaljob_support"]["metrics"]
        if (sample["labels"]["slice"], sample["labels"]["model_version"]) == ("country", "all")
    }
    assert len(supports) == KEPT + 1
    assert sum(supports.values()) == shown.value("support") == VALUES + 4
    note = f"{KEPT} values and __other__ with {int(supports['__other__']):,} rows; 99,952 counted as others"
    record("100,000 slice values", seconds=seconds, published=note)


def test_12_ten_thousand_series(pushgateway: str, record: Record) -> None:
    """From the frame of results to the gateway's confirmation, in time of the processor: others may run beside it."""
    series = {"model": "fraud", "model_version": "all", "window": "1h", "slice": "user", "metric": "support"}
    instants = dict.fromkeys(["as_of", "window_start", "window_end"], pd.Timestamp("2026-03-01", tz="UTC"))
    results = pd.DataFrame([series | {"slice_value": str(i), "value": float(i)} for i in range(SERIES)])
    results = results.assign(lower=float("nan"), upper=float("nan"), **instants)
    settings = Pushgateway(url=pushgateway, timeout=timedelta(seconds=60))
    began, spent = time.monotonic(), time.process_time()
    push.push_results(settings, "fraud", gauges.results_registry(results))
    seconds, spent = time.monotonic() - began, time.process_time() - spent
    assert spent < 1
    assert len(pushed(pushgateway)[0]["evaljob_support"]["metrics"]) == SERIES
    record("10,000 series", seconds=seconds, published=f"all; {spent:.2f} s of the processor")


def test_14_a_model_is_taken_out(project: Project, record: Record) -> None:
    """Its results and its status are deleted; the other model's and other jobs' groups stay."""
    config = (project.folder / "config.yaml").read_text()
    add_second(project, "SELECT * FROM predictions")
    assert project.run().code == 0
    servers.fetch(f"{project.gateway}/metrics/job/other/model/second", method="PUT", body=b"x 1\n")
    (project.folder / "config.yaml").write_text(config)
    ended, seconds = timed(project.run)
    assert ended.code == 0

    def left() -> list[dict[str, str]]:
        return [dict(group["labels"]) for model in ("m", "second") for group in Shown.of(project.gateway, model).groups]

    servers.wait_until(lambda: len(left()) == 3, "the deletion", timeout=5)
    assert {(labels["job"], labels["model"]) for labels in left()} == {("evaljob", "m"), ("other", "second")}
    record("a model is taken out", seconds=seconds, published="its two groups are deleted; all others stay")
