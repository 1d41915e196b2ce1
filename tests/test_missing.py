"""What is missing, from logs to results: ages, coverage to come, fair samples, failures in the denominator."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaljob.ages import PIECES, exponent_of, factors, served
from evaljob.config import LabelsDefault, Metrics
from evaljob.database import connect
from evaljob.join.plan import AGE
from evaljob.window import OUTSIDE, Segments, Window
from tests.logs import Results, Row, at, create, drop, evaluation, full, label, plan, prediction, results, utc, window

PREDICTED = window("12h", on="predicted_at")
DAY = window("24h", on="predicted_at")
durations = st.integers(1, 400 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
windows_ = st.lists(st.tuples(durations, durations), min_size=1, max_size=5)


class Case:
    """An SQLite database and a folder for the SELECTs."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.engine = folder, connect("sqlite://", read_only=False)

    def write(self, predictions: Sequence[Row], labels: Sequence[Row]) -> None:
        """These logs, in the place of those before."""
        drop(self.engine)
        create(self.engine, "predictions", predictions)
        create(self.engine, "labels", labels)

    def results(self, as_of: str = "13:00", **keys: Any) -> Results:
        """The results at a time of the first of May, the same by a full count and by steps."""
        with self.engine.connect() as connection:
            return results(connection, evaluation(self.folder, **{"windows": (PREDICTED,)} | keys), at(as_of))


@pytest.fixture
def case(tmp_path: Path) -> Iterator[Case]:
    """No logs yet."""
    made = Case(tmp_path)
    yield made
    made.engine.dispose()


def waiting(name: str, clock: str, **more: Any) -> Row:
    """A prediction whose label is not there."""
    return prediction(name, clock, 1, **more)


@given(windows=windows_)
def test_buckets_are_few_and_as_narrow_as_that_allows(windows: list[tuple[timedelta, timedelta]]) -> None:
    """At most 128 in a segment, and half as wide they would be more, or less than a minute."""
    segments = Segments.on("predicted_at", [Window("w", length, "predicted_at", m) for length, m in windows])
    for number in set(segments.numbers) - {OUTSIDE}:
        length = (segments.ages[number - 1] - segments.ages[number]) / timedelta(minutes=1)
        width = 1 << exponent_of(segments, number)
        assert length <= PIECES * width
        assert width == 1 or length > PIECES * width / 2


@given(minute=st.integers(0, 10**8), exponent=st.integers(0, 15), labeled=st.booleans())
def test_codes_hold_what_they_are_made_of(minute: int, exponent: int, *, labeled: bool) -> None:
    """The bucket of a minute holds it, is as wide as asked, and remembers the label."""
    width, scale, flags = factors(exponent)
    found = served(np.array([minute // width * scale + flags + labeled]))
    assert found.start[0] <= minute * 60 < found.end[0]
    assert found.end[0] - found.start[0] == 60 << exponent
    assert found.labeled[0] == labeled


def test_ages_are_counted_exactly(case: Case) -> None:
    """720 minutes are cut into 90 buckets of 8; every usable request of the window lies in the one it was served in.

    The label of 13:00 is not known yet, the last request is a microsecond too old, and one has an impossible score.
    """
    clocks = ["01:00", "01:07:59.999999", "01:08", "12:59:59.9", "03:00", "00:59:59.999999"]
    rows = [prediction(str(i), clock, 1, 0.5) for i, clock in enumerate(clocks)]
    case.write([*rows, prediction("bad", "02:00", 1, 1.5)], [label("0", "12:00", 1), label("3", "13:00", 1)])
    with case.engine.connect() as connection:
        of = plan(connection, evaluation(case.folder, windows=(PREDICTED,)))
        frame = full(connection, of, utc(at("13:00"))).frame.query("kind == @AGE")
    found = served(frame["bucket"].to_numpy())
    assert set((found.end - found.start).tolist()) == {8 * 60}
    starts = [datetime.fromtimestamp(second, UTC).strftime("%H:%M") for second in found.start.tolist()]
    counted = dict(zip(zip(starts, found.labeled.tolist(), strict=True), frame["n"].tolist(), strict=True))
    assert counted == {("00:56", True): 1, ("01:04", False): 2, ("02:56", False): 1, ("12:56", False): 1}


def test_coverage_by_age(case: Case) -> None:
    """Of two requests younger than an hour none has a label, of two of 1 to 6 h one, of one older all."""
    rows = [waiting("a", "12:30"), waiting("b", "12:50"), waiting("c", "09:00"), waiting("d", "10:00")]
    case.write([*rows, waiting("e", "02:00")], [label("c", "09:30", 1), label("e", "12:00", 0)])
    found = case.results()
    bands = [found.value("label_coverage_by_age_ratio", age=age) for age in ("0-1h", "1h-6h", "6h-24h")]
    assert bands == [0, 0.5, 1]
    assert found.rows("label_coverage_by_age_ratio", age=None)["age"].tolist() == ["0-1h", "1h-6h", "6h-24h"]
    assert found.rows("label_coverage_by_age_ratio", age="1h-6h")["support"].tolist() == [2]


def test_labels_arrive(case: Case) -> None:
    """Labels after 30 min, 3 h and never yet: of four requests one waits since 20 min and one since 9 h.

    By 1 h one of the three that were followed so long has its label: 1/3. By 6 h, one of the two left: 1 - 2/3 x 1/2.
    Plain coverage is 2 in 4. Nothing is known of 24 h.
    """
    rows = [waiting("a", "09:00"), waiting("b", "08:00"), waiting("c", "12:40"), waiting("d", "04:00")]
    case.write(rows, [label("a", "09:30", 1), label("b", "11:00", 0)])
    found = case.results()
    assert found.value("label_coverage_ratio") == 0.5
    assert found.value("label_arrival_ratio", age="1h") == pytest.approx(1 / 3)
    assert found.value("label_arrival_ratio", age="6h") == pytest.approx(2 / 3)
    assert len(found.rows("label_arrival_ratio", age=None)) == 2
    assert found.value("expected_coverage_ratio") == pytest.approx(2 / 3)
    assert found.value("immature") == 1


def test_a_young_window_learns_from_an_old_one(case: Case) -> None:
    """In the long window 8 of 10 mature requests got their label after 3 h: so will 8 in 10 of the young window's 5.

    Of the young window itself none has one yet, and its own curve would say that none ever comes.
    """
    old = [waiting(f"old{i}", "02:00") for i in range(10)]
    young = [waiting(f"young{i}", "12:30") for i in range(5)]
    case.write([*old, *young], [label(f"old{i}", "05:00", 1) for i in range(8)])
    hour = window("1h", on="predicted_at")
    found = case.results(windows=(PREDICTED, hour))
    assert found.value("expected_coverage_ratio", window="1h") == pytest.approx(0.8)
    assert found.values("label_coverage_ratio", "immature", window="1h") == (0, 1)
    mature = case.results(windows=(PREDICTED, window("6h", on="predicted_at", maturity="6h", name="mature")))
    assert mature.values("label_coverage_ratio", "expected_coverage_ratio", "immature", window="mature") == (
        0.8,
        0.8,
        0,
    )


def test_a_bound_on_the_lag_ends_the_wait(case: Case) -> None:
    """Without a bound the request that waits since 4 h may get its label after 6 h as the other did; with 5 h not."""
    rows = [waiting("a", "02:00"), waiting("b", "09:00"), waiting("c", "03:00")]
    case.write(rows, [label("a", "08:00", 1), label("c", "04:00", 1)])
    assert case.results().value("expected_coverage_ratio") == pytest.approx(1)
    bounded = case.results(max_lag=timedelta(hours=5))
    assert bounded.value("expected_coverage_ratio") == pytest.approx(1 / 3)
    assert bounded.value("immature") == 0


def test_default_labels_arrive_at_their_age(case: Case) -> None:
    """No click within 2 h means 0: one clicked at once, one after 3 h, one never, one may still. All get a label."""
    rows = [waiting("a", "09:00"), waiting("b", "09:00"), waiting("c", "09:00"), waiting("d", "12:00")]
    case.write(rows, [label("a", "09:00:01", 1), label("b", "12:00", 1)])
    found = case.results(labels_default=LabelsDefault(label=0, after=timedelta(hours=2)))
    assert found.value("label_arrival_ratio", age="1h") == pytest.approx(1 / 4)
    assert found.value("label_arrival_ratio", age="6h") == pytest.approx(1)
    assert found.values("label_coverage_ratio", "expected_coverage_ratio", "immature") == (0.75, 1, 1)


def test_versions_wait_for_themselves(case: Case) -> None:
    """Coverage is each version's own; what is still to come follows how all labels arrive."""
    rows = [waiting("a", "02:00", model_version="v1"), waiting("b", "12:00", model_version="v2")]
    case.write(rows, [label("a", "05:00", 1)])
    found = case.results()
    assert [found.value("label_coverage_ratio", model_version=v) for v in ("v1", "v2")] == [1, 0]
    assert [found.value("expected_coverage_ratio", model_version=v) for v in ("v1", "v2")] == pytest.approx([1, 1])


def test_labeled_requests_that_are_no_fair_sample(case: Case) -> None:
    """Reviewers label only high scores, 40 above 0.8 and none of the 40 below 0.4: the two have nothing in common."""
    high = [prediction(f"high{i}", "12:00", 1, 0.8 + i / 1000) for i in range(40)]
    low = [prediction(f"low{i}", "12:00", 0, 0.4 - i / 1000) for i in range(40)]
    case.write([*high, *low], [label(f"high{i}", "12:30", 1) for i in range(40)])
    found = case.results(windows=(PREDICTED, window("1h")))
    assert found.value("label_selection_ks", window="12h") == 1
    assert found.value("label_selection_psi", window="12h") > 0.25  # type: ignore[operator]
    assert found.value("label_selection_p_value", window="12h") < 1e-6  # type: ignore[operator]
    assert found.rows("label_selection_ks", window="1h").empty  # there all are labeled


def test_nothing_to_compare_is_undefined(case: Case) -> None:
    """All are labeled: no distance. A regression has no scores at all, and no such metric."""
    case.write([prediction("a", "12:00", 1, 0.5)], [label("a", "12:30", 1)])
    assert case.results().values("label_selection_ks", "label_selection_psi", "label_selection_p_value") == (None,) * 3
    regression = case.results(task="regression")
    assert regression.rows("label_selection_ks").empty
    assert regression.value("expected_coverage_ratio") == 1


def test_failures_in_the_denominator(case: Case) -> None:
    """3 of 4 answers are right, and 2 requests failed that have a label: 3/4 of the answers, 3/6 of the requests."""
    rows = [prediction(name, "12:00", 1) for name in "abcd"] + [prediction(name, "12:00", None) for name in "ef"]
    case.write([*rows, prediction("g", "12:00", None)], [label(name, "12:30", int(name != "a")) for name in "abcdef"])
    found = case.results()
    assert found.values("accuracy_ratio", "accuracy_with_failures_ratio") == (0.75, 0.5)
    assert found.rows("accuracy_with_failures_ratio")["support"].tolist() == [6]
    case.write(rows[4:], [label(name, "12:30", 1) for name in "ef"])
    assert case.results().values("accuracy_ratio", "accuracy_with_failures_ratio") == (None, 0)
    assert case.results(min_support=3).value("accuracy_with_failures_ratio") is None


def test_without_predictions_all_is_undefined(case: Case) -> None:
    """Empty logs: the total of the window stands there, undefined."""
    case.write([], [])
    found = case.results()
    metrics = ("expected_coverage_ratio", "immature", "accuracy_with_failures_ratio")
    assert found.values(*metrics) == (None,) * 3
    assert found.value("label_coverage_by_age_ratio", age="0-1h") is None


def test_it_can_be_switched_off(case: Case) -> None:
    """Then nothing is told, and nothing is counted for it."""
    case.write([waiting("a", "12:00")], [])
    found = case.results(metrics=Metrics(missing=False))
    assert not {"expected_coverage_ratio", "accuracy_with_failures_ratio"} & set(found.frame["metric"])
    with case.engine.connect() as connection:
        for on in (False, True):
            of = plan(connection, evaluation(case.folder, windows=(DAY,), metrics=Metrics(missing=on)))
            assert (AGE in full(connection, of, utc(at("13:00"))).frame["kind"].tolist()) == on
