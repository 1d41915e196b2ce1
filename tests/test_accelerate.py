"""Full counts by DuckDB over a row store print what the row store's own print."""

import logging

import pytest

from tests.test_engines import AS_OF, EVALUATIONS, TASKS, Engine, agree, engine, fixture, mariadb, measure, postgres, printed, sqlite  # noqa: F401


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "mariadb"], indirect=True)
def test_same_bytes(engine: Engine, measure: list[str], caplog: pytest.LogCaptureFixture) -> None:  # noqa: F811
    engine.write({task: fixture(task) for task in TASKS})
    config = engine.config(EVALUATIONS)
    config.write_text(config.read_text().replace('"}\nstate', '", accelerate: duckdb, memory_limit: 300MB}\nstate', 1))
    with caplog.at_level(logging.WARNING):
        for as_of, expected in zip(AS_OF, measure, strict=True):
            agree(printed(config, as_of, "--full"), expected)
    assert not [r.message for r in caplog.records if "cannot" in r.message]
