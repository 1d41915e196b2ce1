"""The README does what it says: its commands are run, its lines and tables hold."""

import os
import re
import sqlite3
import subprocess
import sys
import tomllib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from evaljob.cli import cli
from evaljob.gauges import INSTANTS, METRICS, OFFLINE, STATUS
from tests.projects import Ended, pushed

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FOLDER = "/srv/evaljob"  # of its crontab line
# What somebody does in the editor: name the model, the class and the slices, and filter the logs by the model.
EDITOR = """\
#!/bin/sh -e
sed -i -e 's/my_model/fraud/; s/positive_label: 1/positive_label: "yes"/; s/# slices:.*/slices: [country]/' "$1"
sed -i 's/# min_support: 30 /min_support: 1/; s/-- , country, device/, country -- /' "$1" sql/predictions.sql
shift
sed -i "s/^FROM .*/& WHERE model = 'fraud'/" "$@"
"""


def blocks(language: str) -> list[str]:
    """The blocks of code in the README in this language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)


def block(language: str, word: str) -> str:
    """The one block of code that has a word in it."""
    (found,) = (text for text in blocks(language) if word in text)
    return found


def sh(script: str, folder: Path, gateway: str) -> Ended:
    """What a shell says that stops at the first error and finds this environment's programs first."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = os.environ | {"PATH": path, "EVALJOB_PUSHGATEWAY_URL": gateway, "EDITOR": str(folder / "editor")}
    command = ["sh", "-e", "-u", "-c", script]
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=100)
    return Ended(done.returncode, done.stdout, done.stderr)


def write_logs(file: Path) -> None:
    """Logs in the tables of sql/schema.sql: three of four recent requests are right; one is of another model."""
    now = datetime.now(UTC)
    stamps = [(now - timedelta(hours=hours)).strftime("%Y-%m-%d %H:%M:%S.%f") for hours in (5, 4, 3, 2, 1)]
    said = [("fraud", f"r{i}", stamps[i], "v1", "yes", 0.9, 0.1, "NP", "phone") for i in range(4)]
    said.append(("other", *said[0][1:]))
    told = [("fraud", f"r{i}", "yes" if i else "no", stamps[i + 1], 1.0) for i in range(4)]
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript((ROOT / "sql" / "schema.sql").read_text(encoding="utf-8"))
        connection.executemany(
            f"INSERT INTO predictions VALUES ({', '.join('?' * 9)})", [*said, ("other", *said[0][1:])]
        )
        connection.executemany(f"INSERT INTO labels VALUES ({', '.join('?' * 5)})", told)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with logs and an editor that somebody uses."""
    write_logs(tmp_path / "logs.db")
    (tmp_path / "editor").write_text(EDITOR)
    (tmp_path / "editor").chmod(0o755)
    return tmp_path


def test_the_five_minute_way(project: Path, pushgateway: str) -> None:
    """Every command of it, on logs of its own tables: accuracy 3/4 is printed and pushed, and its SQL told."""
    ended = sh(block("sh", "evaljob init"), project, pushgateway)
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    assert '\n[\n{"model": "fraud", "model_version": "v1", "window": "24h"' in ended.out
    assert ended.out.rstrip().count("\n") > 10
    assert "0.750" in ended.out
    (value,) = [
        metric["value"]
        for group in pushed(pushgateway)
        for metric in group.get("evaljob_accuracy_ratio", {"metrics": []})["metrics"]
        if metric["labels"] | {"model_version": "all", "window": "24h", "slice": "overall"} == metric["labels"]
    ]
    assert float(value) == 0.75


def test_the_crontab_line(project: Path, pushgateway: str) -> None:
    """Every five minutes it is quiet and pushes; while another one has the lock it does nothing."""
    *schedule, command = block("crontab", "flock").strip().split(" ", 5)
    assert schedule == ["*/5", "*", "*", "*", "*"]
    assert sh("evaljob init && ./editor config.yaml sql/*", project, pushgateway).code == 0
    command = command.replace(FOLDER, str(project))
    assert FOLDER not in command
    assert sh(f"flock .lock -c {quoted(command)}", project, pushgateway) == Ended(1, "", "")
    assert pushed(pushgateway) == []
    ended = sh(command, project, pushgateway)
    assert (ended.code, ended.out) == (0, "")
    assert {group["labels"]["model"] for group in pushed(pushgateway)} == {"fraud"}


def test_the_cron_job_is_the_deployed_one() -> None:
    """What the README shows of the CronJob is what stands in the manifest."""
    shown = yaml.safe_load(block("yaml", "CronJob"))
    deployed = yaml.safe_load((ROOT / "deploy" / "kubernetes" / "cronjob.yaml").read_text(encoding="utf-8"))
    assert common(deployed, shown) == shown


def test_the_metrics() -> None:
    """The table names every metric, with its labels, and no other."""
    rows = re.search(r"^## Metrics$(.*?)^## ", README, flags=re.MULTILINE | re.DOTALL)
    assert rows is not None
    cells = [line for line in rows[1].splitlines() if line.startswith("|")]
    named = [match for line in cells for match in re.findall(r"`(\w+)(?:\{([\w,]+)\})?`", line.split("|")[2])]
    found = {name: tuple(labels.split(",")) if labels else () for name, labels in named}
    assert len(found) == len(named)
    assert found == {name: metric.labels for name, metric in (METRICS | OFFLINE | INSTANTS | STATUS).items()}  # type: ignore[operator]


def test_the_commands() -> None:
    """Every target of make, every command and every extra that it names is there."""
    targets = sorted(set(re.findall(r"\bmake ([a-z]+)", "".join([*blocks("sh"), *re.findall("`[^`]+`", README)]))))
    assert {"demo", "test"} <= set(targets)
    subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, check=True, capture_output=True)  # noqa: S607
    commands = set(re.findall(r"\bevaljob ([a-z]+)", "".join([*blocks("sh"), *re.findall("`[^`\n]+`", README)])))
    assert {"run", "check", "worker"} <= commands
    assert commands <= set(cli.commands)
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert set(re.findall(r"pip install '\.\[(\w+)\]'", README)) <= set(extras)


def common(whole: Any, part: Any) -> Any:
    """What `whole` has at the places of `part`."""
    if isinstance(whole, dict) and isinstance(part, dict):
        return {key: common(whole[key], value) for key, value in part.items() if key in whole}
    if isinstance(whole, list) and isinstance(part, list):
        return [common(one, other) for one, other in zip(whole, part, strict=False)]
    return whole


def quoted(text: str) -> str:
    """A text as one word of a shell command."""
    assert "'" not in text
    return f"'{text}'"
