"""Rows 13, 15, 16, 17 and 20: awkward names, secrets, damaged states, rewritten logs, random bytes."""

import json
import os
import random
import resource
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests import servers
from tests.projects import Ended, Project, evaljob, pushed
from tests.reliability.conftest import Record
from tests.reliability.support import Shown, connected, on_postgres, put_logs, started, timed
from tests.test_push import PASSWORD, PASSWORD_HASH, TOKEN, WRONG, Authority, guarded, scripted
from tests.test_worker import get

LATER = "2024-06-01T13:05:00Z"
AT_LATER = 1717247100
INJECTION = "'; DROP TABLE predictions; --"
VALUES = [
    "a/b",
    ".",
    "..",
    "",
    "é",
    "two\nlines",
    '"quoted\\"',
    "x" * 10_000,
    INJECTION,
    "🙂",
    "a,b",
    "%s",
    ":x",
    "{}",
    "all",
    "overall",
]
ALLOWED = ["a/b", "é", "a b", '"quoted\\"', "%2F..", "' OR 1=1 --", "a@base64", "🙂", "x" * 200]
REFUSED = ["", ".", "..", "two\nlines", "x" * 10_000, "\0", "\ud800"]


@pytest.mark.parametrize("engine", ["sqlite", "postgres", "mariadb"])
def test_13_awkward_slice_values(project: Project, engine: str, request: pytest.FixtureRequest, record: Record) -> None:
    """Each is a slice of its own, found in the gateway as it was logged; nothing of it is ever run as SQL."""
    url = f"sqlite:///{project.folder}/logs.db"
    if engine != "sqlite":
        url = request.getfixturevalue(f"{engine}_database")
        on_postgres(project, url)
    project.replace("min_support: 1", "min_support: 1\n    max_slice_values: 99")
    with connected(url) as connection:
        for number, value in enumerate(VALUES):
            row = {"id": f"v{number}", "at": "2024-06-01 12:00:00", "value": value}
            put = "INSERT INTO predictions VALUES (:id, :at, 'v1', 1, 0.9, 0.1, :value)"
            connection.execute(sa.text(put), row)
            connection.execute(sa.text("INSERT INTO labels VALUES (:id, 1, :at)"), row)
    ended, seconds = timed(project.run)
    assert ended.code == 0, ended.err
    (results,) = [group for group in pushed(project.gateway) if "kind" not in group["labels"]]
    supports = {
        sample["labels"]["slice_value"]: float(sample["value"])
        for sample in results["evaljob_support"]["metrics"]
        if (sample["labels"]["slice"], sample["labels"]["model_version"]) == ("country", "all")
    }
    assert supports == {"DE": 2, "FR": 2, **dict.fromkeys(VALUES, 1)}
    with connected(url) as connection:
        assert connection.execute(sa.text("SELECT count(*) FROM predictions")).scalar() == 5 + len(VALUES)
    record(f"{len(VALUES)} awkward slice values, {engine}", seconds=seconds, published="each as it was logged")


def test_13_bytes_that_are_no_text(project: Project, record: Record) -> None:
    """Half a surrogate pair and bytes that are not UTF-8 in SQLite's texts: told in a line, or escaped in the label."""
    project.execute("UPDATE predictions SET country = CAST(x'eda080' AS TEXT) WHERE request_id = 'a'")
    ended, seconds = timed(project.run)
    assert ended.code in (0, 1, 2)
    assert "Traceback" not in ended.err
    shown = Shown.of(project.gateway)
    assert shown.value("last_run_success") == (ended.code == 0) if ended.code != 2 else not shown.groups
    record(
        "a slice value that is not UTF-8",
        seconds=seconds,
        published=f"exit {ended.code}: {ended.err.strip()[:90]}",
    )


def test_13_awkward_names_of_models(project: Project, record: Record) -> None:
    """They publish into a group of their own, beside their neighbours, or are refused before anything happens."""
    config = (project.folder / "config.yaml").read_text()
    for name in ALLOWED:
        (project.folder / "config.yaml").write_text(
            config.replace("model: m", f"model: {json.dumps(name, ensure_ascii=False)}")
        )
        servers.wipe(project.gateway)
        servers.fetch(f"{project.gateway}/metrics/job/evaljob/model/neighbour/kind/x", method="PUT", body=b"x 1\n")
        assert project.run().code == 0
        assert {group["labels"].get("model") for group in pushed(project.gateway)} == {name, "neighbour"}
    servers.wipe(project.gateway)
    for name in REFUSED:
        (project.folder / "config.yaml").write_text(config.replace("model: m", f"model: {json.dumps(name)}"))
        ended = project.run()
        assert (ended.code, ended.out) == (2, ""), name
        assert "evaluations[0].model: " in ended.err or "is not YAML" in ended.err
    assert pushed(project.gateway) == []
    published = f"{len(ALLOWED)} in groups of their own, {len(REFUSED)} refused with exit 2"
    record("awkward names of models", published=published)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that these gateways' certificates come from."""
    return Authority(tmp_path_factory.mktemp("authority"))


def secure(project: Project, section: str) -> None:
    """Have the project push as this section says."""
    lines = (project.folder / "config.yaml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith(("pushgateway:", "worker:"))]
    (project.folder / "config.yaml").write_text("\n".join([*kept, section, "worker: {port: 0}", ""]))


def test_15_mutual_tls_and_a_password(
    project: Project, authority: Authority, tmp_path_factory: pytest.TempPathFactory, record: Record,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """A private authority, a client certificate and a password: works; without one of them it fails in a line."""
    server, key = authority.certificate("server")
    client, client_key = authority.certificate("client")
    tls = {"cert_file": str(server), "key_file": str(key), "client_ca_file": str(authority.ca)}
    tls |= {"client_auth_type": "RequireAndVerifyClientCert"}
    folder = tmp_path_factory.mktemp("gateway")
    with guarded(folder, tls_server_config=tls, basic_auth_users={"evaljob": PASSWORD_HASH}) as address:
        lines = {
            "url": f"https://{address}", "timeout": "2s", "username": "evaljob", "password": "${SECRET}",
            "ca_file": str(authority.ca), "cert_file": str(client), "key_file": str(client_key),
        }  # fmt: skip
        secure(project, f"pushgateway: {json.dumps(lines)}")
        monkeypatch.setenv("SECRET", PASSWORD)
        ended, seconds = timed(project.run)
        assert ended.code == 0, ended.err
        record("private CA, client certificate, password", seconds=seconds, published="all")
        for fault, said in (
            ({"password": WRONG}, "401 Unauthorized"),
            ({"ca_file": None}, "certificate verify failed"),
            ({"cert_file": None, "key_file": None}, "failed: "),
        ):
            secure(project, f"pushgateway: {json.dumps(lines | fault)}")
            wrong, seconds = timed(project.run)
            assert (wrong.code, said in wrong.err) == (3, True), wrong.err
            assert_secret(wrong, PASSWORD, WRONG)
            told = project.evaljob("check")
            assert (told.code, said in told.out) == (3, True)
            assert_secret(told, PASSWORD, WRONG)
            name = f"wrong or missing: {', '.join(fault)}"
            record(name, seconds=seconds, published="exit 3, told in a line; `check` tells it beforehand")


def test_15_an_expired_certificate(
    project: Project, authority: Authority, tmp_path_factory: pytest.TempPathFactory, record: Record
) -> None:
    """Refused at once, and `check` finds it beforehand."""
    server, key = authority.certificate("expired", days=-1)
    tls = {"cert_file": str(server), "key_file": str(key)}
    with guarded(tmp_path_factory.mktemp("gateway"), tls_server_config=tls) as address:
        lines = {"url": f"https://{address}", "timeout": "2s", "ca_file": str(authority.ca)}
        secure(project, f"pushgateway: {json.dumps(lines)}")
        ended, seconds = timed(project.run)
        told = project.evaljob("check")
    assert (ended.code, told.code) == (3, 3)
    assert "certificate has expired" in ended.err
    assert "certificate has expired" in told.out
    record("the certificate has expired", seconds=seconds, published="exit 3; `check` tells it beforehand")


def test_15_secrets_stay_secret(project: Project, record: Record) -> None:
    """A token that the gateway echoes and a database password: in no log, metric, page or list of processes."""
    database = "postgresql+psycopg://u:s3cret-of-the-logs@127.0.0.1:1/x"
    environ = {**os.environ, "SECRET_TOKEN": TOKEN, "SECRET_URL": database}
    secrets = (TOKEN, "s3cret-of-the-logs")
    with scripted(403, body=f"refused: Bearer {TOKEN}") as (url, _):
        secure(project, f'pushgateway: {{url: "{url}", timeout: 2s, bearer_token: "${{SECRET_TOKEN}}"}}')
        with started(project, "--log-format", "json", "-v", "worker", environ=environ) as running:
            log = read_until(running.process, "/healthz and /metrics at ") + read_until(running.process, "exit code 3")
            address = log.split("/healthz and /metrics at ")[1].split('"')[0]
            pages = get(f"{address}/metrics")[1] + get(f"{address}/healthz")[1]
            listed = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout  # noqa: S607
            running.process.terminate()
            ended = running.ended()
        project.replace('"sqlite:///logs.db"', '"${SECRET_URL}"')
        with started(project, "-v", "check", environ=environ) as checking:
            told = checking.ended()
        with started(project, "-v", "run", environ=environ) as failing:
            failed = failing.ended()
    assert (ended.code, told.code, failed.code) == (0, 1, 1)
    assert "refused: Bearer ***" in log
    assert "worker" in listed
    for text in (log, pages, listed, ended.out, ended.err, told.out, told.err, failed.out, failed.err):
        assert not [secret for secret in secrets if secret in text]
    record("an echoed token, a password in a URL", published="neither in logs, metrics, /healthz, check or ps")


def read_until(process: subprocess.Popen[str], words: str) -> str:
    """What a process writes on standard error up to a line with these words."""
    assert process.stderr is not None
    lines: list[str] = []
    while not lines or (words not in lines[-1] and lines[-1]):
        lines.append(process.stderr.readline())
    return "".join(lines)


def test_15_a_wrong_database_password(project: Project, mariadb_database: str, record: Record) -> None:
    """Told in a line, not tried again (accounts get locked), and not shown."""
    put_logs(mariadb_database)
    with connected(mariadb_database) as connection:
        connection.exec_driver_sql("CREATE OR REPLACE USER evaluator IDENTIFIED BY 'right'")
    wrong = sa.make_url(mariadb_database).set(username="evaluator", password=WRONG)
    project.replace("sqlite:///logs.db", wrong.render_as_string(hide_password=False))
    ended, seconds = timed(project.run)
    assert ended.code in (1, 2)
    assert "Access denied for user" in ended.err
    assert_secret(ended, WRONG)
    record("a wrong database password", seconds=seconds, published=f"exit {ended.code}, told in a line")


def assert_secret(ended: Ended, *secrets: str) -> None:
    """None of them was written."""
    assert not [secret for secret in secrets if secret in ended.out + ended.err]


def corrupted(file: Path) -> None:
    """Random bytes over the second half of the file."""
    content = bytearray(file.read_bytes())
    half = len(content) // 2
    content[half:] = random.Random(1).randbytes(len(content) - half)  # noqa: S311  (any bytes)
    file.write_bytes(content)


def truncated(file: Path) -> None:
    """The first third of the file."""
    os.truncate(file, file.stat().st_size // 3)


def emptied(file: Path) -> None:
    """Nothing of the file."""
    os.truncate(file, 0)


def settled(project: Project) -> None:
    """Bring everything that SQLite's journal holds into the file."""
    with closing(sqlite3.connect(project.folder / "state.db")) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")


@pytest.mark.parametrize("damage", [corrupted, truncated, emptied])
def test_16_a_damaged_state_file(project: Project, damage: Any, record: Record) -> None:
    """A clear error or a recount, never a wrong number; without the file the next run counts afresh."""
    assert project.run().code == 0
    settled(project)
    damage(project.folder / "state.db")
    ended, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER, "--output", "json"))
    assert "Traceback" not in ended.err
    if ended.code == 0:
        assert ended.value("accuracy_ratio") == 0.75
    else:
        assert ended.code in (1, 2)
        assert "malformed" in ended.err or "is not a database" in ended.err or "disk" in ended.err
        (project.folder / "state.db").unlink()
        healed = project.evaljob("run", "--as-of", LATER, "--output", "json")
        assert (healed.code, healed.value("accuracy_ratio")) == (0, 0.75)
    outcome = "a recount with the right numbers" if ended.code == 0 else f"exit {ended.code}: {ended.err.strip()[-60:]}"
    record(f"the state file is {damage.__name__}", seconds=seconds, published=outcome)


def test_16_damaged_cells(project: Project, record: Record) -> None:
    """Cells that are cut off inside a file that is whole otherwise: a recount, which is counted."""
    assert project.run().code == 0
    with closing(sqlite3.connect(project.folder / "state.db")) as connection, connection:
        connection.execute("UPDATE evaljob_state SET cells = substr(cells, 1, 100)")
    ended, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER, "--output", "json"))
    assert (ended.code, ended.value("accuracy_ratio")) == (0, 0.75)
    assert Shown.of(project.gateway).value("full_recounts") == 2
    record("the stored cells are cut off", seconds=seconds, published="a recount, counted: the right numbers")


def test_16_a_read_only_state(project: Project, record: Record) -> None:
    """Nothing is published that was not stored."""
    assert project.run().code == 0
    settled(project)
    before = Shown.of(project.gateway)
    project.replace("sqlite:///state.db", f"sqlite:///file:{project.folder}/state.db?mode=ro&uri=true")
    ended, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER))
    assert ended.code in (1, 2)
    assert "readonly" in ended.err
    assert Shown.of(project.gateway).results == before.results
    record("the state is read-only", seconds=seconds, published=f"exit {ended.code}; the old results stay")


def test_16_the_disk_is_full(project: Project, record: Record) -> None:
    """The kernel takes no further byte for the state: exit 1, the old results stay, and the next run heals."""
    assert project.run().code == 0
    before = Shown.of(project.gateway)
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))"
    with started(project, "run", "--as-of", LATER, start=limit) as running:
        ended = running.ended()
    assert ended.code == 1, ended
    assert "disk" in ended.err
    assert "Traceback" not in ended.err
    assert Shown.of(project.gateway).results == before.results
    assert project.evaljob("run", "--as-of", LATER).code == 0
    assert Shown.of(project.gateway).value("as_of_timestamp_seconds") == AT_LATER
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    record("no room for the state", published="exit 1, last_run_success 0; next run: all")


@pytest.mark.parametrize("engine", ["sqlite", "mariadb"])
def test_16_an_older_layout(project: Project, engine: str, request: pytest.FixtureRequest, record: Record) -> None:
    """Tables from before versions were kept are brought forward, and their state goes on: no recount."""
    url = f"sqlite:///{project.folder}/state.db"
    if engine != "sqlite":
        url = request.getfixturevalue(f"{engine}_database")
        on_postgres(project, url)
    project.replace("windows: [1h]", "windows: [1d]")
    assert project.run().code == 0
    with connected(url) as connection:
        connection.execute(sa.text("DROP TABLE evaljob_schema"))
        if engine == "mariadb":
            old = "ALTER TABLE {} MODIFY model VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci NOT NULL"
            for table in ("evaljob_state", "evaljob_history"):
                connection.execute(sa.text(old.format(table)))
    ended, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER))
    assert ended.code == 0, ended.err
    assert Shown.of(project.gateway).value("full_recounts") == 1
    with connected(url) as connection:
        assert connection.execute(sa.text("SELECT version FROM evaljob_schema")).scalars().all() == [2]
        if engine == "mariadb":
            asked = (
                "SELECT DISTINCT collation_name FROM information_schema.columns WHERE column_name = 'model' "
                "AND table_name IN ('evaljob_state', 'evaljob_history') AND table_schema = database()"
            )
            assert connection.execute(sa.text(asked)).scalars().all() == ["utf8mb4_bin"]
    record(f"an older layout, {engine}", seconds=seconds, published="brought forward; stepped, not recounted")


def test_16_a_later_layout(project: Project, record: Record) -> None:
    """Of a later evaljob: refused, and nothing is changed."""
    assert project.run().code == 0
    with connected(f"sqlite:///{project.folder}/state.db") as connection:
        connection.execute(sa.text("INSERT INTO evaljob_schema VALUES (99)"))
    settled(project)
    before = project.everything()
    ended, seconds = timed(lambda: project.evaljob("run", "--as-of", LATER))
    assert ended.code == 2
    assert "is of a later evaljob (its layout is version 99, this one knows 2); upgrade evaljob" in ended.err
    settled(project)
    assert project.everything()["gateway"] == before["gateway"]
    assert project.evaljob("check").code == 2
    record("a later layout", seconds=seconds, published="exit 2; `check` tells it beforehand")


def test_17_rows_deleted_behind_its_back(project: Project, record: Record) -> None:
    """No step can see that rows are gone that it has counted: reconcile finds it, repairs it, and says so."""
    project.replace("windows: [1h]", "windows: [1d]")
    assert project.run().code == 0
    project.execute("DELETE FROM labels WHERE request_id = 'd'")
    stepped = project.evaljob("run", "--as-of", LATER, "--output", "json")
    assert (stepped.code, stepped.value("support")) == (0, 4)
    ended, seconds = timed(lambda: project.evaljob("reconcile"))
    assert (ended.code, "DRIFT" in ended.out) == (0, True)
    shown = Shown.of(project.gateway)
    assert (shown.value("support"), shown.value("accuracy_ratio"), shown.value("state_drift_cells") > 0) == (3, 1, True)
    record("rows are deleted", seconds=seconds, published="reconcile: the right numbers, drift counted")


def test_17_rows_rewritten_behind_its_back(project: Project, record: Record) -> None:
    """A label is changed in place, which no step can see: reconcile finds it, repairs it, and says so."""
    assert project.run().value("accuracy_ratio") == 0.75
    project.execute("UPDATE labels SET label = 0 WHERE request_id = 'd'")
    ended, seconds = timed(lambda: project.evaljob("reconcile"))
    assert (ended.code, "DRIFT" in ended.out) == (0, True)
    shown = Shown.of(project.gateway)
    assert (shown.value("accuracy_ratio"), shown.value("state_drift_cells") > 0) == (1, True)
    record("a label is rewritten in place", seconds=seconds, published="reconcile: 0.75 becomes 1, drift counted")


def test_17_rewritten_rows_that_leave_their_window(
    project: Project, record: Record, caplog: pytest.LogCaptureFixture
) -> None:
    """As they leave, a cell would hold fewer rows than none: found without a reconciliation, recounted, said so."""
    caplog.set_level("INFO")
    assert project.run().code == 0
    project.execute("UPDATE labels SET label = 0 WHERE request_id = 'a'")  # of 12:15
    for minute in (6, 12):
        assert project.evaljob("run", "--as-of", f"2024-06-01T13:{minute:02}:00Z").code == 0
    assert Shown.of(project.gateway).value("accuracy_ratio") == 0.75
    ended, seconds = timed(lambda: project.evaljob("run", "--as-of", "2024-06-01T13:18:00Z", "--output", "json"))
    assert "the logs were rewritten behind the state" in caplog.text
    assert (ended.code, ended.value("accuracy_ratio")) == (0, 2 / 3)
    assert Shown.of(project.gateway).value("full_recounts") == 2
    record("rewritten rows leave the window", seconds=seconds, published="a recount, counted: the right numbers")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project for random input, without a gateway that anybody could reach."""
    return Project.make(tmp_path_factory.mktemp("random"), "http://127.0.0.1:1")


QUICK = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
CONFIG_LINES = 12


def assert_told(ended: Ended) -> None:
    """Bad input is told with exit code 2 (an exception would have come out of `evaljob`, and failed the test)."""
    assert ended.code == 2, ended
    assert "Traceback" not in ended.out + ended.err


@QUICK
@given(st.binary(max_size=300))
@example(b"\xff\xfe")
@example(b"evaluations: [" * 200)
def test_20_random_bytes_as_configuration(bad: Project, record: Record, content: bytes) -> None:
    """No configuration comes out of them."""
    file = bad.folder / "random.yaml"
    file.write_bytes(content)
    assert_told(evaljob("check", "--config", file))
    record("random bytes as configuration, 60 inputs", published="exit 2 and a message, never a traceback")


@QUICK
@given(st.integers(0, CONFIG_LINES), st.text(max_size=60))
def test_20_random_values_in_a_configuration(bad: Project, record: Record, number: int, text: str) -> None:
    """A value that is replaced by any text is accepted or told."""
    lines = (bad.folder / "config.yaml").read_text().splitlines()
    number %= len(lines)
    lines[number] = f"{lines[number].partition(':')[0]}: {text}"
    file = bad.folder / "random.yaml"
    file.write_text("\n".join(lines), errors="replace")
    ended = evaljob("sql", "--config", file)
    assert ended.code in (0, 1, 2)
    record("random values in a configuration, 60 inputs", published="taken, or exit 2 and a message; never a traceback")


@QUICK
@given(st.text(st.characters(exclude_characters="\0"), max_size=60))
def test_20_random_text_in_the_environment(bad: Project, record: Record, text: str) -> None:
    """As a URL, a secret and a name: accepted or told, and never shown where it is a secret."""
    config = (bad.folder / "config.yaml").read_text()
    file = bad.folder / "random.yaml"
    for old in ("sqlite:///logs.db", "http://127.0.0.1:1"):
        file.write_text(config.replace(old, "${RANDOM_TEXT}"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("RANDOM_TEXT", os.fsdecode(text.encode("utf-8", "surrogatepass")))
            assert evaljob("sql", "--config", file).code in (0, 1, 2)
    record("random text in the environment, 60 inputs", published="taken, or exit 2 and a message; never a traceback")


@QUICK
@given(st.one_of(st.binary(max_size=80), st.text(max_size=80).map(lambda text: text.encode(errors="replace"))))
@example(b"/* SELECT")
def test_20_random_bytes_as_sql(bad: Project, record: Record, content: bytes) -> None:
    """The database refuses them, or their columns are missing."""
    (bad.folder / "random.sql").write_bytes(content)
    config = (bad.folder / "config.yaml").read_text()
    file = bad.folder / "random.yaml"
    file.write_text(config.replace("predictions.sql", "random.sql"))
    assert_told(evaljob("run", "--config", file))
    record("random bytes as SQL, 60 inputs", published="exit 2 and a message, never a traceback")


WORDS = [
    "run",
    "sql",
    "backfill",
    "history",
    "check",
    "--as-of",
    "--config",
    "--from",
    "--to",
    "--every",
    "--output",
    "--slice",
    "x",
    "1h",
]


@settings(QUICK, max_examples=100)
@given(st.lists(st.one_of(st.sampled_from(WORDS), st.text(max_size=20)), max_size=6))
def test_20_random_arguments(bad: Project, record: Record, arguments: list[str]) -> None:
    """Where there is no configuration every command line is help or an error of usage."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(bad.folder.parent)
        if "init" not in arguments and not any("\0" in argument for argument in arguments):
            assert evaljob(*arguments).code in (0, 2)
    record("random arguments, 100 inputs", published="help, or exit 2 and a message; never a traceback")
