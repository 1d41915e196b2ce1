"""The servers behind the suite: real, private to the session, empty for each test, and gone afterwards."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa

from tests import servers, shared

ROOT = Path(__file__).parents[1]
SAMPLE = b"evaljob_sample 42\n"


def push(gateway: str, body: bytes = SAMPLE) -> None:
    """Push samples to the group {job="test"}."""
    servers.fetch(f"{gateway}/metrics/job/test", method="PUT", body=body)


def test_pushed_samples_are_read_back(pushgateway: str) -> None:
    """What is pushed stands in the gateway's own exposition, and a wipe takes it away."""
    push(pushgateway)
    assert 'evaljob_sample{instance="",job="test"} 42' in servers.fetch(f"{pushgateway}/metrics")
    servers.wipe(pushgateway)
    assert "evaljob_sample" not in servers.fetch(f"{pushgateway}/metrics")


@pytest.mark.parametrize("again", [1, 2])
def test_each_test_gets_an_empty_pushgateway(pushgateway: str, again: int) -> None:
    """Run twice in any order: neither sees what the other pushed."""
    assert "evaljob_sample" not in servers.fetch(f"{pushgateway}/metrics")
    push(pushgateway, f"evaljob_sample {again}\n".encode())


def test_prometheus_scrapes_what_was_pushed(pushgateway: str) -> None:
    """The whole way of a number: pushed, scraped every second with its own labels kept, asked for by PromQL."""
    push(pushgateway)
    with servers.prometheus(servers.scrape_config(pushgateway)) as url:
        servers.wait_until(lambda: servers.instant_query(url, "evaljob_sample"), "the first scrape")
        [series] = servers.instant_query(url, "evaljob_sample * 2")
    assert series["metric"] == {"job": "test"}
    assert series["value"][1] == "84"


def test_prometheus_reads_the_files_beside_its_configuration() -> None:
    """A rule file given by name is loaded, and its recording rule computed."""
    config = "global: {evaluation_interval: 1s}\nrule_files: [rules.yml]\n"
    rules = "groups: [{name: g, rules: [{record: six, expr: vector(2 * 3)}]}]\n"
    with servers.prometheus(config, {"rules.yml": rules}) as url:
        servers.wait_until(lambda: servers.instant_query(url, "six"), "the recording rule")
        assert [s["value"][1] for s in servers.instant_query(url, "six")] == ["6"]


@pytest.mark.parametrize("again", [1, 2])
@pytest.mark.parametrize("fixture", ["postgres_database", "mariadb_database"])
def test_each_test_gets_an_empty_database(request: pytest.FixtureRequest, fixture: str, again: int) -> None:
    """Run twice: the same table can be made both times, and a text outside ASCII and microseconds come back whole."""
    engine = sa.create_engine(request.getfixturevalue(fixture))
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE t (n INTEGER, name VARCHAR(64))"))
        connection.execute(sa.text("INSERT INTO t VALUES (:n, :name)"), {"n": again, "name": "Zürich 東京 🙂"})
        assert connection.execute(sa.text("SELECT n, name FROM t")).all() == [(again, "Zürich 東京 🙂")]
    engine.dispose()


def test_postgres_sorts_as_people_do(postgres_database: str) -> None:
    """A linguistic collation puts a before B; by bytes B (66) comes before a (97). What relies on bytes must say so."""
    engine = sa.create_engine(postgres_database)
    query = "SELECT x FROM (VALUES ('a'), ('B')) AS v(x) ORDER BY x"
    with engine.connect() as connection:
        assert connection.scalars(sa.text(query)).all() == ["a", "B"]
        assert connection.scalars(sa.text(f'{query} COLLATE "C"')).all() == ["B", "a"]
    engine.dispose()


def test_mariadb_compares_as_it_does_by_default(mariadb_database: str) -> None:
    """MariaDB's usual collation takes A for a, which the exact join has to withstand: so the server is not tamed."""
    engine = sa.create_engine(mariadb_database)
    with engine.connect() as connection:
        assert connection.scalar(sa.text("SELECT 'A' = 'a'")) == 1
    engine.dispose()


@pytest.mark.parametrize("start", [servers.pushgateway, servers.postgres], ids=["pushgateway", "postgres"])
def test_a_server_ends_with_its_block(start: shared.Start) -> None:
    """After the block nobody listens on the port any more, although the block failed."""
    with suppress(KeyError), start() as url:
        port = urlsplit(url).port
        raise KeyError
    assert port is not None
    assert not servers.listens(port)


def test_a_server_that_cannot_start_says_why() -> None:
    """The message carries the server's own words."""
    why = r"(?s)prometheus did not start.*nonsense"
    with pytest.raises(servers.ServerError, match=why), servers.prometheus("nonsense: 1"):
        pass


def test_a_missing_program_names_the_mend() -> None:
    """Nothing of that name is installed: the error says what installs it."""
    with pytest.raises(servers.ServerError, match="no-such-server is not installed: `make servers`"):
        servers.program("no-such-server")


def test_waiting_has_an_end() -> None:
    """A condition that never holds ends in an error that names it."""
    with pytest.raises(TimeoutError, match=r"waited 0\.1 s for nothing"):
        servers.wait_until(lambda: False, "nothing", timeout=0.1)


def test_a_session_shares_one_server_and_stops_it() -> None:
    """Two who ask for the same server get the same URL, another variant is another; at the end both are stopped."""
    with shared.session() as folder:
        first, again = shared.url(folder, "pushgateway"), shared.url(folder, "pushgateway")
        other = shared.url(folder, "pushgateway", "other")
        assert first == again != other
        assert servers.answers(f"{first}/-/ready")
    assert not any(servers.answers(f"{url}/-/ready") for url in (first, other))
    assert not folder.exists()


def test_servers_do_not_outlive_a_killed_session(tmp_path: Path) -> None:
    """The session's process is killed with SIGKILL, so that it can tidy up nothing: its server stops all the same."""
    script = """if True:
        import pathlib, sys, time
        from tests import shared
        with shared.session() as folder:
            draft = pathlib.Path(sys.argv[1], "draft")
            draft.write_text(shared.url(folder, "pushgateway"))
            draft.rename(pathlib.Path(sys.argv[1], "url"))
            time.sleep(60)
    """
    environment = {**os.environ, "TMPDIR": str(tmp_path)}  # what cannot be tidied up lies there
    process = subprocess.Popen([sys.executable, "-c", script, tmp_path], cwd=ROOT, env=environment)
    servers.wait_until((tmp_path / "url").exists, "the server of the other session")
    url = (tmp_path / "url").read_text()
    assert servers.answers(f"{url}/-/ready")
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    servers.wait_until(lambda: not servers.answers(f"{url}/-/ready"), "the end of the server")


def test_the_environment_of_a_developer_stays_outside() -> None:
    """No EVALJOB_ variable reaches a test except the suite's own: none can point it at a real database or gateway."""
    assert [name for name in os.environ if name.startswith("EVALJOB_")] == ["EVALJOB_TEST_SESSION"]
