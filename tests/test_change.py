"""Change, late truth and fairness, from logs and a history to results: worked cases."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from evaljob import history
from evaljob.config import Change, Metrics
from evaljob.config.change import COMPARABLE
from evaljob.database import connect
from evaljob.gauges import METRICS
from evaljob.metrics import evaluate
from evaljob.past import Archive
from evaljob.schema import HISTORY, METADATA
from tests import past
from tests.configs import further, read, refusal
from tests.logs import DAY, Results, Row, create, drop, evaluation, full, label, plan, prediction, utc, window

HOUR = window("1h")
YOUNG, MATURE = window("1h", on="predicted_at", name="young"), window("1h", "predicted_at", "2h", name="mature")
COUNTRIES: dict[str, Any] = {"slices": (("country",),), "min_support": 10}


class Case:
    """Logs and a history in memory, and the evaluations that have been made of them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.engine = folder, connect("sqlite://", read_only=False)
        METADATA.create_all(self.engine)
        self.recent: list[pd.DataFrame] = []

    def write(self, predictions: Sequence[Row], labels: Sequence[Row]) -> None:
        """These logs, in the place of those before."""
        drop(self.engine)
        create(self.engine, "predictions", predictions)
        create(self.engine, "labels", labels)

    def run(self, clock: str, offline: dict[str, dict[str, float]] | None = None, **keys: Any) -> Results:
        """An evaluation at a time of the first of May, kept in the history."""
        as_of = utc(instant(clock))
        of = evaluation(self.folder, **{"windows": (HOUR,)} | keys)
        with self.engine.begin() as connection:
            cells = full(connection, plan(connection, of), as_of)
            results = evaluate(of, cells, as_of, {}, Archive(connection, of, self.recent).past(as_of, offline))
            history.record(connection, results)
        return Results(results)


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """Nothing yet."""
    made = Case(tmp_path)
    yield made
    made.engine.dispose()


def instant(clock: str) -> datetime:
    """A time of the first of May."""
    hour, minute, *second = (int(part) for part in clock.split(":"))
    return DAY + timedelta(hours=hour, minutes=minute, seconds=sum(second))


def answers(clock: str, right: int, wrong: int, **more: Any) -> tuple[list[Row], list[Row]]:
    """Predictions with their labels of a minute later."""
    ids = [f"{clock} {sorted(more.items())} {i}" for i in range(right + wrong)]
    later = (instant(clock) + timedelta(minutes=1)).strftime("%H:%M")
    labels = [label(name, later, int(i < right)) for i, name in enumerate(ids)]
    return [prediction(name, clock, 1, **more) for name in ids], labels


def together(*logs: tuple[list[Row], list[Row]]) -> tuple[list[Row], list[Row]]:
    """Several logs as one."""
    return [row for said, _ in logs for row in said], [row for _, told in logs for row in told]


def test_the_window_before(case: Case) -> None:
    """56 of 70 right after 48 of 80: better by 0.2, between 0.0524 and 0.3339 (Newcombe 1998, table II), so no chance.

    The first evaluation has nothing before it, and says nothing.
    """
    case.write(*together(answers("10:30", 48, 32), answers("11:30", 56, 14)))
    first = case.run("11:00")
    assert first.rows("change", of=None, reference=None).empty
    found = case.run("12:00")
    row = found.rows("change", of="accuracy_ratio", reference="previous")
    numbers = row[["value", "lower", "upper"]].to_numpy(dtype="float64")[0]
    assert numbers == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert row["support"].tolist() == [70]
    assert found.value("change_p_value", of="accuracy_ratio", reference="previous") < 0.01  # type: ignore[operator]
    assert found.value("change_significant", of="accuracy_ratio", reference="previous") == 1


def test_nothing_has_changed(case: Case) -> None:
    """30 of 40 twice: no difference, p = 1."""
    case.write(*together(answers("10:30", 30, 10), answers("11:30", 30, 10)))
    case.run("11:00")
    labels = {"of": "accuracy_ratio", "reference": "previous"}
    metrics = ("change", "change_p_value", "change_significant")
    assert case.run("12:00").values(*metrics, **labels) == (0, 1, 0)


@pytest.mark.parametrize(("clock", "compared"), [("10:53", 0), ("10:54", 1), ("11:00", 1), ("11:00:01", 0)])
def test_the_window_before_shares_no_row_and_is_no_older_than_need_be(case: Case, clock: str, compared: int) -> None:
    """At 12:00 the hour before may have ended at 11:00 or up to six minutes earlier."""
    case.write(*together(answers("10:30", 30, 10), answers("11:30", 30, 10)))
    case.run(clock)
    assert len(case.run("12:00").rows("change", of=None, reference=None)) == compared


def test_results_that_are_not_stored_yet_count_as_well(case: Case) -> None:
    """A backfill stores some instants at once: the newest of those it holds is taken as one of the history is."""
    case.write(*together(answers("10:30", 30, 10), answers("11:30", 20, 20)))
    case.recent.append(case.run("11:00").frame)
    with case.engine.begin() as connection:
        history.forget(connection, utc(instant("23:00")))
    assert case.run("12:00").value("change", of="accuracy_ratio", reference="previous") == pytest.approx(-0.25)


def test_another_window_of_that_name_is_no_reference(case: Case) -> None:
    """`1h` was half an hour long until the configuration changed."""
    case.write(*together(answers("10:30", 30, 10), answers("11:30", 30, 10)))
    case.run("11:00", windows=(window("30m", name="1h"),))
    assert case.run("12:00").rows("change", of=None, reference=None).empty


def test_a_damaged_history_compares_nothing(case: Case, caplog: pytest.LogCaptureFixture) -> None:
    """The run goes on, and the log says why and what mends it."""
    case.write(*together(answers("10:30", 30, 10), answers("11:30", 30, 10)))
    case.run("11:00")
    with case.engine.begin() as connection:
        connection.execute(HISTORY.update().values(numbers=b"rotten"))
    assert case.run("12:00").rows("change", of=None, reference=None).empty
    assert "history of m: the results as of 2024-05-01T11:00:00+00:00 are damaged" in caplog.text


def test_a_fixed_reference(case: Case) -> None:
    """70 of 100 where 0.9 was promised: less by 0.2, with the interval of 70 in 100 moved there."""
    case.write(*answers("11:30", 70, 30))
    found = case.run("12:00", change=Change(fixed={"accuracy_ratio": 0.9, "recall_ratio": 1.0}))
    own = found.rows("accuracy_ratio")[["value", "lower", "upper"]].to_numpy(dtype="float64")[0]
    row = found.rows("change", of="accuracy_ratio", reference="fixed")[["value", "lower", "upper"]]
    assert row.to_numpy(dtype="float64")[0] == pytest.approx(own - 0.9)
    assert found.value("change_significant", of="accuracy_ratio", reference="fixed") == 1
    assert found.value("change", of="recall_ratio", reference="fixed", class_="1") == 0


def test_offline_metrics_are_those_of_the_version(case: Case) -> None:
    """MLflow knows v1's accuracy to be 0.8 and nothing of v2; the total is no version."""
    case.write(*together(answers("11:30", 30, 10), answers("11:40", 9, 1, model_version="v2")))
    found = case.run("12:00", offline={"v1": {"accuracy": 0.8}})
    rows = found.rows("change", model_version=None, of="accuracy_ratio", reference="offline")
    assert rows["model_version"].tolist() == ["v1"]
    assert rows["value"].tolist() == pytest.approx([-0.05])


def test_many_slices_are_looked_at(case: Case) -> None:
    """Ten countries: one fell from 45 to 20 of 50, and one from 45 to 38, which among ten is nothing.

    On its own 45 against 38 of 50 has p = 0.06; 45 against 20 remains significant.
    """
    right = {"A": 20, "B": 38, **dict.fromkeys("CDEFGHIJ", 45)}
    before = [answers("10:30", 45, 5, country=name) for name in right]
    after = [answers("11:30", hits, 50 - hits, country=name) for name, hits in right.items()]
    case.write(*together(*before, *after))
    case.run("11:00", **COUNTRIES)
    found = case.run("12:00", **COUNTRIES)
    labels = {"of": "accuracy_ratio", "reference": "previous"}
    assert {name for name, one in found.slices("change_significant", "country", **labels).items() if one} == {"A"}
    assert found.slices("change", "country", **labels)["B"] == pytest.approx(-0.14)
    assert found.rows("change_p_value", slice="country", slice_value=None, **labels).empty
    assert found.rows("change", slice="country", slice_value=None, **labels)["lower"].isna().all()


def test_a_new_slice_has_no_past(case: Case) -> None:
    """A country that was not there an hour ago is not compared; the others are."""
    old, new = answers("10:30", 30, 10, country="A"), answers("11:30", 30, 10, country="B")
    case.write(*together(old, new, answers("11:31", 30, 10, country="A")))
    case.run("11:00", **COUNTRIES)
    found = case.run("12:00", **COUNTRIES).slices("change", "country", of="accuracy_ratio", reference="previous")
    assert found == {"A": 0}


def test_regressions_are_compared_by_their_mean_absolute_error(case: Case) -> None:
    """It was 1 and is 2: 40 errors of +-1 and then of +-2."""
    said = [prediction(f"{hour} {i}", f"{hour}:30", 0.0) for hour in (10, 11) for i in range(40)]
    told = [label(f"{hour} {i}", f"{hour}:31", (hour - 9.0) * (-1) ** i) for hour in (10, 11) for i in range(40)]
    case.write(said, told)
    case.run("11:00", task="regression")
    found = case.run("12:00", task="regression")
    assert found.value("change", of="mean_absolute_error", reference="previous") == pytest.approx(1)


def test_macro_means_stand_for_the_classes(case: Case) -> None:
    """Of a multiclass task precision changes in its macro mean, not once for each class."""
    case.write(*together(answers("10:30", 30, 10), answers("11:30", 20, 20)))
    keys: dict[str, Any] = {"task": "multiclass", "change": Change(metrics=("precision_ratio",))}
    case.run("11:00", **keys)
    rows = case.run("12:00", **keys).rows("change", of="precision_ratio", reference=None, class_=None)
    assert rows["class"].tolist() == ["macro"]


def test_late_truth(case: Case) -> None:
    """Of the hour to 12:00 two of four are labeled by then, both right; by 14:00 all are, and the late two are wrong.

    Accuracy was 1 at first and is 1/2, coverage was 1/2 and is 1. The mature window has told of it only now.
    """
    said = [prediction(name, "11:30", 1) for name in "abcd"]
    case.write(said, [*(label(name, "11:40", 1) for name in "ab"), *(label(name, "13:30", 0) for name in "cd")])
    windows = (YOUNG, MATURE)
    assert case.run("12:00", windows=windows).rows("revision", of=None, window=None, reference=None).empty
    found = case.run("14:00", windows=windows)
    labels = {"window": "mature", "reference": "young"}
    assert found.value("revision", of="accuracy_ratio", **labels) == -0.5
    assert found.value("revision", of="label_coverage_ratio", **labels) == 0.5
    assert found.value("revision", of="precision_ratio", class_="1", **labels) == -0.5
    assert found.value("revision", of="recall_ratio", class_="1", **labels) == 0


def test_late_truth_needs_the_same_span(case: Case) -> None:
    """An evaluation of 11:59 looked at another hour: off by more than a hundredth, it is no first publication."""
    case.write(*answers("11:30", 3, 1))
    windows = (YOUNG, MATURE)
    case.run("11:59", windows=windows)
    assert case.run("14:00", windows=windows).rows("revision", of=None, window=None, reference=None).empty
    case.run("11:59:30", windows=windows)
    assert (
        case.run("14:00", windows=windows).value("revision", of="accuracy_ratio", window="mature", reference="young")
        == 0
    )


def test_gap_between_slices(case: Case) -> None:
    """56 of 70 right in A and 48 of 80 in B: a gap of 0.2 in [0.0524, 0.3339] (Newcombe 1998), a ratio of 0.75.

    C has too few to be looked at.
    """
    logs = answers("11:30", 56, 14, country="A"), answers("11:30", 48, 32, country="B")
    case.write(*together(*logs, answers("11:30", 1, 8, country="C")))
    found = case.run("12:00", **COUNTRIES)
    row = found.rows("slice_gap", of="accuracy_ratio", column="country")[["value", "lower", "upper"]]
    assert row.to_numpy(dtype="float64")[0] == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)
    assert found.value("slice_ratio", of="accuracy_ratio", column="country") == pytest.approx(0.75)


def test_notions_of_fairness(case: Case) -> None:
    """By hand: A says yes to 20 of 40, of which 15 are right, and misses 5; B says yes to 10 of 40, 9 right, misses 11.

    Demographic parity: 20/40 and 10/40. Equal opportunity: 15/20 and 9/20. Predictive parity: 15/20 and 9/10.
    """
    said, told = [], []
    for country, (tp, fp, fn, tn) in {"A": (15, 5, 5, 15), "B": (9, 1, 11, 19)}.items():
        outcomes = [(1, 1)] * tp + [(1, 0)] * fp + [(0, 1)] * fn + [(0, 0)] * tn
        for i, (answer, truth) in enumerate(outcomes):
            said.append(prediction(f"{country}{i}", "11:30", answer, country=country))
            told.append(label(f"{country}{i}", "11:31", truth))
    case.write(said, told)
    found = case.run("12:00", **COUNTRIES)
    names = ("predicted_ratio", "recall_ratio", "precision_ratio", "accuracy_ratio")
    gaps = [found.value("slice_gap", of=of, column="country") for of in names]
    assert gaps == pytest.approx([0.25, 0.3, 0.15, 30 / 40 - 28 / 40])
    ratios = [found.value("slice_ratio", of=of, column="country") for of in names]
    assert ratios == pytest.approx([0.5, 0.6, 15 / 18, 28 / 30])


def test_one_slice_has_no_gap(case: Case) -> None:
    """Nor has a regression: nothing is told."""
    case.write(*answers("11:30", 30, 10, country="A"))
    assert case.run("12:00", **COUNTRIES).rows("slice_gap", of=None, column=None).empty
    assert case.run("12:00", task="regression", **COUNTRIES).rows("slice_gap", of=None, column=None).empty


def test_each_can_be_switched_off(case: Case) -> None:
    """Then neither the history is read nor anything told."""
    case.write(*together(answers("10:30", 30, 10, country="A"), answers("11:30", 30, 10, country="B")))
    keys = COUNTRIES | {"metrics": Metrics(change=False, fairness=False, missing=False)}
    case.run("11:00", **keys)
    told = set(case.run("12:00", **keys, change=Change(fixed={"accuracy_ratio": 0.9})).frame["metric"])
    assert not {metric for metric in told if metric.startswith(("change", "slice_", "revision"))}


def test_without_intervals_only_the_difference_is_told(case: Case) -> None:
    """There is then nothing to tell chance by: p-value and significance are undefined."""
    case.write(*answers("11:30", 70, 30))
    change = Change(fixed={"accuracy_ratio": 0.9}, previous=False)
    found = case.run("12:00", change=change, metrics=Metrics(intervals=False))
    labels = {"of": "accuracy_ratio", "reference": "fixed"}
    assert found.value("change", **labels) == pytest.approx(-0.2)
    assert found.values("change_p_value", "change_significant", **labels) == (None, None)


def test_what_can_be_compared_is_published() -> None:
    """The names that the configuration knows are those of metrics that have intervals."""
    assert all(METRICS[name].interval for name in COMPARABLE)


def test_names_of_metrics_are_checked(tmp_path: Path) -> None:
    """One that is misspelt, or cannot be compared, would compare nothing and say nothing."""
    (wrong,) = refusal(tmp_path, further("change: {metrics: [recal_ratio]}"))
    assert wrong.startswith("10: evaluations[0].change.metrics[0]: ")
    assert wrong.endswith("is no metric that can be compared; did you mean `recall_ratio`?")
    (wrong,) = refusal(tmp_path, further("change: {fixed: {support: 100}}"))
    assert wrong.startswith("10: evaluations[0].change.fixed.support: ")
    assert read(tmp_path, further("change: {fixed: {r2_score: 0.5}}")).evaluations[0].change.fixed == {"r2_score": 0.5}


def test_runs_compare_themselves_with_the_history(tmp_path: Path) -> None:
    """At 60 h the window of 24 h is compared with that at 36 h, by a run as by a backfill, to the last bit."""
    project = past.project(tmp_path / "project")
    instants = [past.hours(count).isoformat() for count in (36, 48, 60)]
    for as_of in instants:
        assert project.evaljob("run", "--as-of", as_of).code == 0
    found = {"window": "24h", "metric": "change", "of": "accuracy_ratio", "reference": "previous"}
    told = [row for row in project.evaljob("history", "--output", "json").results() if found.items() <= row.items()]
    *_, last = (row for row in told if (row["slice"], row["model_version"]) == ("overall", "all"))
    assert last["as_of"].startswith("2024-05-03T12")
    assert last["lower"] < last["value"] < last["upper"]
    before = past.kept(project)
    (project.folder / "state.db").unlink()
    assert project.evaljob("backfill", "--from", instants[0], "--to", instants[-1], "--every", "12h").code == 0
    assert past.kept(project) == before
