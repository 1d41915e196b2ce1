"""How an application logs for evaljob: a row for every request, and truth whenever it comes. The part to take over.

Three things make the numbers right later:

- Every request leaves a row, also one that failed (`prediction` None), before its answer goes out.
- While the database cannot be reached, rows wait in a bounded file on this host (see spool.py) and follow as soon as it
  can. When that file is full too, `write` raises, and the request should fail: no prediction is served unlogged.
- Both logs are append-only. A corrected label is a further row. The same label again is none.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from examples.iris.database import connect, exclusive
from examples.iris.spool import Row, Spool
from examples.iris.tables import LABELS, METADATA, PREDICTIONS
from examples.iris.together import Together

_log = logging.getLogger(__name__)


@dataclass
class Prediction:
    """One request. `predicted_at` is naive UTC; `prediction` and `score`, that of the predicted class, None: it failed.

    `latency_seconds` is what the prediction took, without the writing of this row.
    """

    model: str
    request_id: str
    predicted_at: datetime
    model_version: str
    prediction: str | None = None
    score: float | None = None
    latency_seconds: float | None = None
    country: str | None = None
    device: str | None = None


@dataclass(frozen=True)
class Label:
    """The truth about one request. `label` None retracts what was said before."""

    request_id: str
    label: str | None
    revenue: float | None = None


class UnreachableError(Exception):
    """The database did not take what it was given. None of it is stored."""


class PredictionLog:
    """The two tables of one model. Safe in several threads, and together with other processes that do the same.

    `available` tells whether the database took what it was given last.
    """

    def __init__(self, url: str, model: str, spool: Spool) -> None:
        self._engine, self._model, self._spool = connect(url), model, spool
        self._columns: list[str] = []
        self._together = Together(self._insert)
        self.available = True

    def write(self, row: Prediction) -> bool:
        """Log a request: True when the database has it, False when it waits in the spool. Raises SpoolFullError."""
        plain = asdict(row) | {"predicted_at": row.predicted_at.isoformat()}
        if self.available:
            with suppress(UnreachableError):
                self._together.write(plain)
                return True
        self._spool.append(plain)
        return False

    def replay(self) -> None:
        """Give the database what waits in the spool. To be called every second or so; it does nothing most times."""
        if self.available and self._columns and not self._spool.size:
            return
        try:
            self._probe()
            self._spool.drain(self._insert_missing)
        except sa.exc.SQLAlchemyError as error:
            self._lost(error)
        else:
            self.available = True

    def label(self, labels: Sequence[Label]) -> Counter[str]:
        """Store truth, all of it or none, and count what it was: `new`, `corrected`, `repeated`; and `orphan` as well.

        A repeated label adds no row. An orphan has no prediction in the table; it is stored all the same. Rows carry
        the time of this call, for evaljob takes a label to be known since its `labeled_at`. Raises UnreachableError.
        """
        if not self.available:  # whoever waits for what is not there takes a thread from those who need none of it
            raise UnreachableError("the label log cannot be reached")
        try:
            self._prepare()
            with exclusive(self._engine) as connection:
                return self._label(connection, labels)
        except sa.exc.SQLAlchemyError as error:
            self._lost(error)
            raise UnreachableError(f"the label log cannot be reached: {_reason(error)}") from error

    def close(self) -> None:
        """Give the connections back."""
        self._engine.dispose()

    def _insert(self, rows: Sequence[Row]) -> None:
        if not self.available:
            raise UnreachableError("it went away while these rows waited for their turn")
        try:
            self._prepare()
            with self._engine.begin() as connection:
                self._insert_into(connection, rows)
        except sa.exc.SQLAlchemyError as error:
            self._lost(error)
            raise UnreachableError(_reason(error)) from error

    def _insert_missing(self, rows: Sequence[Row]) -> None:
        """Leave out what came in already: a failed write may have succeeded, and a replay may have been interrupted."""
        with self._engine.begin() as connection:
            there = _ids(connection, PREDICTIONS, self._model, [row["request_id"] for row in rows])
            missing = [row for row in rows if row["request_id"] not in there]
            if missing:
                self._insert_into(connection, missing)

    def _insert_into(self, connection: sa.Connection, rows: Sequence[Row]) -> None:
        now = _now()
        full = [row | {"predicted_at": datetime.fromisoformat(row["predicted_at"]), "ingested_at": now} for row in rows]
        connection.execute(sa.insert(PREDICTIONS), [{name: row.get(name) for name in self._columns} for row in full])

    def _label(self, connection: sa.Connection, labels: Sequence[Label]) -> Counter[str]:
        ids = [label.request_id for label in labels]
        predicted = _ids(connection, PREDICTIONS, self._model, ids)
        latest, rows, counts = self._latest(connection, ids), list[Row](), Counter[str]()
        for label in labels:
            before = latest.get(label.request_id)
            counts[_outcome(label, before)] += 1
            counts["orphan"] += label.request_id not in predicted
            if _outcome(label, before) != "repeated":
                latest[label.request_id] = row = self._row(label, before)
                rows.append(row)
        if rows:
            connection.execute(sa.insert(LABELS), rows)
        return counts

    def _row(self, label: Label, before: Row | None) -> Row:
        labeled_at = _now()
        if before is not None:  # the latest row is the truth: a correction must be later, though clocks of hosts differ
            labeled_at = max(labeled_at, before["labeled_at"] + timedelta(microseconds=1))
        return {"model": self._model, "labeled_at": labeled_at, **asdict(label)}

    def _latest(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, Row]:
        query = sa.select(LABELS).where(LABELS.c.model == self._model, LABELS.c.request_id.in_(ids))
        rows = connection.execute(query.order_by(LABELS.c.labeled_at, LABELS.c.label)).mappings()
        return {row["request_id"]: dict(row) for row in rows}

    def _prepare(self) -> None:
        """Make the tables where they are missing, once, by one process at a time."""
        if not self._columns:
            with exclusive(self._engine) as connection:
                METADATA.create_all(connection)
                found = {column["name"] for column in sa.inspect(connection).get_columns(PREDICTIONS.name)}
            self._columns = [column.name for column in PREDICTIONS.columns if column.name in found]

    def _probe(self) -> None:
        self._prepare()
        with self._engine.begin() as connection:
            connection.execute(sa.select(1))

    def _lost(self, error: sa.exc.SQLAlchemyError) -> None:
        if self.available:
            _log.error("the prediction log cannot be reached, rows wait in the spool: %s", _reason(error))
        self.available = False


def _outcome(label: Label, before: Row | None) -> str:
    if before is None:
        return "new"
    return "repeated" if (label.label, label.revenue) == (before["label"], before["revenue"]) else "corrected"


def _ids(connection: sa.Connection, table: sa.Table, model: str, ids: Sequence[str]) -> set[str]:
    query = sa.select(table.c.request_id).where(table.c.model == model, table.c.request_id.in_(ids))
    return set(connection.scalars(query))


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _reason(error: sa.exc.SQLAlchemyError) -> str:
    """What the driver said, without the statement and its values."""
    said: Any = getattr(error, "orig", None) or error
    return str(said).strip().partition("\n")[0]
