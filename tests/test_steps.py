"""The property the design rests on: stepping gives what counting afresh gives, cell for cell, on every engine."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evaljob.database import connect
from evaljob.state import from_bytes, to_bytes
from tests.logs import STAMP, TEXT, at, create, drop, evaluation, full, label, plan, prediction, stepped, utc, window
from tests.worlds import World, instants, worlds

CLASSES: dict[str, sa.types.TypeEngine[Any]] = {
    "binary": sa.BigInteger(),
    "multiclass": TEXT,
    "regression": sa.Double(),
}
EXAMPLES = {"sqlite": 25, "duckdb": 4, "postgres": 4}


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """An empty database of the engine that the test is for."""
    url = {"sqlite": "sqlite://", "duckdb": "duckdb:///:memory:"}.get(request.param)
    made = connect(url or request.getfixturevalue("postgres_database"), read_only=False)
    yield made
    made.dispose()


@pytest.mark.parametrize(("engine", "examples"), EXAMPLES.items(), indirect=["engine"])
def test_steps_equal_full_counts(engine: sa.Engine, examples: int, tmp_path: Path) -> None:
    """From any instant over any others, with restarts between: late, corrected, shipped, orphan and retracted rows."""

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck))
    @given(world=worlds(), instants_=st.lists(instants, min_size=1, max_size=4))
    def holds(world: World, instants_: list[datetime]) -> None:
        _write(engine, world)
        evaluated = evaluation(tmp_path, **world.keys)
        first, *others = sorted([world.before, world.after, *instants_])
        with engine.connect() as connection:
            of = plan(connection, evaluated)
            cells = full(connection, of, utc(first))
            for before, after in zip([first, *others], others, strict=False):
                restarted = from_bytes(to_bytes(cells))
                cells = stepped(connection, of, restarted, utc(before), utc(after))
                assert cells.identical(full(connection, of, utc(after)))

    holds()


@pytest.mark.parametrize("engine", EXAMPLES, indirect=True)
def test_steps_over_the_horizon(engine: sa.Engine, tmp_path: Path) -> None:
    """With a lag of at most half an hour, a window of three hours knows no row older than three and a half.

    So at 12:40 the prediction of 09:00 is forgotten, and the one of 11:30 becomes the first of its request.
    """
    create(engine, "predictions", [prediction("a", "09:00", 1, 0.9), prediction("a", "11:30", 0, 0.2)])
    create(engine, "labels", [label("a", "11:40", 0)])
    windows = (window("3h", on="predicted_at"),)
    evaluated = evaluation(tmp_path, windows=windows, max_lag=timedelta(minutes=30))
    before, after = utc(at("12:20")), utc(at("12:40"))
    with engine.connect() as connection:
        of = plan(connection, evaluated)
        cells = full(connection, of, before)
        assert cells.frame.empty
        expected = full(connection, of, after)
        assert not expected.frame.empty
        assert stepped(connection, of, cells, before, after).identical(expected)


def _write(engine: sa.Engine, world: World) -> None:
    drop(engine)
    of_class = CLASSES[world.keys["task"]]
    ids: dict[str, sa.types.TypeEngine[Any]] = {"request_id": TEXT}
    of_row = {"model_version": TEXT, "prediction": of_class, "country": TEXT}
    numbers: dict[str, sa.types.TypeEngine[Any]] = {"score": sa.Double(), "latency_seconds": sa.Double()}
    create(engine, "predictions", world.predictions, ids | of_row | numbers)
    create(engine, "labels", world.labels, ids | {"label": of_class, "labeled_at": STAMP, "paid": sa.Double()})
