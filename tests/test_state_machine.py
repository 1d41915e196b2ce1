"""Whatever happens in whatever order, the state is what a full count gives: hypothesis looks for a way to break it.

The state lies in a real store and goes through the code that every run goes through.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from evaljob.advance import Advanced, advance
from evaljob.cells import Cells
from evaljob.config import LabelsDefault
from evaljob.database import connect
from evaljob.schema import opened
from evaljob.state import State, Store, fingerprint
from evaljob.window import Window
from tests.logs import STAMP, TEXT, Row, append, create, drop, evaluation, full, plan, utc, window
from tests.worlds import CLASSES, NOON, labels, predictions

RUNS = {"sqlite": (12, 14), "duckdb": (5, 10), "postgres": (5, 10)}  # how many runs on an engine, of how many steps
OF_CLASS: dict[str, sa.types.TypeEngine[Any]] = {
    "binary": sa.BigInteger(), "multiclass": TEXT, "regression": sa.Double(),
}  # fmt: skip
COLUMNS = "request_id, predicted_at, model_version, prediction, score, latency_seconds, country"
SQL = {
    "predictions": {True: "SELECT * FROM predictions", False: f"SELECT {COLUMNS} FROM predictions"},
    "labels": {True: "SELECT * FROM labels", False: "SELECT request_id, label, labeled_at, paid FROM labels"},
}
HOUR, DAY, MICROSECOND = timedelta(hours=1), timedelta(days=1), timedelta(microseconds=1)
AGES_AGO = NOON - 100 * DAY
OLD: Row = {
    "request_id": "old", "predicted_at": AGES_AGO, "labeled_at": AGES_AGO, "ingested_at": AGES_AGO, "score": 0.5,
    "model_version": "v1", "latency_seconds": 0.5, "country": "NP", "paid": 0.5,
}  # fmt: skip
LATER = [timedelta(0), timedelta(0), MICROSECOND, HOUR / 2, HOUR, 5 * HOUR / 2, 20 * HOUR]
EARLIER = [-MICROSECOND, -HOUR / 2, -3 * HOUR, -26 * HOUR, -5 * DAY]
STEPS = [timedelta(0), MICROSECOND, HOUR / 2, HOUR / 2, HOUR / 2, HOUR, HOUR, 3 * HOUR, 10 * HOUR]
LONG = window("4d", name="long")  # steps of more than 12 hours are counted afresh
WINDOWS: list[tuple[Window, ...]] = [
    (window("1h"), window("3h", on="predicted_at"), LONG),
    (window("6h", on="predicted_at", maturity="1h"), window("1d", on="predicted_at", maturity="6h"), LONG),
    (window("1h"), window("30m", name="half"), window("4d", on="predicted_at", maturity="3h")),
]

configurations = st.fixed_dictionaries({
    "windows": st.sampled_from(WINDOWS),
    "slices": st.sampled_from([(), (("country",),), (("country", "model_version"), ("country",))]),
    "values": st.sampled_from([(), ("paid",)]),
    "after": st.sampled_from([None, HOUR / 2, 5 * HOUR]),
    "max_lag": st.sampled_from([None, 3 * HOUR / 2, 2 * DAY]),
})  # fmt: skip
later = st.sampled_from(LATER)
steps = st.lists(st.sampled_from(STEPS), min_size=1, max_size=3)
offsets = st.lists(later, min_size=1, max_size=4)
anytime = st.sampled_from([*LATER, *EARLIER, None])


class Worker(RuleBasedStateMachine):
    """An evaluation over logs that are appended to, a clock, and a store that the state of every run goes into.

    `clock` is the first instant (naive, UTC) of which nothing is known yet: the `as_of` of the state.
    """

    def __init__(self, engine: sa.Engine, states: sa.Engine, folder: Path, seen: Counter[str]) -> None:
        super().__init__()
        self.engine, self.states, self.folder, self.seen = engine, states, folder, seen
        self.store = Store(opened(states))
        with states.begin() as transaction:
            self.store.forget(transaction, ["m"])
        self.clock = NOON
        self.served: list[str] = []

    @initialize(
        task=st.sampled_from(list(CLASSES)), shipped=st.tuples(st.booleans(), st.booleans()), keys=configurations
    )
    def begin(self, task: str, shipped: tuple[bool, bool], keys: dict[str, Any]) -> None:
        """Empty logs, which say or do not say when their rows became visible."""
        drop(self.engine)
        self.task = task
        of_class = OF_CLASS[task]
        real: sa.types.TypeEngine[Any] = sa.Double()
        row = {"prediction": of_class, "score": real, "latency_seconds": real, "country": TEXT, "ingested_at": STAMP}
        self.predictions = create(self.engine, "predictions", types=row)
        self.labels = create(self.engine, "labels", types={"label": of_class, "paid": real, "ingested_at": STAMP})
        with self.engine.begin() as connection:  # SQLite's columns have the types of what they hold
            append(connection, self.predictions, [OLD | {"prediction": CLASSES[task][0]}])
            append(connection, self.labels, [OLD | {"label": CLASSES[task][0]}])
        self.configure(shipped, keys)

    @rule(shipped=st.tuples(st.booleans(), st.booleans()), keys=configurations)
    def configure(self, shipped: tuple[bool, bool], keys: dict[str, Any]) -> None:
        """Another configuration of the same model, which the next run finds."""
        self.shipped = shipped
        after, keys = keys["after"], {name: value for name, value in keys.items() if name != "after"}
        keys["labels_default"] = None if after is None else LabelsDefault(label=CLASSES[self.task][0], after=after)
        keys["positive_label"] = 1 if self.task == "binary" else None
        folder = self.folder / "".join(map(str, shipped))
        folder.mkdir(exist_ok=True)
        sql = [SQL[log][own] for log, own in zip(("predictions", "labels"), shipped, strict=True)]
        self.evaluation = evaluation(folder, *sql, task=self.task, **keys)

    @rule(data=st.data(), offsets=offsets, by=steps)
    def serve(self, data: st.DataObject, offsets: list[timedelta], by: list[timedelta]) -> None:
        """New requests, or rows without an id."""
        rows = [self._stamped(data.draw(predictions(self.task, shipped=False)), "predicted_at", t) for t in offsets]
        for row in rows:
            row["request_id"] = data.draw(st.sampled_from([self._next(), self._next(), None]))
            self.served += [row["request_id"]] if row["request_id"] else []
        self._append(self.predictions, rows, by)

    @precondition(lambda self: self.served)
    @rule(data=st.data(), offsets=offsets, by=steps)
    def retry(self, data: st.DataObject, offsets: list[timedelta], by: list[timedelta]) -> None:
        """Duplicates of requests that were served, or will be."""
        rows = [self._stamped(data.draw(predictions(self.task, shipped=False)), "predicted_at", t) for t in offsets]
        self._append(self.predictions, [row | {"request_id": data.draw(self._known())} for row in rows], by)

    @rule(data=st.data(), offsets=offsets, by=steps)
    def label(self, data: st.DataObject, offsets: list[timedelta], by: list[timedelta]) -> None:
        """Labels: of requests that were served or will be, once and again, or taken back, or without an id."""
        rows = [self._stamped(data.draw(labels(self.task, shipped=False)), "labeled_at", t) for t in offsets]
        ids = self._known() | st.none()
        self._append(self.labels, [row | {"request_id": data.draw(ids)} for row in rows], by)

    @precondition(lambda self: self.served)
    @rule(data=st.data(), offsets=offsets, by=steps)
    def correct(self, data: st.DataObject, offsets: list[timedelta], by: list[timedelta]) -> None:
        """Labels of one request, all at once or one after the other."""
        id_ = data.draw(self._known())
        rows = [self._stamped(data.draw(labels(self.task, shipped=False)), "labeled_at", t) for t in offsets]
        self._append(self.labels, [row | {"request_id": id_} for row in rows], by)

    @rule(data=st.data(), offset=later, by=steps)
    def label_nothing(self, data: st.DataObject, offset: timedelta, by: list[timedelta]) -> None:
        """A label whose prediction never comes."""
        row = data.draw(labels(self.task, shipped=False)) | {"request_id": "nobody"}
        self._append(self.labels, [self._stamped(row, "labeled_at", offset)], by)

    @precondition(lambda self: any(self.shipped))
    @rule(data=st.data(), stamps=st.lists(anytime, min_size=1, max_size=4), offset=later, by=steps)
    def ship(self, data: st.DataObject, stamps: list[timedelta | None], offset: timedelta, by: list[timedelta]) -> None:
        """Rows that become visible long after their own timestamps, long before them, or without one."""
        ofs = [i for i, shipped in enumerate(self.shipped) if shipped]
        table, kind, name = [
            (self.predictions, predictions, "predicted_at"), (self.labels, labels, "labeled_at"),
        ][data.draw(st.sampled_from(ofs))]  # fmt: skip
        rows = []
        for stamp in stamps:
            id_ = data.draw(self._known())
            own = {name: None if stamp is None else self.clock + stamp, "ingested_at": self.clock + offset}
            rows.append(data.draw(kind(self.task, shipped=False)) | own | {"request_id": id_})
        self._append(table, rows, by)

    @rule(by=st.sampled_from([*STEPS, 3 * DAY]))
    def wait(self, by: timedelta) -> None:
        """Nothing happens."""
        self._run(by)

    @rule(by=st.sampled_from(STEPS[1:]))
    def go_back(self, by: timedelta) -> None:
        """A run for an earlier instant is a full count, and leaves the state alone."""
        before, advanced = self._state(), self._advance(self.clock - by)
        assert advanced.state.cells.identical(self._full(self.clock - by))
        if before is not None:
            assert not advanced.kept
            assert self._same(before, self._state())

    @rule()
    def restart(self) -> None:
        """Another process opens the same store."""
        self.states.dispose()
        self.store = Store(opened(self.states))

    def _run(self, by: timedelta) -> None:
        """The clock goes on, by nothing at all too, and the job runs: the stored state is what a full count gives."""
        self.clock += by
        advanced = self._advance(self.clock)
        self.seen["recounted" if advanced.recounted else "stepped" if advanced.kept else "stood"] += 1
        if advanced.kept:
            with self.states.begin() as transaction:
                self.store.replace(transaction, "m", advanced.state)
        state = self._state()
        assert state is not None
        assert state.as_of == utc(self.clock)
        assert state.cells.identical(self._full(self.clock))

    def _advance(self, as_of: datetime) -> Advanced:
        with self.engine.connect() as connection:
            of = plan(connection, self.evaluation)
            return advance(connection, of, self._state(), utc(as_of), fingerprint(of, str(self.engine.url)))

    def _full(self, as_of: datetime) -> Cells:
        with self.engine.connect() as connection:
            return full(connection, plan(connection, self.evaluation), utc(as_of))

    def _next(self) -> str:
        """The id of the next new request, which labels may come for already."""
        return f"r{len(self.served)}"

    def _known(self) -> st.SearchStrategy[str]:
        """The ids that were served, the latest ones first, and the next one."""
        return st.sampled_from([*self.served[::-1], self._next()])

    def _state(self) -> State | None:
        return self.store.load("m")

    def _same(self, one: State, other: State | None) -> bool:
        return other is not None and one.revision == other.revision and one.cells.identical(other.cells)

    def _stamped(self, row: Row, name: str, offset: timedelta) -> Row:
        """A row of now or later, visible at once: no instant that was evaluated could have known of it."""
        return row | {name: self.clock + offset, "ingested_at": self.clock + offset}

    def _append(self, table: sa.Table, rows: list[Row], by: list[timedelta]) -> None:
        """Further rows, and then the next runs: without them most examples would hardly step at all."""
        with self.engine.begin() as connection:
            append(connection, table, rows)
        for step in by:
            self._run(step)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """An empty database of the engine that the test is for."""
    url = {"sqlite": "sqlite://", "duckdb": "duckdb:///:memory:"}.get(request.param)
    made = connect(url or request.getfixturevalue("postgres_database"), read_only=False)
    yield made
    made.dispose()


@pytest.mark.parametrize(("engine", "runs"), RUNS.items(), indirect=["engine"])
def test_the_state_equals_a_full_count_after_every_step(
    engine: sa.Engine, runs: tuple[int, int], tmp_path: Path
) -> None:
    """Predictions, labels, corrections, duplicates, orphans, late rows, any clock, restarts, other configurations."""
    states = connect(f"sqlite:///{tmp_path / 'state.db'}", read_only=False)
    seen: Counter[str] = Counter()
    examples, longest = runs

    class Here(Worker):
        def __init__(self) -> None:
            super().__init__(engine, states, tmp_path, seen)

    how = settings(
        max_examples=examples, stateful_step_count=longest, suppress_health_check=list(HealthCheck), deadline=None
    )
    run_state_machine_as_test(Here, settings=how)
    states.dispose()
    assert seen["stepped"]
    assert seen["recounted"]
