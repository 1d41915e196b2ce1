"""Full counts by DuckDB over a row store print what the row store's own print."""

from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from evaljob.cli import cli
from tests.test_engines import AS_OF, EVALUATIONS, TASKS, Engine, agree, fixture
from tests.test_engines import engine as engine  # noqa: PLC0414  (fixtures)
from tests.test_engines import mariadb as mariadb  # noqa: PLC0414
from tests.test_engines import measure as measure  # noqa: PLC0414
from tests.test_engines import postgres as postgres  # noqa: PLC0414
from tests.test_engines import sqlite as sqlite  # noqa: PLC0414

NOT_DONE = "the database counts by itself"


def counted(config: Path, as_of: datetime) -> tuple[str, str]:
    """What a full count prints as JSON, and what it logs."""
    command = ["run", "--config", str(config), "--as-of", as_of.isoformat(), "--no-push", "--output", "json", "--full"]
    result = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert result.exit_code == 0, result.stderr
    return result.stdout, result.stderr


def accelerated(engine: Engine, evaluations: str) -> Path:
    """The configuration of an engine whose full counts DuckDB does."""
    config = engine.config(evaluations)
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"}\nstate', '", accelerate: duckdb, memory_limit: 300MB}\nstate', 1), "utf-8")
    return config


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "mariadb"], indirect=True)
def test_duckdb_counts_the_same_cells(engine: Engine, measure: list[str]) -> None:
    """Full counts at three instants print byte for byte what SQLite's own print, and none falls back."""
    engine.write({task: fixture(task) for task in TASKS})
    config = accelerated(engine, EVALUATIONS)
    for as_of, expected in zip(AS_OF, measure, strict=True):
        found, logged = counted(config, as_of)
        assert NOT_DONE not in logged
        assert "full count" in logged
        agree(found, expected)
