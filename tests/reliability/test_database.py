"""Rows 1, 18 and 19: databases that die, wait, refuse, and fail one evaluation of several."""

import threading
import time

import pytest

from tests.processes import account, directory, wait_until
from tests.projects import Project
from tests.reliability.conftest import Record
from tests.reliability.support import SLOW, Database, Shown, add_second, connected, on_postgres, started, timed, waiting

LATER = "2024-06-01T13:10:00Z"
ASLEEP = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"


STAYS = "exit 1; last_run_success 0, last_completion; the last good results and last_success stay"
ONE = "exit {code}; the other model all, this one last_run_success 0"


def asleep(url: str) -> bool:
    """Whether a query sleeps in this server."""
    with connected(url) as connection:
        return bool(connection.exec_driver_sql(ASLEEP).scalar())


def assert_failed_loudly(before: Shown, after: Shown) -> None:
    """The results and the last success are as they were; that a run failed is told."""
    (_, succeeded, completed), (success, still, ended) = before.status, after.status
    assert after.results == before.results
    assert (success, still) == (0, succeeded)
    assert ended > completed


def assert_healed(project: Project) -> None:
    """The next run publishes."""
    ended = project.evaljob("run", "--as-of", LATER)
    assert ended.code == 0, ended.err
    assert Shown.of(project.gateway).status[0] == 1
    assert Shown.of(project.gateway).value("as_of_timestamp_seconds") == 1717247400  # 13:10


@pytest.mark.parametrize("moment", ["before", "in", "after"])
def test_01_the_database_dies(
    project: Project, database: Database, record: Record, caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    """Killed before the query, in it, or after it (before the push): the last good results stay, and all is told."""
    on_postgres(project, database.url)
    assert project.run().code == 0
    before = Shown.of(project.gateway)
    if moment == "before":
        database.die()
        ended, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER))
    elif moment == "in":
        (project.folder / "predictions.sql").write_text(SLOW.format(seconds=30))
        with started(project, "run", "--as-of", LATER) as running:
            wait_until(lambda: asleep(database.url), "the query")
            began = time.monotonic()
            database.die()
            ended = running.ended()
            seconds = time.monotonic() - began
    else:
        with started(project, "run", "--as-of", LATER, start=waiting("evaljob.job", "publish")) as running:
            running.met()
            began = time.monotonic()
            database.die()
            running.go()
            ended = running.ended()
            seconds = time.monotonic() - began
    assert ended.code == 1, ended
    assert "Traceback" not in ended.err
    assert_failed_loudly(before, Shown.of(project.gateway))
    asked = tries(caplog) + ended.err.count("trying again")
    assert 1 <= asked <= 4 + 4  # for the logs, and for the state
    database.live()
    project.replace(" CROSS JOIN (SELECT pg_sleep(30)) AS slow", "", "predictions.sql") if moment == "in" else None
    assert_healed(project)
    published = (
        "exit 1; last_run_success 0, last_completion; the last good results and last_success stay; next run: all"
    )
    record(f"PostgreSQL is killed {moment} the query", seconds=seconds, tries=asked, published=published)


def tries(caplog: pytest.LogCaptureFixture) -> int:
    """How often the database was asked."""
    return 1 + sum("trying again" in message for message in caplog.messages)


SLEEPS = {"postgres": SLOW, "mariadb": "SELECT p.* FROM predictions p CROSS JOIN (SELECT sleep({seconds})) AS slow\n"}


@pytest.mark.parametrize("engine", SLEEPS)
def test_18_a_slow_query(
    project: Project, engine: str, request: pytest.FixtureRequest, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """A statement that would take a minute is ended after a second, and not tried again."""
    on_postgres(project, request.getfixturevalue(f"{engine}_database"))
    project.replace("database: {", "database: {statement_timeout: 1s, ")
    assert project.run().code == 0
    before = Shown.of(project.gateway)
    (project.folder / "predictions.sql").write_text(SLEEPS[engine].format(seconds=60))
    ended, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER))
    assert (ended.code, tries(caplog)) == (1, 1), ended
    assert 1 <= seconds < 5
    assert_failed_loudly(before, Shown.of(project.gateway))
    record(f"a query of a minute, statement_timeout 1s, {engine}", seconds=seconds, tries=1, published=STAYS)


def test_18_lock_contention(postgres_project: Project, postgres_database: str, record: Record) -> None:
    """Somebody alters a table and holds its lock: the run ends by the statement timeout, and the next one heals."""
    postgres_project.replace("database: {", "database: {statement_timeout: 1s, ")
    assert postgres_project.run().code == 0
    before = Shown.of(postgres_project.gateway)
    with connected(postgres_database) as connection:
        connection.exec_driver_sql("LOCK TABLE labels IN ACCESS EXCLUSIVE MODE")
        ended, seconds = timed(lambda: postgres_project.evaljob("run", "--as-of", LATER))
    assert ended.code == 1
    assert "statement timeout" in ended.err
    assert seconds < 5
    assert_failed_loudly(before, Shown.of(postgres_project.gateway))
    assert_healed(postgres_project)
    record("another session holds a lock on the labels", seconds=seconds, published=STAYS)


# Fails with this SQLSTATE as often as there are files to tell of it; read-only transactions may write files.
FAILING = """
CREATE FUNCTION failing(folder text, code text, times int) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  FOR i IN 1..times LOOP
    IF (pg_stat_file(folder || '/' || i, true)).size IS NULL THEN
      EXECUTE 'COPY (SELECT 1) TO ' || quote_literal(folder || '/' || i);
      RAISE EXCEPTION 'as was asked for' USING ERRCODE = code;
    END IF;
  END LOOP;
  RETURN 1;
END $$
"""


@pytest.mark.parametrize(
    ("fault", "call", "expected"),
    [
        ("a serialization failure, once", "'40001', 1", (0, 2)),
        ("a deadlock, twice", "'40P01', 2", (0, 3)),
        ("serialization failures without end", "'40001', 99", (1, 4)),
        ("a division by zero", "'22012', 99", (1, 1)),
    ],
)
def test_18_transient_errors_are_tried_again(
    postgres_project: Project, postgres_database: str, record: Record, caplog: pytest.LogCaptureFixture,
    fault: str, call: str, expected: tuple[int, int],
) -> None:  # fmt: skip
    """Conflicts with others are tried again, a bounded number of times; what is wrong stays wrong, and is not."""
    with directory("failing", account("postgres", "nobody")) as folder:
        with connected(postgres_database) as connection:
            connection.exec_driver_sql(FAILING)
        called = f"CROSS JOIN (SELECT failing('{folder}', {call})) AS f"
        (postgres_project.folder / "predictions.sql").write_text(f"SELECT p.* FROM predictions p {called}")
        ended, seconds = timed(postgres_project.run)
    assert (ended.code, tries(caplog)) == expected, ended
    published = "everything" if ended.code == 0 else "exit 1; last_run_success 0"
    assert Shown.of(postgres_project.gateway).value("last_run_success") == (ended.code == 0)
    record(fault, seconds=seconds, tries=tries(caplog), published=published)


@pytest.mark.filterwarnings("ignore:Exception ignored in")  # psycopg cannot close a cursor whose server is gone
def test_18_a_session_that_is_killed(
    postgres_project: Project, postgres_database: str, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """An administrator ends the session in the middle of its query: it is asked again, and answers."""
    (postgres_project.folder / "predictions.sql").write_text(SLOW.format(seconds=1))

    def kill() -> None:
        wait_until(lambda: asleep(postgres_database), "the query")
        with connected(postgres_database) as connection:
            ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
            connection.exec_driver_sql(ended)

    killer = threading.Thread(target=kill)
    killer.start()
    ended, seconds = timed(postgres_project.run)
    killer.join()
    assert (ended.code, tries(caplog)) == (0, 2), ended
    record("the session is killed in its query", seconds=seconds, tries=2, published="everything")


def test_18_no_connection_is_left(
    postgres_project: Project, postgres_database: str, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """The server has no connection to give: tried a few times, told, and healed by the next run."""
    with connected(postgres_database) as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS crowded")
        connection.exec_driver_sql("CREATE ROLE crowded LOGIN SUPERUSER")
        connection.exec_driver_sql("ALTER ROLE crowded NOSUPERUSER CONNECTION LIMIT 0")
        connection.exec_driver_sql("GRANT SELECT ON predictions, labels TO crowded")
    crowded = f"database: {{url: {postgres_database.replace('postgres@', 'crowded@')!r}}}"
    postgres_project.replace(f'database: {{url: "{postgres_database}"}}', crowded)
    ended, seconds = timed(postgres_project.run)
    assert (ended.code, tries(caplog)) == (1, 4), ended
    assert "too many connections" in ended.err
    assert Shown.of(postgres_project.gateway).value("last_run_success") == 0
    with connected(postgres_database) as connection:
        connection.exec_driver_sql("ALTER ROLE crowded CONNECTION LIMIT 5")
    assert_healed(postgres_project)
    record("no connection is left", seconds=seconds, tries=4, published="exit 1; last_run_success 0; next run: all")
    with connected(postgres_database) as connection:
        connection.exec_driver_sql("DROP OWNED BY crowded")
        connection.exec_driver_sql("DROP ROLE crowded")


WRITING = {
    "postgres": "CREATE FUNCTION writing() RETURNS int LANGUAGE sql AS 'INSERT INTO written VALUES (1); SELECT 1'",
    "mariadb": "CREATE FUNCTION writing() RETURNS int BEGIN INSERT INTO written VALUES (1); RETURN 1; END",
}


@pytest.mark.parametrize("engine", WRITING)
def test_18_sources_are_only_read(
    project: Project, engine: str, request: pytest.FixtureRequest, record: Record
) -> None:
    """A SELECT that calls a function which writes is refused by the server, and nothing is written."""
    url = request.getfixturevalue(f"{engine}_database")
    on_postgres(project, url)
    with connected(url) as connection:
        connection.exec_driver_sql("CREATE TABLE written (x int)")
        connection.exec_driver_sql(WRITING[engine])
    (project.folder / "predictions.sql").write_text("SELECT p.* FROM predictions p WHERE writing() = 1")
    ended, seconds = timed(project.run)
    assert ended.code in (1, 2), ended
    assert "read-only transaction" in ended.err.lower().replace("read only", "read-only")
    with connected(url) as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM written").scalar() == 0
    record(f"a SELECT that writes, {engine}", seconds=seconds, published="the server refuses; nothing written")


def test_19_one_of_several_fails(project: Project, postgres_database: str, record: Record) -> None:
    """A SELECT that divides by zero fails its own evaluation; the other one publishes, and the exit code is 1."""
    on_postgres(project, postgres_database)
    add_second(project, "SELECT p.*, 1 / (prediction - prediction) AS wrong FROM predictions p")
    project.replace("    predictions: second.sql", "    slices: [wrong]\n    predictions: second.sql")
    ended, seconds = timed(project.run)
    assert ended.code == 1
    assert "second: the database failed: division by zero" in ended.err
    assert_one_published(project)
    record("the query of one of two fails", seconds=seconds, published=ONE.format(code=1))


def test_19_the_sources_of_one_of_several_are_gone(project: Project, record: Record) -> None:
    """A table of one evaluation was renamed under a running worker: the others publish, and the exit code is 2."""
    add_second(project, "SELECT * FROM renamed")
    ended, seconds = timed(project.run)
    assert ended.code == 2
    assert "second.sql: the database refuses this SELECT: no such table: renamed" in ended.err
    assert_one_published(project)
    record("the table of one of two is gone", seconds=seconds, published=ONE.format(code=2))


def assert_one_published(project: Project) -> None:
    """The results of `m` with a success, and of `second` nothing but its failure."""
    assert Shown.of(project.gateway).value("accuracy_ratio") == 0.75
    assert Shown.of(project.gateway).status[0] == 1
    second = Shown.of(project.gateway, "second")
    assert second.value("last_run_success") == 0
    assert second.results == []
