"""Full counts by DuckDB over a row store print what the row store's own print."""

import logging
from pathlib import Path
from urllib.parse import quote_plus
from uuid import uuid4

import pytest
import sqlalchemy as sa

from tests.test_engines import AS_OF, BINARY, EVALUATIONS, TASKS, Engine, agree, fixture, printed
from tests.test_engines import engine as engine  # noqa: PLC0414  (fixtures)
from tests.test_engines import mariadb as mariadb  # noqa: PLC0414
from tests.test_engines import measure as measure  # noqa: PLC0414
from tests.test_engines import postgres as postgres  # noqa: PLC0414
from tests.test_engines import sqlite as sqlite  # noqa: PLC0414

NOT_DONE = "the database counts by itself"


def accelerated(engine: Engine, evaluations: str) -> Path:
    """The configuration of an engine whose full counts DuckDB does."""
    config = engine.config(evaluations)
    text = config.read_text(encoding="utf-8")
    config.write_text(text.replace('"}\nstate', '", accelerate: duckdb, memory_limit: 300MB}\nstate', 1), "utf-8")
    return config


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "mariadb"], indirect=True)
def test_duckdb_counts_the_same_cells(engine: Engine, measure: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """A full count prints byte for byte what SQLite's own prints, and does not fall back."""
    engine.write({task: fixture(task) for task in TASKS})
    config = accelerated(engine, EVALUATIONS)
    agree(printed(config, AS_OF[-1], "--full"), measure[-1])
    assert NOT_DONE not in caplog.text


POISON = {
    "a timestamp": ("labels", "labeled_at = replace(labeled_at, ' ', 'T')"),
    "a text among numbers": ("predictions", "score = 'none'"),
    "a number among texts": ("predictions", "country = CAST(7 AS BLOB)"),
}


@pytest.mark.parametrize("what", POISON)
def test_what_cannot_be_passed_on_is_counted_by_the_database(
    sqlite: Engine, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One value of another form than its column's: SQLite counts by itself, says so, and prints what it always did."""
    sqlite.write({"binary": fixture("binary", plain=4000)})
    log, assignment = POISON[what]
    engine = sa.create_engine(sqlite.url)
    stamp = "labeled_at" if log == "labels" else "predicted_at"
    ranked = f"SELECT rowid, row_number() OVER (ORDER BY {stamp}) AS n FROM binary_{log}"
    # Not among the rows that are looked at beforehand: the first ones in every order, and the last ones.
    unseen = f"SELECT max(rowid) FROM ({ranked}) WHERE n BETWEEN 1100 AND 1500"
    with engine.begin() as connection:
        connection.execute(sa.text(f"UPDATE binary_{log} SET {assignment} WHERE rowid = ({unseen})"))
    engine.dispose()
    expected = printed(sqlite.config(BINARY), AS_OF[-1], "--full")
    assert NOT_DONE not in caplog.text
    agree(printed(accelerated(sqlite, BINARY), AS_OF[-1], "--full"), expected)
    assert NOT_DONE in caplog.text


AWKWARD = "se'cr\\et \"w%rd"


@pytest.mark.parametrize("connections", [9, 1])
def test_passwords_reach_the_database_and_no_log(
    postgres: Engine, connections: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Awkward characters in it work. Where DuckDB gets no connection the database counts, and tells no secret."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("sqlalchemy.engine").setLevel(logging.NOTSET)
    postgres.write({"binary": fixture("binary", plain=10)})
    role = f"reader_{uuid4().hex}"
    owner = sa.create_engine(postgres.url)
    with owner.begin() as connection:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN CONNECTION LIMIT {connections}")
        connection.exec_driver_sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
    postgres.url = sa.make_url(postgres.url).set(username=role, password=AWKWARD).render_as_string(hide_password=False)
    printed(accelerated(postgres, BINARY), AS_OF[-1], "--full")
    assert (NOT_DONE in caplog.text) == (connections == 1)
    assert not any(secret in caplog.text for secret in (AWKWARD, "w%rd", quote_plus(AWKWARD)))
    with owner.begin() as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {role}")
        connection.exec_driver_sql(f"DROP ROLE {role}")
    owner.dispose()
