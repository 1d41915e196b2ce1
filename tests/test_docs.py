"""The pages of docs/ do what they say: their commands run, their links lead somewhere, the reference is the code's.

`<!-- test -->` before a block of sh runs it, `<!-- file: NAME -->` before a block writes it; a page's blocks run in
order, in a folder that looks like a checkout.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from evaljob.config import load
from evaljob.config.document import parse
from scripts import reference
from tests import servers
from tests.projects import pushed

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
CHECKOUT = ("config.yaml", "sql", "monitoring/prometheus.yml", "monitoring/rules", "monitoring/rules_tests")
_BLOCK = re.compile(
    r"^<!-- (test|file: (?P<file>\S+)) -->\n```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\[[^]]*\]\((?P<target>[^)\s]+)\)")


def name(page: Path) -> str:
    """What a page is called in the name of a test."""
    return page.relative_to(DOCS).as_posix()


def script(page: Path) -> str:
    """A shell script of everything on a page that is to be run or written."""
    return "".join(_commands(page.read_text(encoding="utf-8")))


def _commands(text: str) -> Iterator[str]:
    for block in _BLOCK.finditer(text):
        if block["file"] is None:
            assert block["language"] == "sh", block[0]
            yield block["text"]
        else:
            yield f"mkdir -p \"$(dirname '{block['file']}')\"\ncat > '{block['file']}' <<'END OF FILE'\n"
            yield f"{block['text']}END OF FILE\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with what the pages take for granted."""
    for path in CHECKOUT:
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (shutil.copytree if (ROOT / path).is_dir() else shutil.copy)(ROOT / path, tmp_path / path)
    return tmp_path


def follow(page: Path, folder: Path, **environ: str) -> str:
    """Do what a page says; what its commands printed. Fails with the shell's trace where one of them does."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["bash", "-euxo", "pipefail", "-c", script(page)]
    told = {**os.environ, "PATH": path, "MLFLOW_DISABLE_TELEMETRY": "true", **environ}
    done = subprocess.run(command, cwd=folder, env=told, capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, f"{name(page)}: {done.stderr[-3000:]}"
    return done.stdout


# The reference


@pytest.mark.parametrize("page", reference.PAGES)
def test_the_reference_is_what_the_code_says(page: str) -> None:
    """A key, metric or option that was added or changed: `make docs` writes it, and the change shows in review."""
    assert (DOCS / "reference" / page).read_text(encoding="utf-8") == reference.PAGES[page](), "run `make docs`"


# Links


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_to_files(page: Path) -> None:
    """Every relative link, from the page's own place."""
    targets = [found["target"].partition("#")[0] for found in _LINK.finditer(page.read_text(encoding="utf-8"))]
    local = [target for target in targets if target and "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []


def test_the_index_has_every_page() -> None:
    """Whoever begins at docs/README.md finds all of them."""
    index = (DOCS / "README.md").read_text(encoding="utf-8")
    linked = {(DOCS / found["target"]).resolve() for found in _LINK.finditer(index) if "://" not in found["target"]}
    assert [name(page) for page in PAGES if page not in linked and page.name != "README.md"] == []


# The tutorial


def test_the_tutorial_ends_in_an_alert(checkout: Path, pushgateway: str) -> None:
    """Its application, its configuration, its commands; then its Prometheus with its rule, which fires."""
    printed = follow(DOCS / "tutorial.md", checkout, EVALJOB_PUSHGATEWAY_URL=pushgateway)
    assert "ok     evaluation spam: predictions.sql: 4,000 rows" in printed
    folder = checkout / "spam"
    config = (folder / "prometheus.yml").read_text().replace("127.0.0.1:9091", pushgateway.removeprefix("http://"))
    rules = (folder / "rules.yml").read_text().replace("for: 10m", "for: 0s")
    with servers.prometheus(config.replace("15s", "1s"), {"rules.yml": rules}) as url:
        alert = 'ALERTS{alertname="SpamFilterInaccurate", alertstate="firing"}'
        servers.wait_until(lambda: servers.instant_query(url, alert), "the alert", timeout=30)
        [accuracy] = servers.instant_query(
            url, 'evaljob_accuracy_ratio{model="spam", window="24h", model_version="all"}'
        )
        assert not servers.instant_query(url, 'ALERTS{alertname="SpamFilterUnlabeled"}')
    assert float(accuracy["value"][1]) == pytest.approx(0.89, abs=0.02)


# How-to pages


RUNNABLE = [page for page in sorted((DOCS / "how-to").glob("*.md")) if script(page) and page.name != "mlflow.md"]


@pytest.mark.parametrize("page", RUNNABLE, ids=name)
def test_commands_of_how_to_pages_run(page: Path, checkout: Path, pushgateway: str) -> None:
    """Everything that a page marks, in its order."""
    follow(page, checkout, EVALJOB_PUSHGATEWAY_URL=pushgateway)


def test_the_mlflow_page_publishes_what_the_training_measured(
    checkout: Path, pushgateway: str, mlflow_url: str
) -> None:
    """On a real tracking server: v1 has 0.93 from its training, and 0.93 is in the gateway."""
    page = DOCS / "how-to" / "mlflow.md"
    follow(page, checkout, EVALJOB_PUSHGATEWAY_URL=pushgateway, MLFLOW_TRACKING_URI=mlflow_url)
    samples = [s for group in pushed(pushgateway) for s in group.get("evaljob_offline_metric", {}).get("metrics", [])]
    found = {(s["labels"]["model_version"], s["labels"]["name"]): float(s["value"]) for s in samples}
    assert found == {("v1", "accuracy"): 0.93}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_configurations_have_no_unknown_keys(page: Path, tmp_path: Path) -> None:
    """Every block of YAML that is a piece of a configuration has keys that exist, whether it is run or not."""
    for text in re.findall(r"^```yaml\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        whole = _completed(parse("page", text).tree)
        if whole is not None:
            (tmp_path / "config.yaml").write_text(json.dumps(whole))  # JSON is YAML
            for file in ("sql/predictions.sql", "sql/labels.sql", "sql/iris_predictions.sql", "sql/iris_labels.sql"):
                (tmp_path / file).parent.mkdir(exist_ok=True)
                (tmp_path / file).write_text("SELECT 1")
            load(tmp_path / "config.yaml", dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "postgresql://host/name"))


def _completed(piece: object) -> object:
    """A configuration around a piece of one; None around what is none."""
    model = {"model": "m", "task": "binary", "positive_label": 1, "predictions": "sql/predictions.sql",
             "labels": "sql/labels.sql", "windows": ["1h"]}  # fmt: skip
    if not isinstance(piece, dict):
        return None
    if piece.keys() & {"windows", "labels", "labels_default", "costs"}:
        return {"database": {"url": "sqlite:///logs.db"}, "evaluations": [model | piece]}
    if piece.keys() & {"database", "evaluations", "mlflow"}:
        return {"database": {"url": "sqlite:///logs.db"}, "evaluations": [model]} | piece
    return None
