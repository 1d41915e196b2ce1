"""The configuration: what a file means, its variables and secrets; and that nonsense never is more than an error."""

import itertools
import re
import shutil
import traceback
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from evaljob.config import Evaluation, load
from evaljob.errors import ConfigError
from evaljob.window import Window
from tests.configs import EVALUATIONS, MINIMAL, further, instead, read, refusal

ROOT = Path(__file__).parents[1]
TEMPLATES = ROOT / "evaljob" / "templates"
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SECRET = "hunter2"  # noqa: S105


class TestMeaning:
    """What a file means."""

    def test_defaults(self, tmp_path: Path) -> None:
        """The smallest file has the contract's defaults, and no Pushgateway."""
        config = read(tmp_path, MINIMAL)
        assert config.path == tmp_path / "config.yaml"
        assert (config.database.statement_timeout, config.state.history_retention) == (timedelta(hours=1), 90 * DAY)
        assert (config.pushgateway.url, config.pushgateway.job) == (None, "evaljob")
        assert config.pushgateway.timeout == timedelta(seconds=10)
        assert (config.schedule.every, config.schedule.cron, config.schedule.reconcile) == (HOUR / 12, None, None)
        assert (config.schedule.timezone, config.schedule.settle) == ("UTC", timedelta(seconds=10))
        assert (config.worker.host, config.worker.port) == ("127.0.0.1", 9108)

    def test_defaults_of_an_evaluation(self, tmp_path: Path) -> None:
        """The same for each evaluation."""
        evaluation = read(tmp_path, MINIMAL).evaluations[0]
        assert evaluation.windows == (Window("1h", HOUR),)
        assert (evaluation.calibration.bins, evaluation.calibration.strategy) == (10, "uniform")
        assert (evaluation.slices, evaluation.values, evaluation.max_lag) == ((), (), None)
        assert (evaluation.costs, evaluation.labels_default) == (None, None)
        assert (evaluation.min_support, evaluation.max_slice_values, evaluation.confidence) == (30, 50, 0.95)
        assert all(dict(evaluation.metrics).values())
        assert evaluation.thresholds is None

    def test_groups_of_metrics_are_switched_off_one_by_one(self, tmp_path: Path) -> None:
        """The others stay on."""
        metrics = read(tmp_path, further("metrics: {ranking: false, intervals: false}"))
        switched = dict(metrics.evaluations[0].metrics)
        assert {name for name, on in switched.items() if not on} == {"ranking", "intervals"}

    def test_short_forms(self, tmp_path: Path) -> None:
        """A window may be its length, a slice its column, the labels their file: here each is written both ways."""
        text = instead("windows: [1h30m, {name: mature, length: 7d, on: predicted_at, maturity: 24h}]")
        text = instead("labels: {sql: l.sql, max_lag: 90d}", text) + "    slices: [country, [country, device]]"
        evaluation = read(tmp_path, text).evaluations[0]
        assert evaluation.windows == (Window("1h30m", 1.5 * HOUR), Window("mature", 7 * DAY, "predicted_at", DAY))
        assert evaluation.slices == (("country",), ("country", "device"))
        assert (evaluation.labels, evaluation.max_lag) == (tmp_path / "l.sql", 90 * DAY)

    def test_costs(self, tmp_path: Path) -> None:
        """What the contract's example says an outcome costs."""
        costs = read(tmp_path, further("costs: {outcomes: {fp: 4.0, fn: 120, tp: -15.0, tn: 0}}")).evaluations[0].costs
        assert costs is not None
        assert costs.currency == "USD"
        assert {name: price.factor for name, price in costs.prices()} == {"tp": -15, "fp": 4, "fn": 120, "tn": 0}
        assert {price.column for _, price in costs.prices()} == {None}

    def test_costs_of_amounts(self, tmp_path: Path) -> None:
        """A column is a price of its own, or a part of one; a number of a variable stays a number."""
        text = further("costs: {outcomes: {fn: amount, fp: {column: amount, factor: 0.1}, tp: '${TP}', tn: 0}}")
        costs = read(tmp_path, f"{text}    values: [amount]", {"TP": "-1.5"}).evaluations[0].costs
        assert costs is not None
        found = {name: (price.column, price.factor) for name, price in costs.prices()}
        assert found == {"tp": (None, -1.5), "fp": ("amount", 0.1), "fn": ("amount", 1), "tn": (None, 0)}

    def test_costs_of_pairs(self, tmp_path: Path) -> None:
        """A multiclass task names what it pays for each pair of label and prediction."""
        text = MINIMAL.replace("task: binary", "task: multiclass").replace("    positive_label: 1\n", "")
        costs = (
            read(tmp_path, f"{text}    costs: {{matrix: [{{label: cat, prediction: 7, cost: 2}}]}}")
            .evaluations[0]
            .costs
        )
        assert costs is not None
        assert costs.matrix is not None
        assert [(pair.label, pair.prediction, pair.cost.factor) for pair in costs.matrix] == [("cat", 7, 2.0)]

    @pytest.mark.parametrize("label", ["0", "'0'", "no", "false"])
    def test_default_label(self, tmp_path: Path, label: str) -> None:
        """Text stays text, a number a number; `no` is text, as in YAML 1.2."""
        found = read(tmp_path, further(f"labels_default: {{label: {label}, after: 24h}}")).evaluations[0].labels_default
        assert found is not None
        assert found.after == DAY
        assert repr(found.label) == {"0": "0", "'0'": "'0'", "no": "'no'", "false": "False"}[label]

    def test_scalars_are_yaml_1_2(self, tmp_path: Path) -> None:
        """`on` is a key and not true, 010 is ten and not eight, a date is text."""
        text = instead("windows: [{name: 2026-01-01, length: 1h, on: labeled_at}]") + "    min_support: 010"
        evaluation = read(tmp_path, text).evaluations[0]
        assert evaluation.windows == (Window("2026-01-01", HOUR),)
        assert evaluation.min_support == 10

    def test_files_are_relative_to_the_configuration(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """And not to the directory that the program was started in, files of databases included."""
        read(tmp_path, MINIMAL.replace("sqlite:///state.db", "duckdb:///state.db"))
        monkeypatch.chdir(tmp_path.parent)
        config = load(Path(tmp_path.name, "config.yaml"), {})
        assert config.database.url.get_secret_value() == f"sqlite:///{tmp_path}/logs.db"
        assert config.state.url.get_secret_value() == f"duckdb:///{tmp_path}/state.db"
        assert config.evaluations[0].predictions == tmp_path / "p.sql"

    @pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:////a/b.db", "duckdb:///md:logs"])
    def test_urls_that_name_no_relative_file_stay(self, tmp_path: Path, url: str) -> None:
        """In memory, absolute and remote databases are what they were."""
        assert read(tmp_path, MINIMAL.replace("sqlite:///logs.db", url)).database.url.get_secret_value() == url

    def test_keys_without_a_value_count_as_not_given(self, tmp_path: Path) -> None:
        """As when all items of a list were commented out."""
        assert read(tmp_path, MINIMAL + "    slices:\n    costs: null\n") == read(tmp_path, MINIMAL)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [("30s", 30), ("5m", 300), ("1h30m", 5400), ("7d", 604_800), ("2w", 1_209_600), ("1d1s", 86_401)],
    )
    def test_durations(self, tmp_path: Path, text: str, seconds: int) -> None:
        """Whole weeks, days, hours, minutes and seconds."""
        assert read(tmp_path, MINIMAL + f"schedule: {{every: {text}}}").schedule.every == timedelta(seconds=seconds)

    @pytest.mark.parametrize("cron", ["*/5 * * * *", "30 3 * * 1-5", "@hourly", "0 0 * * 7"])
    def test_cron_instead_of_an_interval(self, tmp_path: Path, cron: str) -> None:
        """A cron expression takes the place of the default interval."""
        schedule = read(tmp_path, MINIMAL + f"schedule: {{cron: '{cron}', timezone: Europe/Berlin}}").schedule
        assert (schedule.cron, schedule.every, schedule.timezone) == (cron, None, "Europe/Berlin")

    def test_anchors(self, tmp_path: Path) -> None:
        """Evaluations may share their windows."""
        other = EVALUATIONS.removeprefix("evaluations:\n").replace("fraud", "clicks").replace("[1h]", "*windows")
        evaluations = read(tmp_path, MINIMAL.replace("[1h]", "&windows [1h]") + other).evaluations
        assert evaluations[0].windows == evaluations[1].windows

    def test_an_evaluation_made_in_python(self) -> None:
        """Has the same defaults; nothing is looked for on the disk."""
        windows = (Window("1h", HOUR),)
        made = Evaluation(model="m", task="multiclass", predictions=Path("p"), labels=Path("l"), windows=windows)
        assert (made.predictions, made.max_lag, made.slices) == (Path("p"), None, ())

    def test_it_is_frozen(self, tmp_path: Path) -> None:
        """Nobody downstream can change it."""
        with pytest.raises(ValidationError, match="frozen"):
            read(tmp_path, MINIMAL).worker.port = 1  # type: ignore[misc]


class TestShipped:
    """The configurations that come with evaljob."""

    @pytest.mark.parametrize("path", [ROOT / "config.yaml", TEMPLATES / "config.yaml"], ids=["demo", "template"])
    def test_they_are_right(self, path: Path) -> None:
        """The demo's and the one that `evaljob init` writes, without any variable set."""
        assert load(path, {}).evaluations

    def test_what_the_template_has_commented_out(self, tmp_path: Path) -> None:
        """Every optional key of the template is one; what it shows is right, and the default where it says so."""
        shutil.copytree(TEMPLATES / "sql", tmp_path / "sql")
        for name in ("ca.pem", "client.pem", "client-key.pem", "password"):
            (tmp_path / name).write_text("text")
        text = (TEMPLATES / "config.yaml").read_text().replace("/run/secrets/pushgateway-password", "password")
        without_token = re.sub(r"(?m)^ *# +bearer_token: .*\n", "", text)
        given = read(tmp_path, re.sub(r"(?m)^( *)# ( *[a-z_]+:( |$))", r"\1\2", without_token))
        defaults = read(tmp_path, text)
        assert given.evaluations[0].slices == (("country",), ("country", "device"))
        assert (given.worker, given.state) == (defaults.worker, defaults.state)
        assert given.evaluations[0].calibration == defaults.evaluations[0].calibration


class TestVariables:
    """`${NAME}` in the file."""

    def test_values(self, tmp_path: Path) -> None:
        """Set, or a default for not set and for empty; as they are; `$${` for `${` itself."""
        text = instead('model: "${A}-${B:-b}-${C:-c}-$${D}-$5"')
        assert read(tmp_path, text, {"A": "${B}", "C": ""}).evaluations[0].model == "${B}-b-c-${D}-$5"

    def test_numbers(self, tmp_path: Path) -> None:
        """A variable is text, which is read as a number where one is needed."""
        assert read(tmp_path, MINIMAL + 'worker: {port: "${PORT}"}', {"PORT": "8080"}).worker.port == 8080

    def test_an_unset_variable(self, tmp_path: Path) -> None:
        """Is named with its place, once, and hides no other problem."""
        text = MINIMAL + "pushgateway: {url: '${GATEWAY}'}\nschedule: {every: '${EVERY}', settle: 1x}"
        first, second, third = refusal(tmp_path, text)
        assert first == (
            "10: pushgateway.url: the environment variable GATEWAY is not set; "
            "set it, or give a default: ${GATEWAY:-default}"
        )
        assert second.startswith("11: schedule.every: the environment variable EVERY is not set")
        assert third.startswith("11: schedule.settle: '1x' must be a duration of whole seconds")

    @pytest.mark.parametrize("text", ["${", "${}", "${1}", "${A", "${A:=x}", "${A B}"])
    def test_what_is_no_reference(self, tmp_path: Path, text: str) -> None:
        """Is refused rather than taken for text."""
        (line,) = refusal(tmp_path, instead(f"model: '{text}'"), {"A": "x"})
        assert line.startswith("4: evaluations[0].model: has a ${ that begins no ${NAME} or ${NAME:-default}; for the")

    def test_bytes_that_are_not_utf_8(self, tmp_path: Path) -> None:
        """Python reads them as halves of surrogate pairs, which no database takes."""
        (line,) = refusal(tmp_path, instead('model: "${A}"'), {"A": "\udcff"})
        assert line.startswith("4: evaluations[0].model: holds a NUL character or bytes that are not UTF-8")


class TestSecrets:
    """Passwords and tokens come from variables and files, and are never shown."""

    def test_files(self, tmp_path: Path) -> None:
        """A secret's file is relative to the configuration; the end of its line is no part of the secret."""
        (tmp_path / "secret").write_text(f"{SECRET}\n")
        basic = read(tmp_path, MINIMAL + "pushgateway: {username: me, password_file: secret}").pushgateway
        bearer = read(tmp_path, MINIMAL + "pushgateway: {bearer_token_file: secret}").pushgateway
        assert basic.password is not None
        assert bearer.bearer_token is not None
        assert (basic.username, basic.password.get_secret_value()) == ("me", SECRET)
        assert bearer.bearer_token.get_secret_value() == SECRET

    def test_repr(self, tmp_path: Path) -> None:
        """Neither the text of a configuration nor its JSON holds a secret."""
        url = f"postgresql+psycopg://me:{SECRET}@host/logs"
        text = MINIMAL.replace("sqlite:///logs.db", url).replace("sqlite:///state.db", url)
        config = read(tmp_path, text + f"pushgateway: {{username: me, password: {SECRET}}}")
        assert config.database.url.get_secret_value() == url
        assert SECRET not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"

    @pytest.mark.parametrize(
        "text",
        [
            "database: postgresql://me:hunter2@host/logs",
            "database: {url: 'postgresql://me:hunter2@host:port/logs'}",
            "database: {url: 'postgresql://me:hunter2/@host/logs'}",
            "database: {url: hunter2}",
            "database: {url: '${SECRET}'}",
            "database: {url: hunter2, url: hunter2}",
            "database: [hunter2]",
            "pushgateway: {url: 'http://me:hunter2@host'}",
            "pushgateway: {url: '${SECRET}'}",
            "pushgateway: {password:hunter2}",
            "pushgateway: {password: hunter2, bearer_token: hunter2, username: x}",
            "pushgateway: {password: hunter2, password_file: p.sql}",
            "pushgateway: {password_file: hunter2}",
            "pushgateway: {password_file: '${SECRET}'}",
            'pushgateway: {bearer_token: "hunter2\\n"}',
            "pushgateway: {bearer_token: hunter2ä}",
            "pushgateway:\n  password: *hunter2",
            "pushgateway:\n  password: !hunter2",
            "pushgateway:\n  password: !hunter2!x",
            "pushgateway:\n  password: 'hunter2",
            "pushgateway:\n  password: hunter2: x",
            "pushgateway:\n  password: &a hunter2\n  job: &a\n  hunter2\n",
            "pushgateway:\n  password: '${hunter2-x}'",
            "schedule: {timezone: '${SECRET}', cron: '${SECRET}', every: '${SECRET}'}",
            "evaluations: [{model: m, task: '${SECRET}', predictions: '${SECRET}', windows: ['${SECRET}']}]",
            "evaluations: [{model: m, labels: 'postgresql://me:hunter2@host/logs'}]",
        ],
        ids=itertools.count(),
    )
    def test_errors(self, tmp_path: Path, text: str) -> None:
        """Neither an error nor its traceback holds a secret, wherever the secret was written."""
        (tmp_path / "config.yaml").write_text(text)
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / "config.yaml", {"SECRET": SECRET})
        assert SECRET not in "".join(traceback.format_exception(caught.value))


KEYS = st.sampled_from(
    ["database", "state", "url", "pushgateway", "password_file", "schedule", "cron", "timezone", "worker", "port", "on",
     "evaluations", "model", "task", "labels", "sql", "windows", "name", "length", "slices", "outcomes", "true"]
)  # fmt: skip
VALUES = st.one_of(
    KEYS,
    st.none() | st.booleans() | st.integers() | st.floats(),
    st.text(max_size=8),
    st.sampled_from(["1h", "0s", "${A}", "${", "* * * * *", "p.sql", "sqlite:///x.db", "a://b:c@d:e/f", "binary"]),
)
TREES = st.recursive(VALUES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=6))


class TestNonsense:
    """Whatever a file holds, it is a configuration or a ConfigError, never another error."""

    @given(st.binary())
    def test_bytes(self, content: bytes) -> None:
        """Any bytes."""
        self.read(content)

    @given(st.text(alphabet="abon01:-[]{}&*!|>'\"%@`#?,\\xuU~<=$ \n\t\ufeff"))
    def test_text(self, text: str) -> None:
        """Any text of characters that mean something in YAML."""
        self.read(text.encode())

    @given(st.integers(0, len(MINIMAL)), st.integers(0, 9), st.text(max_size=5))
    def test_a_typo(self, place: int, gone: int, text: str) -> None:
        """A right configuration with something put in or left out."""
        self.read((MINIMAL[:place] + text + MINIMAL[place + gone :]).encode(errors="surrogatepass"))

    @given(st.dictionaries(KEYS, TREES))
    def test_trees(self, tree: dict[str, object]) -> None:
        """Any values at any keys."""
        self.read(_flow(tree).encode(errors="surrogatepass"))

    @staticmethod
    def read(content: bytes) -> None:
        """The configuration, or an error every line of which names the file and can be printed."""
        with TemporaryDirectory() as folder:
            try:
                read(Path(folder), content)
            except ConfigError as error:
                lines = str(error).encode().decode().splitlines()
            else:
                lines = []
            assert all(line.startswith(folder) for line in lines), lines


def _flow(value: object) -> str:
    """A value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return {"None": "null", "inf": ".inf", "-inf": "-.inf", "nan": ".nan"}.get(str(value), str(value).lower())
