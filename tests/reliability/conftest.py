"""What the tests of this directory share: the record of their figures, projects, a PostgreSQL that may be killed."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.projects import Project
from tests.reliability.support import Database, on_postgres

RECORD = "RELIABILITY_RECORD"
Record = Callable[..., None]


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Record:
    """Takes figures of this test's row, for scripts/reliability.py; it keeps them when it asked for them."""
    number, file = int(request.node.name.split("_")[1]), os.environ.get(RECORD)

    def take(fault: str, *, seconds: float | None = None, tries: int | None = None, published: str) -> None:
        line = {"row": number, "fault": fault, "seconds": seconds, "tries": tries, "published": published}
        if file is not None:
            with Path(file).open("a") as lines:
                lines.write(json.dumps(line) + "\n")

    return take


@pytest.fixture
def project(tmp_path: Path, pushgateway: str) -> Project:
    """A project with logs in SQLite and an empty gateway."""
    return Project.make(tmp_path, pushgateway)


@pytest.fixture(scope="module")
def mortal() -> Iterator[Database]:
    """A PostgreSQL of this module's own."""
    with Database.made() as database:
        yield database
        database.die()


@pytest.fixture
def database(mortal: Database) -> Database:
    """The same, alive."""
    mortal.live()
    return mortal


@pytest.fixture
def postgres_project(project: Project, postgres_database: str) -> Project:
    """A project with logs and state in a PostgreSQL."""
    on_postgres(project, postgres_database)
    return project
