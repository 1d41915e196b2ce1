"""Prometheus' configuration and rules, and the dashboard: against the real programs and what evaljob really says."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaljob.gauges import metric_table
from monitoring import dashboard, queries
from tests import servers
from tests.processes import LOOPBACK, directory, free_port, program, running, wait_until
from tests.projects import evaljob

ROOT = Path(__file__).parents[1]
MONITORING = ROOT / "monitoring"
RULES = sorted(MONITORING.glob("rules/*.yml"))
CASES = sorted(MONITORING.glob("rules_tests/*.yml"))
# What a reader of the dashboard chooses, and the queries that have no answer then: the one model has costs and values,
# the other one has the service.
COMMON = {"version": "all", "window": "7d_mature", "slice": "country", "lookback": "5m"}
CHOSEN = {"breast_cancer": {"class": "malignant"}, "iris": {"class": "virginica"}}
EMPTY = {
    "breast_cancer": {
        *("p99 now A", "Latency A", "Latency B", "Latency C", "Requests A", "Errors A", "Versions D"),
        *("Predicted classes A", "Predicted classes over time A", "Predicted classes by version A"),
    },
    "iris": {"Cost now A", "Versions F", "Accuracy and cost B", "Values A", "Values B", "By $slice E"},
}


def test_promtool_takes_configuration_and_rules() -> None:
    """The configuration is valid, and so are the rule files that it names, all that there are."""
    said = promtool("check", "config", MONITORING / "prometheus.yml")
    assert f"{len(RULES)} rule files found" in said


def test_rules_do_what_their_cases_say() -> None:
    """Every case of `promtool test rules` holds."""
    assert promtool("test", "rules", *CASES).count("SUCCESS") == len(CASES) == 4


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    """An alert that is never seen to fire, or never to be silent, is not tested."""
    defined = {rule["alert"] for file in RULES for rule in rules(file) if "alert" in rule}
    cases = [case for file in CASES for test in loaded(file)["tests"] for case in test.get("alert_rule_test", [])]
    firing = {case["alertname"] for case in cases if case.get("exp_alerts")}
    silent = {case["alertname"] for case in cases if not case.get("exp_alerts")}
    assert (firing, silent) == (defined, defined)


def test_every_threshold_is_compared_with() -> None:
    """A threshold that no rule reads would be edited in vain, and a rule that reads none that exists never fires."""
    thresholds = {rule["record"] for rule in rules(MONITORING / "rules/thresholds.yml")}
    read = {name for file in RULES for rule in rules(file) for name in re.findall(r"model:\w+:\w+", rule["expr"])}
    assert read == thresholds


def test_rules_and_panels_name_metrics_that_evaljob_has() -> None:
    """A metric that is renamed must not leave an alert behind that can never fire."""
    known = {full + end for name, _, _, _ in metric_table() for full in [name] for end in ("", "_lower", "_upper")}
    texts = [rule["expr"] for file in RULES for rule in rules(file)]
    texts += [target.expr for target in queries.targets(dashboard.document())] + [*dashboard.CHOICES.values()]
    used = {name for text in texts for name in re.findall(r"\bevaljob_\w+", text)}
    assert used <= known, used - known


def test_committed_dashboard_is_the_generated_one() -> None:
    """Whoever changes the code runs `python -m monitoring.dashboard`; nobody edits the JSON."""
    assert dashboard.FILE.read_text() == dashboard.document()


def test_panels_are_told_apart_and_do_not_overlap() -> None:
    """Ids and titles are unique, each panel says what it shows, the grid of 24 columns has neither hole nor overlap."""
    board = json.loads(dashboard.FILE.read_text())
    places = {panel["id"]: panel["gridPos"] for panel in board["panels"]}
    assert len(places) == len(board["panels"]) == len({panel["title"] for panel in board["panels"]})
    assert all(panel["description"] for panel in board["panels"] if panel["type"] != "row")
    assert not [pair for pair in combinations(places.values(), 2) if overlap(*pair)]
    bottom = max(place["y"] + place["h"] for place in places.values())
    assert sum(place["w"] * place["h"] for place in places.values()) == 24 * bottom


@pytest.fixture(scope="module")
def prometheus() -> Iterator[str]:
    """URL of a Prometheus with the committed configuration, which scrapes evaljob's real results and a real service."""
    with servers.pushgateway() as gateway, iris_service() as service:
        evaluate_demo(gateway)
        text = (MONITORING / "prometheus.yml").read_text()
        addresses = {9091: gateway, 8000: service, 9108: f"http://{LOOPBACK}:{free_port()}"}  # nobody is a worker here
        for port, url in addresses.items():
            text = text.replace(f"{LOOPBACK}:{port}", url.removeprefix("http://"))
        text = text.replace("15s", "5s").replace("rules/*.yml", f"{MONITORING}/rules/*.yml")
        with servers.prometheus(text) as url:
            yield url


def test_results_keep_the_labels_they_were_pushed_with(prometheus: str) -> None:
    """honor_labels: results are of the job "evaljob" and of no instance; a service's metrics are of its model."""
    pushed = answer(prometheus, "evaljob_as_of_timestamp_seconds", series=2)
    assert {(labels["job"], labels["model"], labels.get("instance")) for labels in pushed} == {
        ("evaljob", "breast_cancer", None),
        ("evaljob", "iris", None),
    }
    served = answer(prometheus, "offline_accuracy_ratio", series=2)
    assert {(labels["job"], labels["model"]) for labels in served} == {("service", "iris")}


def test_rules_see_the_incident_of_the_demo(prometheus: str) -> None:
    """The version that breaks in the demo's story is about to raise the alert, and no rule fails on real series."""
    broken = '{alertname="ModelAccuracyLow",model="breast_cancer",model_version="v2",window="7d_mature"}'
    (alert,) = answer(prometheus, f"ALERTS{broken}")
    assert (alert["alertstate"], alert["severity"]) == ("pending", "ticket")
    wait_until(lambda: "unknown" not in rule_health(prometheus).values(), "the evaluation of every rule")
    assert set(rule_health(prometheus).values()) == {"ok"}, rule_health(prometheus)


def test_every_choice_offers_what_is_chosen_here(prometheus: str) -> None:
    """Each variable's query finds the value that the test of the panels puts in for it, for both models."""
    for model, own in CHOSEN.items():
        chosen = COMMON | own | {"model": model}
        for name, values in dashboard.CHOICES.items():
            series, label = queries.substitute(values, chosen).rsplit(", ", 1)
            offered = answer(prometheus, f"group by ({label}) ({series})")
            assert {label: chosen[name]} in offered, f"${name} of {model}"


def test_every_query_of_the_dashboard_returns_data(prometheus: str) -> None:
    """With its variables substituted each query gives a value that is not NaN, for both models or (EMPTY) for one."""
    assert not set.intersection(*EMPTY.values())
    found: dict[str, set[str]] = {}

    def settled() -> bool:
        found.update({model: without_data(prometheus, model) for model in CHOSEN})
        return found == EMPTY

    with suppress(TimeoutError):  # the comparison says more
        wait_until(settled, "the panels", timeout=40)
    assert found == EMPTY


def answer(prometheus: str, question: str, series: int = 1) -> list[dict[str, str]]:
    """The labels of an expression's series, as soon as there are that many."""
    wait_until(lambda: len(servers.instant_query(prometheus, question)) >= series, question)
    return [found["metric"] for found in servers.instant_query(prometheus, question)]


def rule_health(prometheus: str) -> dict[str, str]:
    """How the last evaluation of each rule went: "ok", "err", or "unknown" when there was none yet."""
    groups = json.loads(servers.fetch(f"{prometheus}/api/v1/rules"))["data"]["groups"]
    return {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}


def without_data(prometheus: str, model: str) -> set[str]:
    """Panels and queries of the committed dashboard that have no defined value."""
    chosen = COMMON | CHOSEN[model] | {"model": model}
    return {
        f"{target.panel} {target.ref}"
        for target in queries.targets(dashboard.FILE.read_text())
        if not queries.defined(queries.values(prometheus, target.substituted(chosen)))
    }


def evaluate_demo(gateway: str) -> None:
    """Demo logs, evaluated and pushed by the commands that a user types."""
    with directory("monitoring") as folder, pytest.MonkeyPatch.context() as environment:
        (folder / "sql").symlink_to(ROOT / "sql")
        config = folder / "config.yaml"
        config.write_text((ROOT / "config.yaml").read_text().replace("sqlite:///demo/", "sqlite:///"))
        environment.setenv("EVALJOB_PUSHGATEWAY_URL", gateway)
        for command in (["demo", "--requests", 8000], ["run"]):
            ended = evaljob(command[0], "--config", config, *command[1:])
            assert ended.code == 0, ended.err


@contextmanager
def iris_service() -> Iterator[str]:
    """The Iris service under traffic: twenty requests a second, one in a hundred broken."""
    url = f"http://{LOOPBACK}:{free_port()}"
    with directory("iris") as folder:
        python = ["env", f"PYTHONPATH={ROOT}", f"IRIS_DATABASE_URL=sqlite:///{folder}/iris.db"]
        python += [f"IRIS_SPOOL={folder}/spool", sys.executable, "-m"]
        service = [*python, "examples.iris", "--port", url.rpartition(":")[2]]
        traffic = [*python, "examples.iris.traffic", "--url", url]
        with (
            running(service, folder, lambda: servers.answers(f"{url}/healthz")),
            directory("traffic") as other,
            running(traffic, other, lambda: True),
        ):
            yield url


def promtool(*arguments: object) -> str:
    """What promtool says when it succeeds."""
    done = subprocess.run(
        [program("promtool"), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules(file: Path) -> list[dict[str, Any]]:
    """The rules of all groups of a file."""
    return [rule for group in loaded(file)["groups"] for rule in group["rules"]]


def loaded(file: Path) -> dict[str, Any]:
    """A YAML file's content."""
    content: dict[str, Any] = yaml.safe_load(file.read_text())
    return content


def overlap(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether two places on the dashboard's grid have a cell in common."""
    return all(one[a] < other[a] + other[b] and other[a] < one[a] + one[b] for a, b in (("x", "w"), ("y", "h")))
