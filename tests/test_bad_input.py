"""Bad input: exit code 2 and one message that names the place and the mend; nothing pushed, nothing changed."""

import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import registry

from tests.projects import LABELS, PREDICTIONS, Ended, Project, evaljob, process

Break = Callable[[Project], object]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory, pushgateway_url: str) -> Project:
    """A project that has run well: it has a state, and results in the gateway."""
    made = Project.make(tmp_path_factory.mktemp("project"), pushgateway_url)
    assert made.run().code == 0
    return made


@pytest.fixture
def project(tmp_path: Path, good: Project) -> Project:
    """A copy of it, to break."""
    return good.copy(tmp_path)


def assert_refused(project: Project, *said: str) -> None:
    """`run` ends with exit code 2 and a line that says this; files and gateway are as they were. So says `check`."""
    before = project.everything()
    ended = project.evaljob("run")
    assert_one_message(ended, *said)
    assert project.everything() == before
    checked = project.evaljob("check")
    assert checked.code == 2
    assert ended.err.removeprefix("Error: ") in checked.out + checked.err.removeprefix("Error: ")


def assert_one_message(ended: Ended, *said: str) -> None:
    """Exit code 2 and one line on standard error, nothing on standard output."""
    assert (ended.code, ended.out) == (2, ""), ended
    assert ended.err.startswith("Error: ")
    assert ended.err.count("\n") == 1, ended.err
    for words in said:
        assert words in ended.err


CONFIGURATIONS: dict[str, tuple[Break, tuple[str, ...]]] = {
    "misspelt key": (
        lambda p: p.replace("pushgateway:", "pushgatway:"),
        ("config.yaml:3: pushgatway: is no key", "did you mean `pushgateway`?"),
    ),
    "misspelt key of an evaluation": (
        lambda p: p.replace("min_support", "minsupport"),
        ("config.yaml:12: evaluations[0].minsupport", "did you mean `min_support`?"),
    ),
    "unknown key": (
        lambda p: p.replace("task: binary", "task: binary\n    colour: red"),
        (":7: evaluations[0].colour: is no key of this section; its keys are model, task, ",),
    ),
    "bad YAML": (
        lambda p: p.replace("windows: [1h]", "windows: [1h"),
        ("config.yaml:11:11: is not YAML: expected ',' or ']', but got ':'",),
    ),
    "tabs": (lambda p: p.replace("    task", "\ttask"), ("config.yaml:6:1: is not YAML: found character '\\t'",)),
    "missing SQL file": (
        lambda p: p.replace("labels: labels.sql", "labels: label.sql"),
        ("config.yaml:9: evaluations[0].labels: 'label.sql' is no file that is there; paths are relative to",),
    ),
    "SQL file that is a directory": (
        lambda p: p.replace("labels: labels.sql", "labels: ."),
        ("config.yaml:9: evaluations[0].labels: '.' cannot be read: Is a directory",),
    ),
    "SQL file of bytes": (
        lambda p: (p.folder / "labels.sql").write_bytes(b"SELECT '\xff'"),
        ("evaluations[0].labels", "is a file that is not UTF-8 text; save it as UTF-8"),
    ),
    "empty SQL file": (lambda p: (p.folder / "labels.sql").write_text("\n"), ("evaluations[0].labels", "is an empty")),
    "unknown environment variable": (
        lambda p: p.replace("sqlite:///logs.db", "${LOGS_URL}"),
        ("config.yaml:1: database.url: the environment variable LOGS_URL is not set", "${LOGS_URL:-default}"),
    ),
    "no URL": (lambda p: p.replace("sqlite:///logs.db", "logs.db"), ("database.url", "must be a SQLAlchemy URL")),
}  # fmt: skip


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_configuration(project: Project, name: str) -> None:
    """What the configuration gets wrong is told with file, line, key and mend, before anything else happens."""
    breaking, said = CONFIGURATIONS[name]
    breaking(project)
    assert_refused(project, *said)


REFUSED = "predictions.sql: the database refuses this SELECT: "
PREDICTIONS_SQL = {
    "misspelt": ("SELEKT * FROM predictions", REFUSED, "syntax error"),
    "another table": ("SELECT * FROM prediction", REFUSED, "no such table: prediction"),
    "another column": ("SELECT served_at AS predicted_at FROM predictions", REFUSED, "no such column: served_at"),
    "two statements": ("SELECT * FROM predictions; DROP TABLE labels", REFUSED, "syntax error"),
    "no SELECT": ("DELETE FROM predictions", REFUSED, "syntax error"),
    "a way out of the subquery": (
        "SELECT * FROM predictions); DROP TABLE labels; --",
        REFUSED,
        "one statement at a time",
    ),
    "column missing": (
        "SELECT request_id, predicted_at, prediction, country FROM predictions",
        "predictions.sql: must return a column model_version, and returns request_id, predicted_at, prediction,",
        "SELECT ... AS model_version",
    ),
    "slice missing": (
        "SELECT request_id, predicted_at, model_version, prediction FROM predictions",
        "predictions.sql: must return a column country",
        "SELECT ... AS country",
    ),
    "column twice": (
        "SELECT *, 'DE' AS country FROM predictions",
        "predictions.sql: returns the column country twice",
        "with AS",
    ),
    "score of text": (
        "SELECT request_id, predicted_at, model_version, prediction, country, 'high' AS score FROM predictions",
        "predictions.sql: column score is text, it must be integer or float",
        "CAST it in the SELECT",
    ),
    "latency of text": (
        "SELECT request_id, predicted_at, model_version, prediction, country, '9' AS latency_seconds FROM predictions",
        "predictions.sql: column latency_seconds is text, it must be integer or float",
        "CAST",
    ),
    "version of fractions": (
        "SELECT request_id, predicted_at, 1.5 AS model_version, prediction, country FROM predictions",
        "predictions.sql: column model_version is float",
        "CAST",
    ),
    "prediction of bytes": (
        "SELECT request_id, predicted_at, model_version, x'01' AS prediction, country FROM predictions",
        "predictions.sql: column prediction is bytes",
        "CAST",
    ),
}


@pytest.mark.parametrize("name", PREDICTIONS_SQL)
def test_sql(project: Project, name: str) -> None:
    """SQL that fails, lacks a column or returns one of a wrong type is told with its file and the database's words."""
    sql, *said = PREDICTIONS_SQL[name]
    (project.folder / "predictions.sql").write_text(sql)
    assert_refused(project, *said)


UNLIKE = {
    "label": (
        "SELECT request_id, 'yes' AS label, labeled_at FROM labels",
        "labels.sql: column label is text, but prediction of ",
        "predictions.sql is integer: they can never be equal; CAST one of them",
    ),
    "one label": (
        "SELECT request_id, CASE request_id WHEN 'c' THEN 'yes' ELSE label END AS label, labeled_at FROM labels",
        "labels.sql: column label is text, but prediction of ",
        "they can never be equal",
    ),
    "request_id": (
        "SELECT 7 AS request_id, label, labeled_at FROM labels",
        "labels.sql: column request_id is integer, but request_id of ",
        "predictions.sql is text: they can never be equal; CAST one of them",
    ),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_types_that_can_never_be_equal(project: Project, name: str) -> None:
    """1 is never 'yes': no accuracy of 0 comes out, but an error that names both files."""
    sql, *said = UNLIKE[name]
    (project.folder / "labels.sql").write_text(sql)
    assert_refused(project, *said)


def test_types_that_can_never_be_equal_on_postgres(project: Project, postgres_database: str) -> None:
    """PostgreSQL would say `operator does not exist: integer = text`; a label of text is refused as on SQLite."""
    create_on(postgres_database, prediction="integer", label="text")
    point_to(project, postgres_database)
    assert_refused(project, "labels.sql: column label is text, but prediction of ", "predictions.sql is integer: they")


def test_positive_label_that_no_label_can_be(project: Project) -> None:
    """The positive label is a text, the labels are numbers: nothing would ever be positive."""
    project.replace("positive_label: 1", "positive_label: malignant")
    assert_refused(project, "labels.sql: column label is integer, but positive_label is the text 'malignant'")


def test_positive_label_that_the_logs_spell_otherwise(project: Project) -> None:
    """`Malignant` is not `malignant`: `check` finds that it is in neither log, and says what is."""
    spelt = "CASE {0} WHEN 1 THEN 'malignant' ELSE 'benign' END AS {0}"
    columns = f"request_id, predicted_at, model_version, {spelt.format('prediction')}, country"
    (project.folder / "predictions.sql").write_text(f"SELECT {columns} FROM predictions")
    (project.folder / "labels.sql").write_text(f"SELECT request_id, labeled_at, {spelt.format('label')} FROM labels")
    project.replace("positive_label: 1", "positive_label: Malignant")
    checked = project.evaljob("check")
    assert checked.code == 2
    said = "positive_label 'Malignant' is in neither log; write one of their classes: benign, malignant"
    assert f"WRONG  evaluation m: {said}" in checked.out


TEXTS = {
    "T": "replace(labeled_at, ' ', 'T')",
    "Z": "labeled_at || 'Z'",
    "offset": "labeled_at || '+02:00'",
    "negative offset": "labeled_at || '-02:00'",
    "no seconds": "substr(labeled_at, 1, 16)",
    "date alone": "date(labeled_at)",
    "comma": "replace(labeled_at, '.', ',')",
    "day first": "'01.06.2026 12:15:00'",
    "no month 13": "'2024-13-01 12:15:00'",
    "epoch as text": "strftime('%s', labeled_at)",
}
NUMBERS = {
    "epoch": ("CAST(strftime('%s', labeled_at) AS INTEGER)", "integer"),
    "epoch with fraction": ("strftime('%s', labeled_at) + 0.5", "float"),
    "Julian day": ("julianday(labeled_at)", "float"),
}


@pytest.mark.parametrize("name", TEXTS)
def test_timestamps_that_compare_wrongly(project: Project, name: str) -> None:
    """SQLite compares texts: a form whose order is not the order in time is refused, be it one row's."""
    project.execute(f"UPDATE labels SET labeled_at = {TEXTS[name]} WHERE request_id = 'c'")
    mend = "strftime('%Y-%m-%d %H:%M:%f', labeled_at) AS labeled_at"
    assert_refused(project, "labels.sql: column labeled_at is text, it must be a timestamp", mend)


@pytest.mark.parametrize("name", NUMBERS)
def test_timestamps_as_numbers(project: Project, name: str) -> None:
    """Seconds since 1970 compare as less than any text."""
    expression, kind = NUMBERS[name]
    project.execute(f"UPDATE labels SET labeled_at = {expression}")
    mend = "strftime('%Y-%m-%d %H:%M:%f', labeled_at, 'unixepoch')"
    assert_refused(project, f"labels.sql: column labeled_at is {kind}, it must be a timestamp", mend)


@pytest.mark.parametrize("stamp", ["2024-06-01T12:50:00", "1717246200"], ids=["text", "number"])
def test_a_wrong_timestamp_after_thousands_of_right_ones(project: Project, stamp: str) -> None:
    """Of long logs the ends are looked at, in the order of time: a writer that changed its form is there."""
    project.insert("labels", [(f"old{i}", 1, f"2024-05-01 12:00:00.{i:06}") for i in range(3000)])
    project.insert("labels", [("e", 0, int(stamp) if stamp.isdigit() else stamp)])
    assert_refused(project, "labels.sql: column labeled_at is text, it must be a timestamp")


def test_check_finds_a_wrong_timestamp_anywhere(project: Project) -> None:
    """`evaljob check` reads every row, and says how many are wrong."""
    rows = [(f"old{i}", 1, f"2024-05-01 12:00:00.{i:06}") for i in range(5000)]
    project.insert("labels", [*rows[:2500], ("wrong", 1, "2024-05-01 12:00:00.002499Z"), *rows[2500:]])
    checked = project.evaljob("check")
    assert checked.code == 2
    assert "labels.sql: in 1 rows labeled_at is not a UTC timestamp like 2026-06-01 12:00:00.000000" in checked.out


@pytest.mark.parametrize("stamp", ["2024-06-01 12:15:00", "2024-06-01 12:15:00.5", "2024-06-01 12:15:00.000000000"])
def test_timestamps_of_any_fraction_are_in_order(project: Project, stamp: str) -> None:
    """A fraction of any length, or none, is as good as six digits."""
    project.execute(f"UPDATE labels SET labeled_at = '{stamp}' WHERE request_id = 'a'")
    assert project.run("--full").value("support") == 4


SCORES = [1.0001, -0.0001, 1e300, float("inf")]


@pytest.mark.parametrize("score", SCORES)
def test_scores_outside_0_to_1(project: Project, score: float) -> None:
    """Such a prediction is no prediction: it is rejected and counted, and the three others count. No failure."""
    with closing(sqlite3.connect(project.folder / "logs.db")) as connection, connection:
        connection.execute("UPDATE predictions SET score = ? WHERE request_id = 'd'", (score,))
    ended = project.run("--full")
    assert (ended.code, ended.value("support"), ended.value("accuracy_ratio")) == (0, 3, 1)
    assert ended.value("rejected_rows", reason="score_out_of_range") == 1


def test_score_that_is_no_number(project: Project, postgres_database: str) -> None:
    """NaN, which PostgreSQL holds larger than every number, is rejected and counted likewise."""
    create_on(postgres_database)
    with connected(postgres_database) as connection:
        connection.execute(sa.text("UPDATE predictions SET score = 'NaN' WHERE request_id = 'd'"))
    point_to(project, postgres_database)
    ended = project.run()
    assert (ended.code, ended.value("support"), ended.value("accuracy_ratio")) == (0, 3, 1)
    assert ended.value("rejected_rows", reason="score_out_of_range") == 1


def test_null_ids(project: Project) -> None:
    """Rows without a request_id join nothing: they are rejected and counted, on both sides."""
    project.execute("UPDATE predictions SET request_id = NULL WHERE request_id = 'd'")
    project.execute("UPDATE labels SET request_id = NULL WHERE request_id = 'd'")
    ended = project.run("--full")
    assert (ended.code, ended.value("support"), ended.value("accuracy_ratio")) == (0, 3, 1)
    assert ended.value("rejected_rows", reason="prediction_request_id_null") == 1
    assert ended.value("rejected_rows", reason="label_request_id_null") == 1
    assert ended.value("orphan_labels") == 0


def test_null_timestamps(project: Project) -> None:
    """Rows without a timestamp lie in no window: they are rejected and counted."""
    project.execute("UPDATE labels SET labeled_at = NULL WHERE request_id = 'd'")
    ended = project.run("--full")
    assert (ended.code, ended.value("support")) == (0, 3)
    assert ended.value("rejected_rows", reason="label_labeled_at_null") == 1


def test_empty_tables(project: Project) -> None:
    """Nothing was served: support 0, and what would be a share of it is null, never 0."""
    project.execute("DELETE FROM predictions; DELETE FROM labels;")
    ended = project.run("--full")
    assert (ended.code, ended.value("predictions"), ended.value("support")) == (0, 0, 0)
    assert ended.value("orphan_labels") == 0
    for metric in ("accuracy_ratio", "balanced_accuracy_ratio", "roc_auc", "brier_score", "prediction_failures_ratio"):
        assert ended.value(metric) is None
    assert ended.value("precision_ratio", **{"class": "1"}) is None


def test_empty_tables_on_postgres(project: Project, postgres_database: str) -> None:
    """The same where the columns have types of their own."""
    create_on(postgres_database, rows=False)
    point_to(project, postgres_database)
    ended = project.run()
    assert (ended.code, ended.value("support"), ended.value("accuracy_ratio")) == (0, 0, None)


DRIVERS = {
    "psycopg": ("postgresql+psycopg://u:s3cret@127.0.0.1/x", "pip install 'evaljob[postgres]'"),
    "pymysql": ("mysql+pymysql://u:s3cret@127.0.0.1/x", "pip install 'evaljob[mysql]'"),
    "MySQLdb": ("mysql://u:s3cret@127.0.0.1/x", "pip install 'evaljob[mysql]' and write mysql+pymysql://"),
    "duckdb_sqlalchemy": ("duckdb:///logs.db", "pip install 'evaljob[duckdb]'"),
    "duckdb": ("duckdb:///logs.db", "pip install 'evaljob[duckdb]'"),
}
HIDDEN = """
import sys

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "{module}":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
"""


@pytest.mark.parametrize("module", DRIVERS)
def test_driver_that_is_not_installed(project: Project, module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error names the extra that brings the driver, and not the password."""
    url, mend = DRIVERS[module]
    project.replace("sqlite:///logs.db", url)
    monkeypatch.delitem(sys.modules, "duckdb_sqlalchemy", raising=False)  # imported, it holds duckdb itself
    monkeypatch.setitem(sys.modules, module, None)  # importing it raises ModuleNotFoundError
    monkeypatch.delitem(registry.impls, "duckdb", raising=False)
    assert_refused(project, "database.url: the driver for ", " is not installed; ", mend)
    assert "s3cret" not in project.evaljob("run").err


def test_driver_that_is_not_installed_in_a_process_of_its_own(project: Project) -> None:
    """The same where nothing has been imported before."""
    project.replace("sqlite:///logs.db", "postgresql+psycopg://u:s3cret@127.0.0.1/x")
    ended = process("run", cwd=project.folder, start=HIDDEN.format(module="psycopg"))
    assert_one_message(ended, "database.url: the driver for postgresql+psycopg:// is not installed; pip install ")


@pytest.mark.parametrize("key", ["database", "state"])
def test_database_that_nothing_speaks(project: Project, key: str) -> None:
    """A URL of another database says which key it stands under."""
    old = {"database": "sqlite:///logs.db", "state": "sqlite:///state.db"}[key]
    project.replace(old, "oracles://u:s3cret@127.0.0.1/x")
    assert_refused(project, f"{key}.url: no driver for oracles:// is installed")


FILES: dict[str, tuple[Break, str]] = {
    "missing": (lambda p: p.replace("///logs.db", "///nologs.db"), "database.url: {}/nologs.db: there is no such file"),
    "a directory": (lambda p: p.replace("///logs.db", "///."), "database.url: {}: unable to open database file; name"),
    "no database": (
        lambda p: (p.folder / "logs.db").write_text("request_id,label\n" * 100),
        "database.url: {}/logs.db: file is not a database; name a database",
    ),
    "no DuckDB": (lambda p: p.replace("sqlite:///logs.db", "duckdb:///labels.sql"), "database.url: {}/labels.sql: "),
    "missing DuckDB": (
        lambda p: p.replace("sqlite:///logs.db", "duckdb:///x.db"),
        "database.url: {}/x.db: there is no",
    ),
    "state a directory": (lambda p: p.replace("///state.db", "///."), "state.url: {}: unable to open database file"),
    "state no database": (
        lambda p: (p.folder / "state.db").write_text("hello\n" * 100),
        "state.url: {}/state.db: file is not a database; name a database",
    ),
    "state inside a file": (
        lambda p: p.replace("///state.db", "///logs.db/state.db"),
        "state.url: {}/logs.db/state.db: its directory cannot be made: File exists; correct the path",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_database_file(project: Project, name: str) -> None:
    """A file that is missing or no database is told with the key that names it."""
    breaking, said = FILES[name]
    breaking(project)
    assert_refused(project, said.format(project.folder))


@pytest.mark.parametrize("as_of", ["yesterday", "2026-13-01", "12:00", "", "2026-06-01T12:00:00+99:00"])
def test_as_of_that_is_no_time(project: Project, as_of: str) -> None:
    """The message says how to write one."""
    before = project.everything()
    ended = project.evaljob("run", "--as-of", as_of)
    assert (ended.code, ended.out) == (2, "")
    assert f"{as_of!r} is no time; write it like 2026-06-01T12:00:00Z or 2026-06-01" in " ".join(ended.err.split())
    assert project.everything() == before


@pytest.mark.parametrize("as_of", ["0001-01-01", "1969-12-31", "9999-12-31T23:59:59.999999Z"])
def test_as_of_when_nothing_is_known(project: Project, as_of: str) -> None:
    """An instant before all logs or to come is refused: a state in the future would keep the clock out for good."""
    before = project.everything()
    ended = project.evaljob("run", "--as-of", as_of)
    assert (ended.code, ended.out) == (2, "")
    assert "lies before 1970" in ended.err or "lies in the future" in ended.err
    assert project.everything() == before


USAGE = {
    "unknown command": (["rum"], "No such command 'rum'"),
    "unknown option": (["run", "--push"], "No such option"),
    "unknown output": (["run", "--output", "csv"], "'csv' is not one of 'table', 'json', 'prometheus'"),
    "no configuration": (["run", "--config", "nowhere.yaml"], "nowhere.yaml: there is no such file; `evaljob init`"),
    "configuration of bytes": (["run", "--config", "/usr/bin/true"], ":1: is not UTF-8 text; save it as UTF-8"),
}


@pytest.mark.parametrize("name", USAGE)
def test_usage(name: str) -> None:
    """Wrong arguments are told on standard error, with exit code 2."""
    arguments, said = USAGE[name]
    ended = evaljob(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


def test_usage_in_a_process_of_its_own(tmp_path: Path) -> None:
    """Without a command there is the help, on standard error and with exit code 2; a configuration must be there."""
    ended = process(cwd=tmp_path)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("Usage: evaljob [OPTIONS] COMMAND")
    assert_one_message(process("run", cwd=tmp_path), "config.yaml: there is no such file; `evaljob init` writes one")


def test_directory_that_cannot_be_written(project: Project) -> None:
    """`init` into what is a file says so."""
    ended = evaljob("init", project.folder / "logs.db")
    assert (ended.code, ended.out) == (2, "")
    inside = evaljob("init", project.folder / "logs.db" / "inside")
    assert_one_message(inside, "config.yaml: cannot be written: ", "choose another directory")


@pytest.mark.parametrize("command", ["sql", "check", "demo"])
def test_no_command_shows_a_traceback(project: Project, command: str) -> None:
    """A server that does not answer is exit code 1 and a line for every command."""
    point_to(project, "postgresql+psycopg://u:s3cret@127.0.0.1:1/x")
    ended = project.evaljob(command)
    assert ended.code == 1
    assert "the database failed: " in ended.out + ended.err
    assert "s3cret" not in ended.out + ended.err


def create_on(url: str, prediction: str = "integer", label: str = "integer", *, rows: bool = True) -> None:
    """The logs of the project in PostgreSQL, with classes of these types."""
    with connected(url) as connection:
        connection.exec_driver_sql(
            f"CREATE TABLE predictions (request_id text, predicted_at timestamp, model_version text, "
            f"prediction {prediction}, score float8, latency_seconds float8, country text)"
        )
        connection.exec_driver_sql(f"CREATE TABLE labels (request_id text, label {label}, labeled_at timestamp)")
        for table, given in (("predictions", PREDICTIONS), ("labels", LABELS)):
            for row in given if rows else ():
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES {row!r}")


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """A transaction on a database."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()


def point_to(project: Project, url: str) -> None:
    """Have the project's logs read from this database."""
    project.replace("sqlite:///logs.db", url)
