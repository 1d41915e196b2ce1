"""What a configuration is refused for, in which words."""

from pathlib import Path

import pytest

from evaljob.config import load
from evaljob.errors import ConfigError
from tests.configs import DATABASES, EVALUATIONS, MINIMAL, further, instead, read, refusal, without

KEYS = [
    (MINIMAL + "pushgatway: {}", "10: pushgatway: is no key of this section; did you mean `pushgateway`?"),
    (MINIMAL + "path: x", "10: path: is no key of this section; its keys are database, state, "),
    (MINIMAL + "worker: {port:80}", "10: worker.port:: is no key; write a space after the colon"),
    (MINIMAL + "worker: {1: 80}", "10: worker.1: on line 10 is a key that is no text; put it in quotes"),
    (MINIMAL + "worker: {port: 1, port: 2}", "10: worker.port: is given again on line 10; keep one of the two"),
    (further("window: [1h]"), "10: evaluations[0].window: is no key of this section; did you mean `windows`?"),
    (further("max_lag: 1d"), "10: evaluations[0].max_lag: is no key of this section; its keys are model, task, "),
    (further("task: binary"), "5: evaluations[0].task: is given again on line 10; keep one of the two"),
    (without("windows"), "4: evaluations[0].windows: is missing; add `windows: [1h, 24h]`"),
    (DATABASES, "1: evaluations: is missing; add "),
    (DATABASES + "evaluations: []", "3: evaluations: must have at least one item"),
    (
        f"database: sqlite:///x.db\nstate: {{url: 'sqlite://'}}\n{EVALUATIONS}",
        "1: database: must be a mapping, such as",
    ),
    ("- 1", "1: must be a mapping"),
    ("", "1: is empty; `evaljob init` writes a configuration to start from"),
]
WINDOWS = [
    ("[]", ": must have at least one item"),
    ("1h", ": '1h' must be a list, such as [1h, 24h]"),
    ("[60]", "[0]: 60 must be a duration such as 24h, or a mapping"),
    ("[0h]", "[0]: '0h' must be longer than zero"),
    ("[1.5h]", "[0]: '1.5h' must be a duration of whole seconds or longer units, such as 30s, 5m, 1h30m, 7d or 2w"),
    ("[1m1h]", "[0]: '1m1h' must be a duration of whole seconds"),
    ("[500ms]", "[0]: '500ms' must be a duration of whole seconds"),
    ("[1H]", "[0]: '1H' must be a duration of whole seconds"),
    ("[-1h]", "[0]: '-1h' must be a duration of whole seconds"),
    ("['']", "[0]: '' must "),
    ("[101000w]", "[0]: '101000w' must be a duration of at most 100 years"),
    ("[1h, 1h]", "[1]: is the same as evaluations[0].windows[0]; change or remove one of the two"),
    ("[1h, {name: 1h, length: 7d}]", "[1].name: is the same as evaluations[0].windows[0]; change or remove one of the"),
    ("[{length: 1h}]", "[0].name: is missing; add `name: 7d`"),
    ("[{name: a, length: 1h, maturity: 1h}]", "[0].maturity: '1h' is for windows on predicted_at; add `on:"),
    ("[{name: a, length: 1h, on: served_at}]", "[0].on: 'served_at' must be 'labeled_at' or 'predicted_at'"),
]  # fmt: skip
EVALUATION = [
    (instead("model: .."), "4: evaluations[0].model: '..' cannot be part of a Pushgateway's address; choose another"),
    (instead("model: ."), "4: evaluations[0].model: '.' cannot be part of a Pushgateway's address"),
    (instead("model: ''"), "4: evaluations[0].model: '' must not be empty"),
    (instead("model: 7"), "4: evaluations[0].model: 7 must be text; put it in quotes"),
    (instead('model: "a\\tb"'), "4: evaluations[0].model: 'a\\tb' must not hold control characters"),
    (instead('model: "\\ud800"'), "4: evaluations[0].model: holds a NUL character or bytes that are not UTF-8"),
    (instead(f"model: {'ä' * 101}"), f"4: evaluations[0].model: '{'ä' * 60}...' must not be longer than 200 bytes"),
    (MINIMAL + EVALUATIONS.removeprefix("evaluations:\n"), "10: evaluations[1].model: is the same as"),
    (instead("task: ranking"), "5: evaluations[0].task: 'ranking' must be 'binary', 'multiclass' or 'regression'"),
    (without("positive_label"), "4: evaluations[0].positive_label: is missing: a binary task has a label that counts"),
    (instead("positive_label: 1.0"), "6: evaluations[0].positive_label: 1.0 must be a class as the logs write it"),
    (instead("task: multiclass"), "6: evaluations[0].positive_label: 1 has no meaning for a multiclass task; remove"),
    (further("labels_default: {label: 0, after: 0s}"), ".labels_default.after: '0s' must be longer than zero"),
    (further("labels_default: {label: 0.5, after: 1h}"), ".labels_default: must have a class as its label"),
    (further("costs: {outcomes: {tp: 0, fp: .inf, fn: 1, tn: 0}}"), ".costs.outcomes.fp: inf must be a finite number"),
    (further("costs: {outcomes: {tp: 0, fp: true, fn: 1, tn: 0}}"), ".costs.outcomes.fp: true must be a number"),
    (further("costs: {outcomes: {tp: 0, fp: yes, fn: 1, tn: 0}}"), ".costs: has a column under fp that is not among"),
    (further("costs: {outcomes: {tp: 0, fp: {factor: 2}, fn: 1, tn: 0}}"), ".costs.outcomes.fp: must have a column,"),
    (further("costs: {matrix: [{label: 1, prediction: 0, cost: 1}]}"), ".costs: must have outcomes for a binary task"),
    (further("costs: {matrix: [{label: 1, prediction: 0}]}"), ".costs.matrix[0].cost: is missing; add `cost: 1.0`"),
    (
        further("costs: {matrix: [{label: 1, prediction: 0, cost: 1}, {label: '1', prediction: 0, cost: 1}]}"),
        ".costs.matrix: has the label and prediction of [1] before already; keep one of the two",
    ),
    (further("thresholds: [0.123]"), ".thresholds[0]: 0.123 must be one of 0.01, 0.02, ... 0.99, or one of ten in"),
    (further("thresholds: [1]"), ".thresholds[0]: 1 must be one of 0.01"),
    (further("metrics: {intervals: maybe}"), ".metrics.intervals: 'maybe' must be true or false"),
    (further("metrics: {interval: true}"), ".metrics.interval: is no key of this section; did you mean `intervals`?"),
    (further("costs: {outcomes: {tp: 0, fp: 1, fn: 1}}"), ".costs.outcomes.tn: is missing; add `tn: 0.0`"),
    (further("slices: [score]"), ".slices[0]: 'score' is a column of evaljob's own, which makes no slices; name a"),
    (further("slices: [[a, Request_ID]]"), ".slices[0][1]: 'Request_ID' is a column of evaljob's own"),
    (further("slices: [overall]"), ".slices[0]: 'overall' is the reserved slice of all rows"),
    (further("slices: [[a, a]]"), ".slices[0]: names a column twice; name it once"),
    (further("slices: [a, [a]]"), ".slices[1]: is the same as evaluations[0].slices[0]"),
    (further("slices: [[a, b], [b, a]]"), ".slices[1]: is the same as evaluations[0].slices[0]"),
    (further("slices: [[]]"), ".slices[0]: must be a column or a list of columns, such as country or [country,"),
    (further("slices: ['a,b']"), ".slices[0]: 'a,b' must not hold a comma"),
    (further("values: [revenue, revenue]"), ".values[1]: is the same as evaluations[0].values[0]"),
    (further("values: [label]"), ".values[0]: 'label' is a column of evaljob's own"),
    (further("calibration: {bins: 1}"), ".calibration.bins: 1 must be at least 2"),
    (further("calibration: {bins: 101}"), ".calibration.bins: 101 must be at most 100"),
    (further("calibration: {bins: 2.5}"), ".calibration.bins: 2.5 must be a whole number"),
    (further("calibration: {strategy: mass}"), ".calibration.strategy: 'mass' must be 'uniform' or 'quantile'"),
    (further("confidence: 0.5"), "evaluations[0].confidence: 0.5 must be greater than 0.5"),
    (further("confidence: 1"), "evaluations[0].confidence: 1 must be less than 1"),
    (further("min_support: 0"), "evaluations[0].min_support: 0 must be at least 1"),
    (further("min_support: true"), "evaluations[0].min_support: true must be a number"),
    (further("max_slice_values: 0"), "evaluations[0].max_slice_values: 0 must be at least 1"),
    (instead("labels: no.sql"), "8: evaluations[0].labels: 'no.sql' is no file that is there; paths are relative to"),
    (instead("labels: {sql: no.sql}"), "8: evaluations[0].labels.sql: 'no.sql' is no file that is there"),
    (instead("labels: {sql: l.sql, maxlag: 1d}"), ".labels.maxlag: is no key of this section; did you mean `max_lag`?"),
    (instead("labels: [l.sql]"), "8: evaluations[0].labels: must be a file, or a mapping such as {sql: sql/labels.sql"),
    (instead("predictions: ."), "7: evaluations[0].predictions: '.' cannot be read: Is a directory"),
    (instead("predictions: empty.sql"), "7: evaluations[0].predictions: 'empty.sql' is an empty file"),
]  # fmt: skip
SECTIONS = [
    ("schedule: {every: 5m, cron: '* * * * *'}", "schedule.every: '5m' cannot go with cron; keep one of the two"),
    ("schedule: {every: 30}", "schedule.every: 30 must be a duration of whole seconds"),
    ("schedule: {every: 0s}", "schedule.every: '0s' must be longer than zero"),
    ("schedule: {cron: '61 * * * *'}", "schedule.cron: '61 * * * *' is no cron expression: wrong minute; the fields"),
    ("schedule: {cron: '0 0 31 2 *'}", "schedule.cron: '0 0 31 2 *' is no cron expression: wrong day-of-month, or a"),
    ("schedule: {cron: '0 * * * * *'}", "schedule.cron: '0 * * * * *' must be a cron expression of five fields:"),
    ("schedule: {reconcile: daily}", "schedule.reconcile: 'daily' must be a cron expression of five fields"),
    ("schedule: {timezone: Europe/Berln}", "schedule.timezone: 'Europe/Berln' is no IANA time zone; did you mean"),
    ("schedule: {timezone: Europe}", "schedule.timezone: 'Europe' is no IANA time zone"),
    ("schedule: {timezone: ../UTC}", "schedule.timezone: '../UTC' is no IANA time zone"),
    ("worker: {port: 65536}", "worker.port: 65536 must be at most 65535"),
    ("pushgateway: {job: ..}", "pushgateway.job: cannot be part of a Pushgateway's address"),
    ("pushgateway: {timeout: 0s}", "pushgateway.timeout: must be longer than zero"),
    ("pushgateway: {url: '127.0.0.1:9091'}", "pushgateway.url: must be the address of a Pushgateway, such as"),
    ("pushgateway: {url: ''}", "pushgateway.url: must be the address of a Pushgateway"),
    ("pushgateway: {url: 'http://a:x'}", "pushgateway.url: must be the address of a Pushgateway"),
    ("pushgateway: {url: 'http://a/?b'}", "pushgateway.url: must not hold a ? or a #"),
    ("pushgateway: {url: 'http://b@a'}", "pushgateway.url: must not hold a user or a password; write them under"),
    ("pushgateway: {username: a}", "pushgateway.username: must go with a password; give both or none"),
    ("pushgateway: {username: a, password: b, bearer_token: c}", "pushgateway.username: cannot go with bearer_token"),
    ("pushgateway: {bearer_token: a, bearer_token_file: p.sql}", "pushgateway.bearer_token: is given twice; keep it"),
    ("pushgateway: {key_file: p.sql}", "pushgateway.key_file: must go with cert_file; give both or none"),
    ("pushgateway: {ca_file: ca.pem}", "pushgateway.ca_file: is no file that is there"),
    ("pushgateway: {bearer_token_file: empty.sql}", "pushgateway.bearer_token_file: is an empty file; write the"),
]  # fmt: skip
URLS = [
    (
        "",
        "must be a SQLAlchemy URL, such as sqlite:///logs.db or postgresql+psycopg://user:password@host/name;",
    ),
    ("logs.db", "must be a SQLAlchemy URL"),
    ("sqlite://logs.db", "needs three slashes before a file, and four before an absolute one: sqlite:///logs.db"),
    ("postgresql://a:b@host:port/logs", "must be a SQLAlchemy URL"),
    ("postgresql://a:b@host:65536/logs", "has a port beyond 65535"),
]
NO_YAML = [
    ("a: [1, 2", "1:9: is not YAML: expected ',' or ']', but got '<stream end>'"),
    (
        "a: 1\nb: c: d",
        "2:5: is not YAML: mapping values are not allowed here; a value with special characters needs quo",
    ),
    ("a: 1\n---\nb: 2", "2:1: is not YAML: expected a single document in the stream, but found another"),
    ("a: \0", "1:4: is not YAML: it holds a control character"),
    ('a: "\\UFFFFFFFF"', " is not YAML: an escape"),
    ("[" * 2000, " is not a configuration: its values are nested too deeply"),
    (b"a: 1\nb: \xff", "2: is not UTF-8 text; save it as UTF-8"),
    (b"#" * 2**21, " is no configuration: it is larger than 1 MiB"),
    ("a: &a [*a]", "1: a[0]: the anchor is inside itself; write the value out"),
    ("database: !!python/object:os.system {}", "1: database: has a tag (!) that has no meaning here; remove it"),
]
BOMB = "a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(
    f"{outer}: &{outer} [{','.join([f'*{inner}'] * 10)}]\n" for inner, outer in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(("text", "words"), KEYS)
def test_keys(tmp_path: Path, text: str, words: str) -> None:
    """Unknown, repeated and missing ones: the line of the file, the path, what is wrong, and the mend."""
    assert refusal(tmp_path, text)[0].startswith(words)


@pytest.mark.parametrize(("windows", "words"), WINDOWS)
def test_windows(tmp_path: Path, windows: str, words: str) -> None:
    """Durations, names, and maturity; a short form is told by the place that it has in the file."""
    assert refusal(tmp_path, instead(f"windows: {windows}"))[0].startswith(f"9: evaluations[0].windows{words}")


@pytest.mark.parametrize(("text", "words"), EVALUATION)
def test_evaluations(tmp_path: Path, text: str, words: str) -> None:
    """One thing wrong with an evaluation is one line."""
    (line,) = refusal(tmp_path, text)
    assert words in line


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("regression", "has no meaning for a regression task, which has no outcomes; remove it"),
        ("multiclass", "must have matrix for a multiclass task, and no outcomes: `matrix: [{label: a, prediction: b, "),
    ],
)
def test_costs_without_a_positive_label(tmp_path: Path, task: str, words: str) -> None:
    """Only a binary task has false positives."""
    text = without("positive_label").replace("binary", task) + "    costs: {outcomes: {tp: 0, fp: 1, fn: 1, tn: 0}}"
    (line,) = refusal(tmp_path, text)
    assert line.startswith(f"9: evaluations[0].costs: {words}")


@pytest.mark.parametrize("task", ["regression", "multiclass"])
def test_thresholds_without_a_positive_label(tmp_path: Path, task: str) -> None:
    """Only the score of a binary task is cut by a threshold."""
    (line,) = refusal(tmp_path, without("positive_label").replace("binary", task) + "    thresholds: [0.5]")
    assert line.startswith(f"9: evaluations[0].thresholds: has no meaning for a {task} task")


def test_default_label_of_a_regression(tmp_path: Path) -> None:
    """It is a number."""
    text = without("positive_label").replace("binary", "regression") + "    labels_default: {after: 1d, label: "
    (line,) = refusal(tmp_path, text + "none}")
    assert line.startswith("9: evaluations[0].labels_default: must have a number as its label")
    assert read(tmp_path, text + "0.5}").evaluations


@pytest.mark.parametrize(("section", "words"), SECTIONS)
def test_sections(tmp_path: Path, section: str, words: str) -> None:
    """One thing wrong with a section is one line; values of sections that hold secrets are not in it."""
    (line,) = refusal(tmp_path, MINIMAL + section)
    assert line.startswith(f"10: {words}")


@pytest.mark.parametrize(("url", "words"), URLS)
def test_database_urls(tmp_path: Path, url: str, words: str) -> None:
    """What is no SQLAlchemy URL, or names a host where a file belongs."""
    (line,) = refusal(tmp_path, MINIMAL.replace("sqlite:///logs.db", url))
    assert line.startswith(f"1: database.url: {words}")


@pytest.mark.parametrize(
    ("text", "words"), [*NO_YAML, (BOMB, " is not a configuration: it has more than 100000 values")]
)
def test_what_is_not_yaml(tmp_path: Path, text: str | bytes, words: str) -> None:
    """Is told with line and column; a bomb of aliases does not go off."""
    assert refusal(tmp_path, text)[0].startswith(words)


def test_all_problems_at_once(tmp_path: Path) -> None:
    """One a line, in the order of the file, also of items next to one that is wrong."""
    text = """\
state: {url: "sqlite:///state.db"}
evaluations:
  - {model: a, task: binary, predictions: p.sql, labels: l.sql, windows: [1h, 1h, 0s]}
  - {model: a, tsk: multiclass, predictions: p.sql, labels: l.sql, windows: [1h]}
"""
    assert [line.partition(";")[0] for line in refusal(tmp_path, text)] == [
        "1: database: is missing",
        "3: evaluations[0].positive_label: is missing: a binary task has a label that counts as positive",
        "3: evaluations[0].windows[2]: '0s' must be longer than zero",
        "3: evaluations[0].windows[1]: is the same as evaluations[0].windows[0]",
        "4: evaluations[1].tsk: is no key of this section",
        "4: evaluations[1].model: is the same as evaluations[0].model",
    ]


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str) -> None:
    """Is named."""
    with pytest.raises(ConfigError, match=f"^{tmp_path / name}: (there is no such file; |cannot be read: Is a)"):
        load(tmp_path / name, {})
