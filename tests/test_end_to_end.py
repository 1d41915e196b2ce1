"""The main path on real parts: the demo's logs, a run, a real Pushgateway, a real Prometheus, and PromQL."""

import math
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from evaljob.metrics.results import LABELS
from tests import servers
from tests.projects import Ended, Project, evaljob, locked

ROOT = Path(__file__).parents[1]
END = "2024-06-01T00:00:00Z"
LATER = "2024-06-01T00:05:00Z"
Series = frozenset[tuple[str, str]]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's configuration, a window and a slice less, and logs of 4,000 requests that end at END."""
    folder = tmp_path_factory.mktemp("demo")
    text = (ROOT / "config.yaml").read_text()
    (folder / "config.yaml").write_text(text.replace("      - 7d\n", "").replace("[country, device]", "[device]"))
    shutil.copytree(ROOT / "sql", folder / "sql")
    made = evaljob("demo", "--config", folder / "config.yaml", "--requests", 4000, "--end", END)
    assert made.code == 0, made
    return folder


@pytest.fixture(scope="module")
def prometheus(pushgateway_url: str) -> Iterator[str]:
    """A Prometheus that scrapes the gateway, with honor_labels."""
    with servers.prometheus(servers.scrape_config(pushgateway_url, interval="2s")) as url:
        yield url


@pytest.fixture
def project(tmp_path: Path, demo: Path, pushgateway: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A copy of the demo that has never run, and an empty gateway."""
    monkeypatch.setenv("EVALJOB_PUSHGATEWAY_URL", pushgateway)
    return Project(demo, pushgateway).copy(tmp_path)


def run(project: Project, as_of: str, code: int = 0) -> Ended:
    """A run at an instant, with its results as JSON."""
    ended = project.evaljob("run", "--as-of", as_of, "--output", "json")
    assert ended.code == code, ended.err
    return ended


def scraped(prometheus: str, as_of: str, *models: str) -> dict[Series, float]:
    """Every series of the models, by name and labels, once Prometheus has seen the results of this instant."""
    instant = datetime.fromisoformat(as_of).timestamp()
    seen = f"count(evaljob_as_of_timestamp_seconds == {instant})"
    servers.wait_until(lambda: value(prometheus, seen) == len(models), f"Prometheus to see {as_of}")
    found = servers.instant_query(prometheus, f'{{__name__=~"evaljob_.+",model=~"{"|".join(models)}"}}')
    return {frozenset(one["metric"].items()): float(one["value"][1]) for one in found}


def value(prometheus: str, expression: str) -> float | None:
    """The one value that an expression has now, if any."""
    found = servers.instant_query(prometheus, expression)
    return float(found[0]["value"][1]) if found else None


def published(row: dict[str, Any]) -> Iterator[tuple[Series, float]]:
    """The series of a result of the JSON, with its bounds where it has any."""
    names = ("model", "model_version", "window", "slice", "slice_value", *LABELS)
    labels = {name: row[name] for name in names if row.get(name, "") != ""}  # to Prometheus an empty label is none
    place = {"job": "evaljob", "instance": ""}
    for suffix, key in (("", "value"), ("_lower", "lower"), ("_upper", "upper")):
        if suffix == "" or row[key] is not None:
            name = {"__name__": f"evaljob_{row['metric']}{suffix}"}
            known = {k: v for k, v in (name | place | labels).items() if v}
            yield frozenset(known.items()), math.nan if row[key] is None else row[key]


def test_what_is_evaluated_is_what_promql_answers(project: Project, prometheus: str) -> None:
    """Every value of the JSON, and every bound, comes back from Prometheus to the last bit, under the same labels."""
    results = run(project, END).results()
    found = scraped(prometheus, END, "breast_cancer", "iris")
    expected = dict(pair for row in results for pair in published(row))
    assert len(expected) > 1000
    assert [dict(series) for series in expected if series not in found] == []
    for series, number in expected.items():
        assert found[series] == number or (math.isnan(number) and math.isnan(found[series])), dict(series)


def test_the_story_in_promql(project: Project, prometheus: str) -> None:
    """The newer version does worse, on phones above all, and PromQL says so."""
    run(project, END)
    scraped(prometheus, END, "breast_cancer", "iris")
    recall = 'evaljob_recall_ratio{model="breast_cancer",window="7d_mature",slice="overall",model_version="%s"}'
    old, new = (value(prometheus, recall % version) for version in ("v1", "v2"))
    assert old is not None
    assert new is not None
    assert old - new > 0.1
    worst = 'bottomk(1, evaljob_accuracy_ratio{model="iris",window="7d_mature",slice="device",model_version="v2"})'
    assert servers.instant_query(prometheus, worst)[0]["metric"]["slice_value"] == "phone"


def test_a_later_run_steps(project: Project, prometheus: str) -> None:
    """Five minutes later only the requests that something happened to are read, and the window's numbers follow."""
    run(project, END)
    first = scraped(prometheus, END, "breast_cancer", "iris")
    label_unlabeled(project, "iris", 10, "2024-06-01 00:01:00.000000")
    ended = run(project, LATER)
    second = scraped(prometheus, LATER, "breast_cancer", "iris")
    support = series("support", "iris", window="24h", model_version="all", slice="overall")
    assert second[support] == ended.value("support", model="iris", window="24h")
    assert second[support] - first[support] > 0
    reads = series("rows_read", "iris", kind="status")
    assert 0 < second[reads] < first[reads] / 2
    recounts = series("full_recounts", "iris", kind="status")
    assert (first[recounts], second[recounts]) == (1, 1)
    fresh = project.evaljob("run", "--as-of", LATER, "--output", "json", "--full", "--no-push")
    assert fresh.out == ended.out


def test_a_model_taken_out_vanishes(project: Project, prometheus: str) -> None:
    """Its results and its status leave the gateway with the next run, and Prometheus stops answering for it at once."""
    run(project, END)
    scraped(prometheus, END, "breast_cancer", "iris")
    config = project.folder / "config.yaml"
    config.write_text(config.read_text().partition("  - model: iris")[0])
    run(project, LATER)
    assert scraped(prometheus, LATER, "breast_cancer")
    servers.wait_until(lambda: value(prometheus, 'count({model="iris"})') is None, "the end of iris")


def test_a_failed_run_leaves_the_last_good_results(project: Project, prometheus: str) -> None:
    """The database is locked: the numbers of the last run stay, and the status tells that a run failed since."""
    run(project, END)
    good = scraped(prometheus, END, "breast_cancer", "iris")
    project.replace("sqlite:///demo/evaljob.db", "sqlite:///demo/evaljob.db?timeout=0.1")
    with locked(project.folder / "demo" / "evaljob.db"):
        assert run(project, LATER, code=1).out == "[\n\n]\n"
    failed = 'count(evaljob_last_run_success{kind="status"} == 0)'
    servers.wait_until(lambda: value(prometheus, failed) == 2, "the failure")
    after = scraped(prometheus, END, "breast_cancer", "iris")
    status = {key for key in good if ("kind", "status") in key}
    assert {key: after[key] for key in good if key not in status and not math.isnan(good[key])} == {
        key: number for key, number in good.items() if key not in status and not math.isnan(number)
    }
    success = series("last_success_timestamp_seconds", "iris", kind="status")
    completion = series("last_completion_timestamp_seconds", "iris", kind="status")
    assert after[success] == good[success]
    assert after[completion] > good[completion]


def series(metric: str, model: str, **labels: str) -> Series:
    """Name and labels of a series as Prometheus knows it."""
    return frozenset(({"__name__": f"evaljob_{metric}", "job": "evaljob", "model": model} | labels).items())


def label_unlabeled(project: Project, model: str, number: int, stamp: str) -> None:
    """So many of a model's missing labels arrive in one moment."""
    with closing(sqlite3.connect(project.folder / "demo" / "evaljob.db")) as connection, connection:
        connection.execute(
            "INSERT INTO labels (model, request_id, label, labeled_at) SELECT model, request_id, prediction, ? "
            "FROM predictions WHERE model = ? AND request_id NOT IN (SELECT request_id FROM labels) "
            "AND prediction IS NOT NULL ORDER BY predicted_at DESC LIMIT ?",
            (stamp, model, number),
        )
