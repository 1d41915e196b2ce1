"""Small logs for tests: rows as Python dicts, in the tables of any engine, and what evaljob makes of them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeAlias

import pandas as pd
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from evaljob import job, join
from evaljob.advance import advance
from evaljob.cells import Cells, collect, empty
from evaljob.config import Evaluation
from evaljob.config.duration import parse
from evaljob.join import Plan
from evaljob.metrics import evaluate
from evaljob.metrics.results import LABELS
from evaljob.opening import plan_of
from evaljob.source import Log
from evaljob.window import Timestamp, Window

Row: TypeAlias = dict[str, Any]
Types: TypeAlias = Mapping[str, sa.types.TypeEngine[Any]]

DAY = datetime(2024, 5, 1)  # noqa: DTZ001  (naive timestamps are UTC)
STAMP = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
TEXT = sa.String(64)
ALWAYS: dict[Log, dict[str, sa.types.TypeEngine[Any]]] = {
    "predictions": {
        "request_id": TEXT, "predicted_at": STAMP, "model_version": TEXT, "prediction": sa.BigInteger(),
    },
    "labels": {"request_id": TEXT, "label": sa.BigInteger(), "labeled_at": STAMP},
}  # fmt: skip
_BY_VALUE: tuple[tuple[type, sa.types.TypeEngine[Any]], ...] = (
    (bool, sa.Boolean()), (int, sa.BigInteger()), (float, sa.Double()), (str, TEXT), (datetime, STAMP),
    (date, sa.Date()), (Decimal, sa.Numeric(20, 9)), (bytes, sa.LargeBinary(16)),
)  # fmt: skip


def at(clock: str, day: int = 1) -> datetime:
    """A naive timestamp: `12:30`, `12:30:01` or `12:30:01.000001` of a day in May 2024."""
    return datetime.combine(DAY + timedelta(days=day - 1), datetime.strptime(_full(clock), "%H:%M:%S.%f").time())  # noqa: DTZ007


def utc(t: datetime) -> datetime:
    """A naive timestamp as the instant it stands for."""
    return t.replace(tzinfo=UTC)


def prediction(request_id: Any, clock: str, said: Any, score: float | None = None, **more: Any) -> Row:
    """A row of the prediction log, of version v1 unless `more` says otherwise."""
    row = {"request_id": request_id, "predicted_at": at(clock), "model_version": "v1", "prediction": said}
    return row | {"score": score} | more


def label(request_id: Any, clock: str, truth: Any, **more: Any) -> Row:
    """A row of the label log."""
    return {"request_id": request_id, "label": truth, "labeled_at": at(clock)} | more


def window(length: str, on: Timestamp = "labeled_at", maturity: str = "0s", name: str | None = None) -> Window:
    """A window named by its length."""
    return Window(name or length, parse(length), on, parse(maturity))


def evaluation(
    folder: Path,
    predictions: str = "SELECT * FROM predictions",
    labels: str = "SELECT * FROM labels",
    **keys: Any,
) -> Evaluation:
    """A binary evaluation of the model `m` with a window of an hour, but for what `keys` say. Writes its SQL."""
    for log, sql in (("predictions", predictions), ("labels", labels)):
        (folder / f"{log}.sql").write_text(sql, encoding="utf-8")
    files = {"predictions": folder / "predictions.sql", "labels": folder / "labels.sql"}
    task = {"task": "binary", "positive_label": 1} if "task" not in keys else {}
    return Evaluation(**{"model": "m", "windows": (window("1h"),), "min_support": 1} | task | files | keys)


def create(
    engine: sa.Engine, log: Log, rows: Sequence[Row] = (), types: Types | None = None, name: str | None = None
) -> sa.Table:
    """A log's table with its rows. Columns are those of the rows, of types that hold their values or of `types`."""
    names = dict.fromkeys([*ALWAYS[log], *(column for row in rows for column in row), *(types or {})])
    columns = [sa.Column(column, (types or {}).get(column) or _type(log, column, rows)) for column in names]
    table = sa.Table(name or log, sa.MetaData(), *columns)
    with engine.begin() as connection:
        table.create(connection)
        append(connection, table, rows)
    return table


def drop(engine: sa.Engine) -> None:
    """No logs any more."""
    with engine.begin() as connection:
        for log in ALWAYS:
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {log}"))


def append(connection: sa.Connection, table: sa.Table, rows: Iterable[Row]) -> None:
    """Further rows of a log."""
    whole = [{name: row.get(name) for name in table.columns.keys()} for row in rows]  # noqa: SIM118
    if whole:
        connection.execute(sa.insert(table), whole)


def plan(connection: sa.Connection, of: Evaluation) -> Plan:
    """The evaluation over its logs, checked as every run checks them."""
    return plan_of(connection, of)


def full(connection: sa.Connection, of: Plan, as_of: datetime) -> Cells:
    """The cells of a full count."""
    return advance(connection, of, None, as_of, "").state.cells


def stepped(connection: sa.Connection, of: Plan, cells: Cells, before: datetime, after: datetime) -> Cells:
    """The cells at `after` from those at `before`, however far apart the two are."""
    result = connection.execute(join.step(of, before, after))
    return (cells + collect(of, list(result.keys()), [result.fetchall()])).checked()


@dataclass(frozen=True)
class Results:
    """The results of one evaluation, to be asked for by metric."""

    frame: pd.DataFrame

    def value(self, metric: str, **labels: str) -> float | None:
        """The one value of a metric for a series, by default the total; None where it is undefined."""
        found = self.rows(metric, **labels)
        assert len(found) == 1, f"{len(found)} results of {metric} {labels}"
        number = found["value"].astype(float).tolist()[0]
        return None if math.isnan(number) else number

    def values(self, *metrics: str, **labels: str) -> tuple[float | None, ...]:
        """The values of several metrics for a series."""
        return tuple(self.value(metric, **labels) for metric in metrics)

    def rejected(self, **labels: str) -> dict[str, float]:
        """How many rows were rejected, by reason, without the zeros."""
        found = self.rows("rejected_rows", reason=None, **labels)
        return {reason: value for reason, value in _pairs(found, "reason") if value}

    def slices(self, metric: str, name: str, **labels: str) -> dict[str, float]:
        """A metric by the values of a slice."""
        found = self.rows(metric, slice=name, slice_value=None, **labels)
        return dict(_pairs(found, "slice_value"))

    def rows(self, metric: str, **labels: str | None) -> pd.DataFrame:
        """The results of a metric for a series; a label that is None may have any value."""
        frame = self.frame[self.frame["metric"] == metric]
        of_total: dict[str, str | None] = {"model_version": "all", "slice": "overall", "slice_value": ""}
        own = dict.fromkeys(LABELS, "")
        asked = of_total | own | {name.rstrip("_"): value for name, value in labels.items()}
        for name, value in asked.items():
            frame = frame if value is None else frame[frame[name].astype(str) == value]
        return frame


def results(connection: sa.Connection, of: Evaluation, as_of: datetime) -> Results:
    """What a full count gives at `as_of` (naive: UTC), once two steps from no rows at all have given the same."""
    planned, instant = plan(connection, of), utc(as_of)
    cells = full(connection, planned, instant)
    sliding = empty(planned)
    for before, after in pairwise((timedelta(days=2), timedelta(minutes=31), timedelta(0))):
        sliding = stepped(connection, planned, sliding, instant - before, instant - after)
    assert sliding.identical(cells), f"{sliding.drift(cells)} cells differ between steps and full count"
    return Results(evaluate(of, cells, instant, job.unplaceable(connection, planned, instant)))


def _pairs(frame: pd.DataFrame, column: str) -> Iterable[tuple[str, float]]:
    return zip(frame[column].astype(str).tolist(), frame["value"].astype(float).tolist(), strict=True)


def _type(log: Log, name: str, rows: Sequence[Row]) -> sa.types.TypeEngine[Any]:
    value = next((row[name] for row in rows if row.get(name) is not None), None)
    of_value = next((type_ for kind, type_ in _BY_VALUE if isinstance(value, kind)), sa.Double())
    return of_value if value is not None else ALWAYS[log].get(name, of_value)


def _full(clock: str) -> str:
    clock = clock if clock.count(":") == 2 else f"{clock}:00"
    return clock if "." in clock else f"{clock}.0"
