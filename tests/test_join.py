"""The join on worked cases that a person can redo: a few rows on the first of May, evaluated at one o'clock.

Every case is also reached by steps, which `results` compares with the full count cell by cell.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from evaljob.config import LabelsDefault
from evaljob.database import connect
from tests.logs import Results, Row, at, create, drop, evaluation, label, prediction, results, window

BY_LABEL = window("1h")
BY_PREDICTION = window("1h", on="predicted_at", name="predicted")
BOTH = (BY_LABEL, BY_PREDICTION)


class Case:
    """An SQLite database and a folder for the SELECTs."""

    def __init__(self, engine: sa.Engine, folder: Path) -> None:
        self.engine, self.folder = engine, folder

    def write(self, predictions: Sequence[Row], labels: Sequence[Row]) -> None:
        """These logs, in the place of those before."""
        drop(self.engine)
        create(self.engine, "predictions", predictions)
        create(self.engine, "labels", labels)

    def results(self, as_of: str = "13:00", **keys: Any) -> Results:
        """The results at a time of the first of May."""
        with self.engine.connect() as connection:
            return results(connection, evaluation(self.folder, **keys), at(as_of))


@pytest.fixture(scope="module")
def sqlite() -> Iterator[sa.Engine]:
    """A database in memory; one for all tests, because an engine keeps the statements that it has compiled."""
    engine = connect("sqlite://", read_only=False)
    yield engine
    engine.dispose()


@pytest.fixture
def case(sqlite: sa.Engine, tmp_path: Path) -> Case:
    """The database with a folder of the test's own."""
    return Case(sqlite, tmp_path)


def test_late_labels_find_their_prediction(case: Case) -> None:
    """Of three requests two are right: one label came within minutes, one after hours, one request is wrong."""
    case.write(
        [prediction("a", "12:10", 1), prediction("b", "03:00", 0), prediction("c", "12:20", 1)],
        [label("a", "12:15", 1), label("b", "12:59", 0), label("c", "12:30", 0)],
    )
    assert case.results().values("support", "accuracy_ratio", "predictions") == (3, 2 / 3, 3)


@pytest.mark.parametrize(
    ("clock", "inside"),
    [("11:59:59.999999", 0), ("12:00", 1), ("12:59:59.999999", 1), ("13:00", 0), ("13:00:00.000001", 0)],
)
def test_windows_are_half_open(case: Case, clock: str, inside: int) -> None:
    """[12:00, 13:00) holds its start and not its end, to the microsecond, on either timestamp."""
    case.write([prediction("a", clock, 1)], [label("a", clock, 1)])
    found = case.results(windows=BOTH)
    assert found.value("support", window="1h") == inside
    assert found.value("support", window="predicted") == inside


def test_adjacent_windows_share_no_row_and_lose_none(case: Case) -> None:
    """Five rows on the edges of four adjacent hours lie in exactly one of them, also as maturities of one instant."""
    clocks = ["10:00", "10:59:59.999999", "11:00", "12:00", "13:59:59.999999"]
    case.write(
        [prediction(clock, clock, 1) for clock in clocks],
        [label(clock, clock, 1) for clock in clocks],
    )
    instants = ["11:00", "12:00", "13:00", "14:00"]
    assert [case.results(as_of).value("support", window="1h") for as_of in instants] == [2, 1, 1, 1]
    tiles = [window("1h", "predicted_at", maturity=f"{hours}h", name=f"{hours} before") for hours in range(4)]
    found = case.results("14:00", windows=tuple(tiles))
    assert [found.value("support", window=tile.name) for tile in tiles] == [1, 1, 1, 2]


def test_the_first_prediction_is_the_one_that_was_served(case: Case) -> None:
    """Of a request served at 12:10 and retried twice the first answer (right) counts, the retries are duplicates."""
    case.write(
        [prediction("a", "12:20", 0), prediction("a", "12:10", 1), prediction("a", "12:30", 0)],
        [label("a", "12:40", 1)],
    )
    found = case.results()
    assert found.values("predictions", "support", "accuracy_ratio", "duplicate_predictions") == (1, 1, 1.0, 2)


def test_the_latest_label_is_the_truth(case: Case) -> None:
    """A label of 12:20 corrected at 12:40 is the truth until then, and counts once afterwards, as corrected."""
    case.write([prediction("a", "12:10", 1)], [label("a", "12:40", 0), label("a", "12:20", 1)])
    metrics = ("support", "accuracy_ratio", "corrected_labels")
    assert case.results("12:40").values(*metrics) == (1, 1.0, 0)
    assert case.results("13:00").values(*metrics) == (1, 0.0, 1)


def test_a_correction_moves_the_label_out_of_the_window_it_was_in(case: Case) -> None:
    """The window [12:00, 12:30) holds the label of 12:20 until a correction of 12:40 replaces it: never two labels."""
    case.write([prediction("a", "12:10", 1)], [label("a", "12:20", 1), label("a", "12:40", 0)])
    windows = (window("30m"), window("1h"))
    found = case.results("12:45", windows=windows)
    assert (found.value("support", window="30m"), found.value("support", window="1h")) == (1, 1)
    found = case.results("13:15", windows=windows)
    assert (found.value("support", window="30m"), found.value("support", window="1h")) == (0, 1)


@pytest.mark.parametrize(
    ("one", "other", "counts"),
    [
        ({"said": 0}, {"said": 1}, {"accuracy_ratio": 0.0}),  # the smaller prediction
        ({"said": 1, "score": 0.6}, {"said": 1, "score": 0.9}, {"brier_score": 0.16}),  # then the smaller score
        ({"said": 1, "score": None}, {"said": 1, "score": 0.9}, {"brier_score": None}),  # of which NULL is the smallest
        ({"said": None}, {"said": 0}, {"prediction_failures_ratio": 1.0}),
    ],
)
def test_predictions_of_one_instant_are_told_apart_by_value(
    case: Case, one: dict[str, Any], other: dict[str, Any], counts: dict[str, float | None]
) -> None:
    """Of two predictions of the same microsecond the one of smaller value counts, whichever was written first."""
    rows = [prediction("a", "12:10", **one), prediction("a", "12:10", **other)]
    case.write(rows, [label("a", "12:20", 1)])
    first = case.results()
    case.write(rows[::-1], [label("a", "12:20", 1)])
    second = case.results()
    for metric, value in counts.items():
        assert first.value(metric) == second.value(metric) == (None if value is None else pytest.approx(value))


@pytest.mark.parametrize("order", [1, -1])
def test_labels_of_one_instant_are_told_apart_by_value(case: Case, order: int) -> None:
    """Of two labels of the same microsecond the larger counts, NULL being the smallest; then the larger value."""
    labels = [
        label("a", "12:20", 0, paid=1.0), label("a", "12:20", 1, paid=2.0),
        label("b", "12:20", 1, paid=4.0), label("b", "12:20", None, paid=8.0),
        label("c", "12:20", 1, paid=16.0), label("c", "12:20", 1, paid=32.0),
    ]  # fmt: skip
    case.write([prediction(name, "12:10", 1) for name in "abc"], labels[::order])
    found = case.results(values=("paid",))
    assert found.values("support", "accuracy_ratio", "corrected_labels") == (3, 1.0, 3)
    assert found.value("value_sum", column="paid") == 2.0 + 4.0 + 32.0


def test_predictions_without_label_are_counted_by_when_they_were_served(case: Case) -> None:
    """One of four predictions of the hour has its label: coverage 1/4. On `labeled_at` only that one exists."""
    case.write([prediction(name, "12:10", 1) for name in "abcd"], [label("a", "12:20", 1)])
    found = case.results(windows=BOTH)
    assert found.values("predictions", "support", "label_coverage_ratio", window="predicted") == (4, 1, 0.25)
    assert found.values("predictions", "support", "label_coverage_ratio", window="1h") == (1, 1, None)


def test_labels_without_prediction_are_orphans_until_it_comes(case: Case) -> None:
    """Two of three labels have no prediction: one never, one until 12:30. An orphan counts once, by its latest."""
    case.write(
        [prediction("a", "12:00", 1), prediction("late", "12:30", 1)],
        [label("a", "12:10", 1), label("late", "12:10", 1), label("x", "12:20", 1), label("x", "12:05", 0)],
    )
    for name in ("1h", "predicted"):
        metrics = ("orphan_labels", "predictions", "support")
        assert case.results("12:25", windows=BOTH).values(*metrics, window=name) == (2, 1, 1)
        assert case.results("13:00", windows=BOTH).values(*metrics, window=name) == (1, 2, 2)
    assert case.results("13:15").value("orphan_labels") == 1
    assert case.results("13:20:00.000001").value("orphan_labels") == 0


def test_a_null_label_takes_the_label_back(case: Case) -> None:
    """A label of 12:20 retracted at 12:40: labeled until then, unlabeled and counted as rejected afterwards."""
    case.write([prediction("a", "12:10", 1)], [label("a", "12:20", 1), label("a", "12:40", None)])
    assert case.results("12:30", windows=BOTH).values("support", "predictions", window="predicted") == (1, 1)
    found = case.results("13:00", windows=BOTH)
    assert found.values("support", "predictions", "corrected_labels", window="predicted") == (0, 1, 1)
    assert found.rejected(window="predicted") == {"label_null": 1}
    assert found.value("support", window="1h") == 0


def test_a_label_before_its_prediction_has_no_lag_and_counts(case: Case) -> None:
    """The label known at 12:00 and the prediction of 12:30 meet at 12:30; the lag is 0, not minus half an hour."""
    case.write([prediction("a", "12:30", 1)], [label("a", "12:00", 1)])
    assert case.results("12:20").values("support", "orphan_labels") == (0, 1)
    found = case.results("12:45")
    assert found.values("support", "accuracy_ratio", "orphan_labels") == (1, 1.0, 0)
    assert found.value("label_lag_seconds", quantile="0.5") == 0


def test_lag_is_measured_to_one_percent(case: Case) -> None:
    """Lags of 60 s, 600 s and 6000 s: the median is 600 s, the higher percentiles 6000 s, both to 1%."""
    case.write(
        [prediction("a", "12:00", 1), prediction("b", "12:00", 1), prediction("c", "11:00", 1)],
        [label("a", "12:01", 1), label("b", "12:10", 1), label("c", "12:40", 1)],
    )
    found = case.results()
    assert found.value("label_lag_seconds", quantile="0.5") == pytest.approx(600, rel=0.01)
    assert found.value("label_lag_seconds", quantile="0.99") == pytest.approx(6000, rel=0.01)


def test_rows_of_the_future_do_not_exist(case: Case) -> None:
    """At one o'clock, a retry, a correction, a label and an orphan of later change nothing."""
    case.write(
        [prediction("a", "12:10", 1), prediction("a", "13:10", 0), prediction("b", "12:20", 1)],
        [label("a", "12:30", 1), label("a", "13:30", 0), label("b", "13:00", 1), label("x", "14:00", 1)],
    )
    found = case.results(windows=BOTH)
    metrics = ("predictions", "support", "accuracy_ratio", "duplicate_predictions", "corrected_labels", "orphan_labels")
    assert found.values(*metrics, window="predicted") == (2, 1, 1.0, 0, 0, 0)


def test_maturity_gives_labels_their_time(case: Case) -> None:
    """Mature after 30 minutes: at one o'clock the hour ends at 12:30, and the young prediction's quick label waits."""
    case.write(
        [prediction("old", "11:29:59", 1), prediction("a", "11:30", 1), prediction("young", "12:30", 0)],
        [label("a", "12:59", 1), label("young", "12:31", 1), label("old", "12:00", 0)],
    )
    mature = window("1h", on="predicted_at", maturity="30m")
    assert case.results(windows=(mature,)).values("predictions", "support", "accuracy_ratio") == (1, 1, 1.0)
    assert case.results("13:00:01", windows=(mature,)).values("predictions", "support", "accuracy_ratio") == (1, 1, 0.0)


def test_failed_predictions_are_counted_and_judged_by_nothing(case: Case) -> None:
    """One of four predictions failed (NULL): a quarter failed; support, accuracy, Brier score are of the others."""
    case.write(
        [prediction("f", "12:10", None, 0.3), *(prediction(name, "12:10", 1, 0.5) for name in "abc")],
        [label(name, "12:20", 1) for name in "fabc"],
    )
    found = case.results()
    assert found.values("predictions", "prediction_failures_ratio", "support", "accuracy_ratio") == (4, 0.25, 3, 1.0)
    assert found.value("brier_score") == 0.25


def test_scores_that_are_no_probability_are_rejected_and_counted(case: Case) -> None:
    """1.2, -0.1 and infinity are rejected with their request; 0, 1 and no score at all are good."""
    scores = {"a": 1.2, "b": -0.1, "c": float("inf"), "d": 0.0, "e": 1.0, "f": None}
    case.write(
        [prediction(name, "12:10", 1, score) for name, score in scores.items()],
        [label(name, "12:20", 1) for name in scores],
    )
    found = case.results(windows=BOTH)
    for name in ("1h", "predicted"):
        assert found.values("predictions", "support", "brier_score", window=name) == (3, 3, 0.5)
        assert found.rejected(window=name) == {"score_out_of_range": 3}


def test_a_rejected_request_without_label_is_counted_where_it_was_served(case: Case) -> None:
    """A score of 2 in the hour is rejected in windows on either timestamp, before there is any label."""
    case.write([prediction("a", "12:10", 1, 2.0)], [])
    found = case.results(windows=BOTH)
    assert [found.rejected(window=name) for name in ("1h", "predicted")] == [{"score_out_of_range": 1}] * 2


def test_rows_without_an_id_are_no_request(case: Case) -> None:
    """Rows without an id never join each other; each is counted as rejected where its own timestamp lies."""
    case.write(
        [prediction(None, "12:10", 1), prediction(None, "12:10", 1), prediction(None, "11:10", 1)],
        [label(None, "12:20", 1), label(None, "13:20", 1)],
    )
    found = case.results(windows=BOTH)
    for name in ("1h", "predicted"):
        assert found.values("predictions", "support", "orphan_labels", window=name) == (0, 0, 0)
        assert found.rejected(window=name) == {"prediction_request_id_null": 2, "label_request_id_null": 1}


def test_rows_without_a_timestamp_are_counted(case: Case) -> None:
    """A row whose timestamp is NULL lies in no window; the books tell of it, and its request goes on without it."""
    nowhen = {"predicted_at": None}
    case.write(
        [prediction("a", "12:10", 1), prediction("b", "12:10", 1) | nowhen],
        [label("a", "12:20", 1), label("a", "12:30", 0) | {"labeled_at": None}],
    )
    found = case.results()
    assert found.values("predictions", "support", "accuracy_ratio") == (1, 1, 1.0)
    assert found.rejected() == {"prediction_predicted_at_null": 1, "label_labeled_at_null": 1}


def test_null_versions_and_slices_have_a_name(case: Case) -> None:
    """Requests without a version or a country are a series of their own, `__missing__`, and part of the total."""
    case.write(
        [
            prediction("a", "12:10", 1, country="NP"), prediction("b", "12:10", 0, country=None),
            prediction("c", "12:10", 0, country=None, model_version=None),
        ],
        [label(name, "12:20", 1) for name in "abc"],
    )  # fmt: skip
    found = case.results(slices=(("country",),))
    assert found.value("support") == 3
    assert found.value("support", model_version="__missing__") == 1
    assert found.slices("support", "country") == {"NP": 1, "__missing__": 2}
    assert found.slices("accuracy_ratio", "country") == {"NP": 1.0, "__missing__": 0.0}


def test_slices_of_several_columns(case: Case) -> None:
    """Tuples group by both columns; a comma inside a value is escaped, and a column alone sums over the other."""
    places = {"a": ("NP", "phone"), "b": ("NP", "tv,old"), "c": ("DE", "phone"), "d": (None, "phone")}
    case.write(
        [prediction(name, "12:10", 1, country=c, device=d) for name, (c, d) in places.items()],
        [label(name, "12:20", 1) for name in places],
    )
    found = case.results(slices=(("country", "device"), ("device",)))
    tuples = {"NP,phone": 1, "NP,tv\\,old": 1, "DE,phone": 1, "__missing__,phone": 1}
    assert found.slices("support", "country,device") == tuples
    assert found.slices("support", "device") == {"phone": 3, "tv,old": 1}


def test_versions_add_up_to_the_total(case: Case) -> None:
    """Version v1 is right once of twice, v2 once of once: 2 of 3 in total. A version named `all` is not the total."""
    versions = {"a": "v1", "b": "v1", "c": "v2", "d": "all"}
    case.write(
        [prediction(name, "12:10", 1, model_version=version) for name, version in versions.items()],
        [label(name, "12:20", int(name != "b")) for name in versions],
    )
    found = case.results()
    supports = [found.value("support", model_version=v) for v in ("v1", "v2", "__all__", "all")]
    assert supports == [2, 1, 1, 4]
    assert found.value("accuracy_ratio", model_version="v1") == 0.5


def test_a_default_label_counts_when_it_is_due_and_a_late_real_one_overrides_it(case: Case) -> None:
    """No label within 30 minutes means 0. Predicted at 12:00, labeled 0 at 12:30 by default, 1 at 12:50 in truth."""
    case.write([prediction("a", "12:00", 1)], [label("a", "12:50", 1)])
    default = {"labels_default": LabelsDefault(label=0, after=timedelta(minutes=30)), "windows": BOTH}
    metrics = ("predictions", "support", "accuracy_ratio")
    assert case.results("12:30", **default).values(*metrics, window="predicted") == (1, 0, None)
    for name in ("1h", "predicted"):
        assert case.results("12:30:00.000001", **default).values(*metrics, window=name) == (1, 1, 0.0)
        assert case.results("12:50:00.000001", **default).values(*metrics, window=name) == (1, 1, 1.0)
    assert case.results("13:30", **default).values(*metrics, window="1h") == (1, 1, 1.0)
    assert case.results("13:50:00.000001", **default).values(*metrics, window="1h") == (0, 0, None)


def test_a_default_label_is_no_measured_lag_and_no_correction(case: Case) -> None:
    """Of a default label there is no lag to measure, and the real label after it corrects no row."""
    case.write([prediction("a", "12:00", 1), prediction("b", "12:00", 1)], [label("a", "12:50", 1)])
    found = case.results(labels_default=LabelsDefault(label=0, after=timedelta(minutes=30)))
    assert found.values("support", "corrected_labels") == (2, 0)
    assert found.value("label_lag_seconds", quantile="0.5") == pytest.approx(50 * 60, rel=0.01)


def test_a_retracted_label_gives_way_to_the_default(case: Case) -> None:
    """A label 1 of 12:10 taken back at 12:20 leaves the request unlabeled: from 12:30 on its label is the default."""
    case.write([prediction("a", "12:00", 1)], [label("a", "12:10", 1), label("a", "12:20", None)])
    default = LabelsDefault(label=0, after=timedelta(minutes=30))
    found = case.results(labels_default=default, windows=BOTH)
    assert found.values("support", "accuracy_ratio", window="predicted") == (1, 0.0)
    assert found.rejected(window="predicted") == {"label_null": 1}


def test_labels_later_than_max_lag_are_counted_and_not_joined(case: Case) -> None:
    """With at most 20 minutes, a label after exactly 20 joins; one of 20 minutes and a microsecond is too late."""
    case.write(
        [prediction("a", "12:00", 1), prediction("b", "12:00", 1), prediction("c", "12:00", 1)],
        [
            label("a", "12:20", 1), label("b", "12:20:00.000001", 1),
            label("c", "12:10", 1), label("c", "12:30", 0),
        ],
    )  # fmt: skip
    found = case.results(max_lag=timedelta(minutes=20), windows=BOTH)
    metrics = ("predictions", "support", "accuracy_ratio", "corrected_labels", "orphan_labels")
    assert found.values(*metrics, window="predicted") == (3, 2, 1.0, 0, 0)
    assert found.rejected(window="predicted") == {"too_late": 2}
    assert found.values("support", "accuracy_ratio", window="1h") == (2, 1.0)


def test_max_lag_leaves_a_default_label_its_time(case: Case) -> None:
    """A default due after a day is counted although real labels come within 20 minutes or never."""
    case.write([prediction("a", "12:00", 1), prediction("b", "12:00", 0)], [label("b", "12:10", 1)])
    default = LabelsDefault(label=1, after=timedelta(hours=4))
    keys = {"labels_default": default, "max_lag": timedelta(minutes=20), "windows": BOTH}
    assert case.results("16:59", **keys).values("support", "accuracy_ratio", window="1h") == (1, 1.0)
    assert case.results("13:00", **keys).values("support", "accuracy_ratio", window="predicted") == (1, 0.0)


def test_shipped_rows_are_known_when_they_are_ingested(case: Case) -> None:
    """A prediction of 12:00 shipped at 12:30, its label of 12:10 shipped at 12:40: each is known from then on.

    In windows they lie by their own timestamps.
    """
    case.write(
        [prediction("a", "12:00", 1, ingested_at=at("12:30"))],
        [label("a", "12:10", 1, ingested_at=at("12:40")), label("x", "12:10", 1, ingested_at=at("12:20"))],
    )
    counted = {
        clock: case.results(clock, windows=BOTH).values("predictions", "support", "orphan_labels", window="predicted")
        for clock in ("12:20", "12:30", "12:30:00.000001", "12:40:00.000001", "13:00", "13:00:00.000001")
    }
    assert list(counted.values()) == [(0, 0, 0), (0, 0, 1), (1, 0, 1), (1, 1, 1), (1, 1, 1), (0, 0, 1)]
    assert case.results("13:10").value("support", window="1h") == 1
    assert case.results("13:10:00.000001").value("support", window="1h") == 0


def test_ingestion_of_one_log_alone(case: Case) -> None:
    """Only the labels are shipped: the older label shipped last neither replaces nor precedes the newer one."""
    case.write(
        [prediction("a", "12:00", 1)],
        [label("a", "12:20", 0, ingested_at=at("12:30")), label("a", "12:10", 1, ingested_at=at("12:50"))],
    )
    assert case.results("12:40").values("accuracy_ratio", "corrected_labels") == (0.0, 0)
    assert case.results("13:00").values("accuracy_ratio", "corrected_labels") == (0.0, 1)


def test_a_first_prediction_shipped_late_takes_its_place(case: Case) -> None:
    """The retry of 12:20 counts until the first answer of 12:10 is shipped at 12:50."""
    case.write(
        [
            prediction("a", "12:20", 0, ingested_at=at("12:20")),
            prediction("a", "12:10", 1, ingested_at=at("12:50")),
        ],
        [label("a", "12:30", 1)],
    )
    metrics = ("predictions", "accuracy_ratio", "duplicate_predictions")
    assert case.results("12:50").values(*metrics) == (1, 0.0, 0)
    assert case.results("13:00").values(*metrics) == (1, 1.0, 1)


def test_values_are_summed_over_labels(case: Case) -> None:
    """10.25 and -0.5 make 9.75, of four predictions 2.4375 each; NULL adds nothing, infinity is rejected."""
    case.write(
        [prediction(name, "12:10", 1) for name in "abcd"],
        [
            label("a", "12:20", 1, paid=10.25), label("b", "12:20", 1, paid=-0.5),
            label("c", "12:20", 1, paid=None), label("d", "12:20", 1, paid=float("inf")),
        ],
    )  # fmt: skip
    found = case.results(values=("paid",))
    assert found.values("value_sum", "value_per_prediction", column="paid") == (9.75, 9.75 / 4)
    assert found.rejected() == {"value_out_of_range": 1}
    assert found.value("support") == 4


def test_numbers_are_judged_by_their_error(case: Case) -> None:
    """Predictions 3, 5, -1 of labels 1, 5, 0: errors 2, 0, -1. MAE 1, RMSE sqrt(5/3), mean error 1/3, R2 = 1 - 5/14."""
    pairs = {"a": (3.0, 1.0), "b": (5.0, 5.0), "c": (-1.0, 0.0)}
    case.write(
        [prediction(name, "12:10", said) for name, (said, _) in pairs.items()],
        [label(name, "12:20", truth) for name, (_, truth) in pairs.items()],
    )
    found = case.results(task="regression")
    metrics = ("support", "mean_absolute_error", "root_mean_squared_error", "mean_error", "r2_score")
    assert found.values(*metrics) == pytest.approx((3, 1, (5 / 3) ** 0.5, 1 / 3, 1 - 5 / 14))


def test_squares_of_large_numbers_fit(case: Case) -> None:
    """Twenty labels of +-8e8, each predicted 1e6 too high: their squares sum to 1.28e19, beyond 64 bits."""
    names = [f"r{i}" for i in range(20)]
    truths = {name: 8e8 * (-1) ** i for i, name in enumerate(names)}
    case.write(
        [prediction(name, "12:10", truth + 1e6) for name, truth in truths.items()],
        [label(name, "12:20", truth) for name, truth in truths.items()],
    )
    found = case.results(task="regression")
    assert found.values("support", "root_mean_squared_error") == (20, 1e6)
    assert found.value("r2_score") == pytest.approx(1 - (1e6 / 8e8) ** 2, abs=1e-12)


def test_numbers_that_are_none_are_rejected(case: Case) -> None:
    """An infinite prediction or label is rejected with its request; a failed prediction is just that."""
    pairs = {"a": (3.0, 1.0), "b": (float("inf"), 5.0), "c": (1.0, float("-inf")), "d": (None, 1.0)}
    case.write(
        [prediction(name, "12:10", said) for name, (said, _) in pairs.items()],
        [label(name, "12:20", truth) for name, (_, truth) in pairs.items()],
    )
    found = case.results(task="regression")
    assert found.values("predictions", "support", "mean_absolute_error") == (2, 1, 2.0)
    assert found.rejected() == {"number_out_of_range": 2}


@pytest.mark.parametrize(("no", "yes"), [(0, 1), ("no", "yes"), ("", "déjà vu"), (False, True), (-1, 7)])
def test_classes_of_any_type(case: Case, no: Any, yes: Any) -> None:
    """Whatever classes are made of: one of two positives found, one of one negative: recall 1/2, precision 1."""
    case.write(
        [prediction("a", "12:10", yes), prediction("b", "12:10", no), prediction("c", "12:10", no)],
        [label("a", "12:20", yes), label("b", "12:20", yes), label("c", "12:20", no)],
    )
    found = case.results(positive_label=yes)
    quality = found.values("recall_ratio", "precision_ratio", "specificity_ratio", class_=str(yes))
    assert quality == (0.5, 1.0, 1.0)


def test_three_classes(case: Case) -> None:
    """Of the classes a, b, c only c is ever confused: said once for b. Macro recall is (1 + 0 + 1) / 3."""
    pairs = {"1": ("a", "a"), "2": ("c", "b"), "3": ("c", "c"), "4": ("a", "a")}
    case.write(
        [prediction(name, "12:10", said) for name, (said, _) in pairs.items()],
        [label(name, "12:20", truth) for name, (_, truth) in pairs.items()],
    )
    found = case.results(task="multiclass")
    assert [found.value("recall_ratio", class_=name) for name in ("a", "b", "c")] == [1.0, 0.0, 1.0]
    assert found.values("recall_ratio", class_="macro") == pytest.approx((2 / 3,))
    assert found.values("recall_ratio", class_="weighted") == pytest.approx((3 / 4,))


def test_a_default_label_is_a_class_like_the_others(case: Case) -> None:
    """A default written as the number 0 is the class '0' of labels that are text."""
    case.write([prediction("a", "12:00", "0"), prediction("b", "12:00", "1")], [label("b", "12:10", "1")])
    found = case.results(labels_default=LabelsDefault(label=0, after=timedelta(minutes=5)))
    assert found.values("support", "accuracy_ratio") == (2, 1.0)


def test_empty_logs(case: Case) -> None:
    """Two empty tables: all counts are 0, what is a share of nothing is undefined."""
    case.write([], [])
    found = case.results(windows=BOTH)
    metrics = ("predictions", "support", "accuracy_ratio", "label_coverage_ratio", "orphan_labels")
    assert found.values(*metrics, window="predicted") == (0, 0, None, None, 0)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM predictions;",
        "SELECT * FROM predictions ; \n ; ",
        "SELECT * FROM predictions; -- all of them",
        "SELECT * FROM predictions -- all of them; really",
        "-- first: second; third\nSELECT * FROM predictions -- 100%",
        "/* :colon; 100% */ SELECT * FROM predictions /* the end */",
        "SELECT * FROM predictions WHERE 'x%y' LIKE '%\\%_' ESCAPE '\\'",
        "WITH kept AS (SELECT * FROM predictions) SELECT * FROM kept",
        "SELECT * FROM predictions WHERE ':name' = ':name' AND length(':a:b;%s%%') = 9",
        "SELECT * FROM predictions WHERE length('\\:a') = 3 AND length('12:30') = 5 AND length('::') = 2",
        "SELECT * FROM predictions ORDER BY request_id LIMIT 10",
        "SELECT * FROM predictions WHERE 1 = 2 UNION ALL SELECT * FROM predictions",
    ],
)
def test_the_users_sql_is_run_as_it_is_written(case: Case, sql: str) -> None:
    """Colons, semicolons, comments, percent signs and backslashes mean what they mean to the database."""
    case.write([prediction("a", "12:10", 1)], [label("a", "12:20", 1)])
    assert case.results(predictions=sql).values("support", "accuracy_ratio") == (1, 1.0)


def test_text_with_colons_comes_through_unchanged(case: Case) -> None:
    """A slice value made of what looks like bind parameters is told as it is written."""
    case.write([prediction("a", "12:10", 1)], [label("a", "12:20", 1)])
    found = case.results(
        predictions="SELECT *, ':a:b \\:c %(d)s %% ::e' AS place FROM predictions", slices=(("place",),)
    )
    assert found.slices("support", "place") == {":a:b \\:c %(d)s %% ::e": 1}


@pytest.mark.parametrize("as_of", ["12:30:00.500000", "12:30:00.25"])
@pytest.mark.parametrize("fraction", ["", ".5", ".50", ".500", ".500000", ".500000000", ".25", ".250"])
def test_any_number_of_digits_is_a_fraction_of_a_second(case: Case, as_of: str, fraction: str) -> None:
    """Timestamps as text in SQLite, with however many digits, compare with instants by what they say."""
    case.write([prediction("a", "12:00", 1)], [])
    with case.engine.begin() as connection:
        connection.execute(sa.text(f"INSERT INTO labels VALUES ('a', 1, '2024-05-01 12:30:00{fraction}')"))
    known = float(f"0{fraction or '.0'}") < float(f"0.{as_of.partition('.')[2]}")
    assert case.results(as_of).value("support") == int(known)
