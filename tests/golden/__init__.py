"""Golden SQL: the statement of one evaluation in the dialects of warehouses, a file each, written out to be read.

`python -m tests.golden` writes the files anew.
"""

import warnings
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from evaljob import join
from evaljob.config import Evaluation, LabelsDefault, Partition
from evaljob.join import Plan
from evaljob.source import Source
from evaljob.types import Kind
from evaljob.window import Window

FOLDER = Path(__file__).parent
DIALECTS = {
    "bigquery": ("sqlalchemy_bigquery", "BigQueryDialect"),
    "clickhouse": ("clickhouse_connect.cc_sqlalchemy.dialect", "ClickHouseDialect"),
    "databricks": ("databricks.sqlalchemy", "DatabricksDialect"),
    "redshift": ("sqlalchemy_redshift.dialect", "RedshiftDialect_psycopg2"),
    "snowflake": ("snowflake.sqlalchemy.snowdialect", "dialect"),
    "spark": ("evaljob.spark", "SparkDialect"),
    "trino": ("trino.sqlalchemy.dialect", "TrinoDialect"),
}
AS_OF = datetime(2026, 6, 1, 12, tzinfo=UTC)
STEP = timedelta(minutes=5)
AWARE = ("bigquery",)  # whose timestamps are instants


def dialect(name: str) -> sa.Dialect:
    """The dialect of a project of its own."""
    module, class_ = DIALECTS[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, at import
        made: sa.Dialect = getattr(import_module(module), class_)()
    return made


def golden(name: str) -> str:
    """The text of a golden file: a full count, and a step of five minutes."""
    of, plan = dialect(name), plan_for(name)
    statements = {
        f"full count as of {AS_OF}": join.full(plan, AS_OF),
        f"step from {AS_OF - STEP} to {AS_OF}": join.step(plan, AS_OF - STEP, AS_OF),
    }
    return "\n".join(f"-- {name}: {what}\n{_text(statement, of)};\n" for what, statement in statements.items())


def plan_for(name: str) -> Plan:
    """A binary evaluation with everything that changes the statement, over tables that are partitioned by day."""
    stamp: Kind = "timestamptz" if name in AWARE else "timestamp"
    predictions: dict[str, Kind] = {
        "request_id": "text", "predicted_at": stamp, "model_version": "text", "prediction": "integer",
        "score": "float", "latency_seconds": "float", "country": "text", "device": "text", "day": "date",
    }  # fmt: skip
    labels: dict[str, Kind] = {
        "request_id": "text", "label": "integer", "labeled_at": stamp, "revenue": "float", "day": "date",
    }  # fmt: skip
    day = Partition(column="day")
    return Plan(
        _evaluation(day),
        Source(
            "predictions",
            Path("predictions.sql"),
            f"SELECT {', '.join(predictions)} FROM ml.predictions",
            predictions,
            day,
        ),
        Source("labels", Path("labels.sql"), f"SELECT {', '.join(labels)} FROM ml.labels", labels, day),
        indexed=False,
        repeats=name in ("databricks", "spark"),
    )


def _evaluation(day: Partition) -> Evaluation:
    return Evaluation(
        model="golden",
        task="binary",
        positive_label=1,
        predictions=Path("predictions.sql"),
        predictions_partition=day,
        labels=Path("labels.sql"),
        labels_partition=day,
        max_lag=timedelta(days=7),
        windows=(
            Window("1h", timedelta(hours=1), "labeled_at", timedelta(0)),
            Window("24h_mature", timedelta(hours=24), "predicted_at", timedelta(hours=6)),
        ),
        slices=(("country",), ("country", "device")),
        labels_default=LabelsDefault(label=0, after=timedelta(hours=20)),
        values=("revenue",),
    )


def _text(statement: sa.Select[Any], of: sa.Dialect) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        text = str(statement.compile(dialect=of, compile_kwargs={"literal_binds": True}))
    return text % () if of.paramstyle in ("format", "pyformat") else text


def files() -> Iterator[tuple[Path, str]]:
    """Every golden file with what it should hold."""
    for name in DIALECTS:
        yield FOLDER / f"{name}.sql", golden(name)
