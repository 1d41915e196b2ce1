"""Numbers of any size, on engines that refuse a cast of what does not fit: rejected and counted, never an error."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from evaljob.config import LabelsDefault
from evaljob.config.duration import parse
from evaljob.database import connect
from tests.logs import at, create, evaluation, label, prediction, results

HUGE = [1e300, -1e300, 1e19, -1e10]
NOT_FINITE = [float("inf"), float("-inf"), float("nan")]  # MariaDB has none of them
REAL: dict[str, sa.types.TypeEngine[float]] = dict.fromkeys(
    ("prediction", "score", "latency_seconds", "label", "paid"), sa.Double()
)


@pytest.fixture(params=["sqlite", "duckdb", "postgres", "mariadb"])
def engine(request: pytest.FixtureRequest) -> Iterator[sa.Engine]:
    """An empty database of each engine."""
    urls = {"sqlite": "sqlite://", "duckdb": "duckdb:///:memory:"}
    url = urls.get(request.param) or request.getfixturevalue(f"{request.param}_database")
    made = connect(url, read_only=False)
    yield made
    made.dispose()


@pytest.fixture
def odd(engine: sa.Engine) -> list[float]:
    """Numbers that the engine can hold and evaljob cannot sum. SQLite has NULL for what is no number."""
    return [*HUGE, *{"mysql": [], "mariadb": [], "sqlite": NOT_FINITE[:2]}.get(engine.dialect.name, NOT_FINITE)]


def test_numbers_that_are_too_large(engine: sa.Engine, odd: list[float], tmp_path: Path) -> None:
    """As a prediction each rejects its request, labeled or not, and as a label too; 3 of 1 is off by 2."""
    names = [str(i) for i in range(len(odd))]
    said = [prediction(f"p{name}", "12:10", x) for name, x in zip(names, odd, strict=True)]
    said += [prediction(f"l{name}", "12:10", 1.0) for name in names] + [prediction("good", "12:10", 3.0)]
    told = [label(f"l{name}", "12:20", x) for name, x in zip(names, odd, strict=True)]
    told += [label("p0", "12:20", 1.0), label("good", "12:20", 1.0)]
    create(engine, "predictions", said, REAL)
    create(engine, "labels", told, REAL)
    default = LabelsDefault(label=2.0, after=parse("30m"))
    with engine.connect() as connection:
        found = results(connection, evaluation(tmp_path, task="regression", labels_default=default), at("13:00"))
        assert found.values("predictions", "support", "mean_absolute_error") == (1, 1, 2.0)
        assert found.rejected() == {"number_out_of_range": 2 * len(odd)}
        default = LabelsDefault(label=1e12, after=parse("30m"))
        found = results(connection, evaluation(tmp_path, task="regression", labels_default=default), at("13:00"))
        assert found.values("predictions", "support", "mean_absolute_error") == (1, 1, 2.0)


def test_scores_latencies_and_values_that_are_none(engine: sa.Engine, odd: list[float], tmp_path: Path) -> None:
    """A score rejects its request; a latency and a value are left out, and the request counts as right as it is."""
    names = [str(i) for i in range(len(odd))]
    said = [prediction(f"s{name}", "12:10", 1, x, latency_seconds=0.5) for name, x in zip(names, odd, strict=True)]
    said += [prediction(f"t{name}", "12:10", 1, 0.75, latency_seconds=x) for name, x in zip(names, odd, strict=True)]
    told = [label(row["request_id"], "12:20", 1, paid=x) for row, x in zip(said, odd * 2, strict=True)]
    create(engine, "predictions", said, {name: REAL[name] for name in ("score", "latency_seconds")})
    create(engine, "labels", told, {"paid": REAL["paid"]})
    with engine.connect() as connection:
        found = results(connection, evaluation(tmp_path, values=("paid",)), at("13:00"))
    assert found.values("support", "accuracy_ratio", "brier_score") == (len(odd), 1.0, 0.0625)
    assert found.value("value_sum", column="paid") == 0.0
    assert found.value("prediction_latency_seconds", quantile="0.5") is None
    assert found.rejected() == {
        "score_out_of_range": len(odd),
        "latency_out_of_range": len(odd),
        "value_out_of_range": 2 * len(odd),
    }
