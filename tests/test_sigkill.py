"""A run that is killed at any of its stages: the runs after it leave what they would have left had nothing happened.

The project has two models, m and n. It was run at 44 h, is killed at 46 h, and run again.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from evaljob.state import to_microseconds
from tests import past, servers
from tests.past import Kept, hours
from tests.projects import Project, process

SECOND = """\
  - model: n
    task: binary
    positive_label: 0
    predictions: predictions.sql
    labels: labels.sql
    windows: [24h]
"""
# Ends the process as the kernel does, the `number`th time that a function of the product is entered or left.
KILLER = """
import os, signal, sys
import evaljob.cli
seen = []
def profile(frame, event, _):
    code = frame.f_code
    if (event, code.co_name, os.path.basename(code.co_filename)) == ("{event}", "{function}", "{file}"):
        seen.append(frame)
        if len(seen) == {number}:
            os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(profile)
"""
# When a run ended, how long it took and what it had to read is its own.
OF_THE_RUN = ("evaljob_last_success", "evaljob_last_completion", "evaljob_run_duration_seconds", "evaljob_rows_read")


class Stage(NamedTuple):
    """Where a run is killed: which models' states have come to 46 h by then, and which models' results were pushed."""

    event: str
    function: str
    file: str
    number: int = 1
    stored: str = ""
    pushed: str = ""


STAGES: Mapping[str, Stage] = {
    "before the query": Stage("call", "_counted", "advance.py"),
    "while rows come in": Stage("call", "_from_rows", "cells.py"),
    "before the query of the second model": Stage("call", "_counted", "advance.py", number=2, stored="m"),
    "in the transaction, between state and history": Stage("call", "record", "history.py"),
    "in the transaction, before its commit": Stage("return", "keep", "job.py"),
    "after the commit, before the push": Stage("call", "push_results", "push.py", stored="mn"),
    "between results and status": Stage("call", "push_status", "push.py", stored="mn", pushed="m"),
    "between the models' pushes": Stage("call", "push_results", "push.py", number=2, stored="mn", pushed="m"),
}


class Left(NamedTuple):
    """What a run leaves behind: what it printed, states, history, and what the gateway holds."""

    printed: str
    states: list[tuple[object, ...]]
    history: Kept
    page: list[str]


def project(folder: Path, gateway: str, database: str = "") -> Project:
    """A project with both models, run at 44 h."""
    made = past.project(folder, gateway, database)
    made.replace("    min_support: 3\n", "    min_support: 3\n" + SECOND)
    made.replace("    slices: [country]\n", "")
    run(made, 44)
    return made


def run(project: Project, at: float) -> Left:
    """What a run at an hour of the logs leaves."""
    ended = project.evaljob("run", "--as-of", hours(at).isoformat(), "--output", "json")
    assert ended.code == 0, ended.err
    return Left(ended.out, past.state(project), past.kept(project), page(project.gateway))


def page(gateway: str) -> list[str]:
    """What Prometheus would scrape of it, but for what is a run's own."""
    lines = servers.fetch(f"{gateway}/metrics").splitlines()
    return sorted(line for line in lines if line.startswith("evaljob_") and not line.startswith(OF_THE_RUN))


def kill(project: Project, stage: Stage) -> None:
    """Kill a run at 46 h, and see that it was killed where it was meant to be."""
    before = page(project.gateway)
    start = KILLER.format(**stage._asdict())
    assert process("run", "--as-of", hours(46).isoformat(), cwd=project.folder, start=start).code == -9
    came = [model for model, _, as_of, *_ in past.state(project) if as_of == to_microseconds(hours(46))]
    assert "".join(map(str, came)) == stage.stored
    assert [model for model in "mn" if changed(before, page(project.gateway), model)] == list(stage.pushed)


def changed(before: list[str], after: list[str], model: str) -> bool:
    """Whether a model's results in the gateway are others."""
    return any(f'model="{model}"' in line and "kind=" not in line for line in set(before) ^ set(after))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, pushgateway_url: str) -> dict[int, Left]:
    """What runs leave that nobody kills, at 46 and at 47 h."""
    servers.wipe(pushgateway_url)
    twin = project(tmp_path_factory.mktemp("twin") / "project", pushgateway_url)
    return {at: run(twin, at) for at in (46, 47)}


@pytest.mark.parametrize("stage", STAGES.values(), ids=STAGES)
def test_a_killed_run_is_as_if_it_had_not_been_killed(
    pushgateway: str, tmp_path: Path, stage: Stage, undisturbed: dict[int, Left]
) -> None:
    """Run again at its instant, the next is told the same to the byte; so it is for a run at the next instant alone."""
    killed = project(tmp_path / "project", pushgateway)
    kill(killed, stage)
    killed.copy(tmp_path / "aside")
    left, expected = run(killed, 47), undisturbed[47]
    assert (left.printed, left.page) == (expected.printed, expected.page)
    assert history_at(left, 47) == history_at(expected, 47)
    assert [row[-1] for row in left.states] == [row[-1] for row in expected.states]
    shutil.rmtree(killed.folder)
    shutil.move(tmp_path / "aside", killed.folder)
    assert run(killed, 46) == undisturbed[46]
    assert run(killed, 47) == expected


@pytest.mark.parametrize("name", ["in the transaction, before its commit", "after the commit, before the push"])
def test_a_killed_run_on_postgresql(
    postgres_database: str, pushgateway: str, tmp_path: Path, name: str, undisturbed: dict[int, Left]
) -> None:
    """The same where the server has to find out that the one who wrote is gone."""
    killed = project(tmp_path / "project", pushgateway, postgres_database)
    kill(killed, STAGES[name])
    assert run(killed, 46) == undisturbed[46]
    assert run(killed, 47) == undisturbed[47]


def history_at(left: Left, at: float) -> Kept:
    """What stands in the history of one instant."""
    return {key: value for key, value in left.history.items() if key[0] == to_microseconds(hours(at))}
