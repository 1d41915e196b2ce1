"""The log: a line a run and model with everything that became of it, as text or as JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.projects import AS_OF, Project, process


@pytest.fixture
def project(tmp_path: Path, pushgateway: str) -> Project:
    """A project with an empty gateway."""
    return Project.make(tmp_path, pushgateway)


def lines(text: str) -> list[dict[str, Any]]:
    """The log as objects. Fails when a line is none."""
    return [json.loads(line) for line in text.splitlines()]


def test_json(project: Project) -> None:
    """Each line is an object; those of a run have its id; the run's own has every stage's duration and the counts."""
    ended = process("--log-format", "json", "run", "--as-of", AS_OF, cwd=project.folder)
    assert ended.code == 0
    logged = lines(ended.err)
    assert len({line["run_id"] for line in logged}) == 1
    (told,) = [line for line in logged if line.get("event") == "run"]
    assert (told["model"], told["as_of"], told["level"]) == ("m", "2024-06-01T13:00:00+00:00", "info")
    assert set(told["durations"]) == {"load", "count", "metrics", "store", "push"}
    assert all(seconds >= 0 for seconds in told["durations"].values())
    counted = {
        name: told[name] for name in ("exit_code", "error", "superseded", "rows_read", "full_recounts", "revision")
    }
    expected = {"exit_code": 0, "error": None, "superseded": False, "rows_read": 4, "full_recounts": 1, "revision": 1}
    assert counted == expected
    assert (told["recounted"], told["cells"] > 0, told["results"] > 0) == ("there is no state", True, True)


def test_json_of_a_failure(project: Project) -> None:
    """A run that is not pushed says why, with the exit code of its model."""
    project.replace(project.gateway, "http://127.0.0.1:1")
    ended = process("--log-format", "json", "run", "--as-of", AS_OF, cwd=project.folder)
    assert ended.code == 3
    *logged, message = ended.err.splitlines()
    assert message.startswith("Error: http://127.0.0.1:1: PUT failed: ")
    (told,) = [line for line in lines("\n".join(logged)) if line.get("event") == "run"]
    assert (told["exit_code"], "Connection refused" in told["error"]) == (3, True)


def test_text(project: Project) -> None:
    """The same for people, on one line."""
    ended = process("run", "--as-of", AS_OF, cwd=project.folder)
    (told,) = [line for line in ended.err.splitlines() if " INFO run " in line]
    assert ": m as of 2024-06-01T13:00:00+00:00: load 0." in told
    assert "exit_code 0" in told
    assert "rows_read 4" in told
