"""The log tables: those of sql/schema.sql and one column more, `ingested_at`.

A row that had to wait in the spool comes into the table after its `predicted_at`. evaljob steps from run to run by what
is new, so it must be told when the row became visible. A table without the column is served as well, but then the rows
of an outage reach the numbers at the next `evaljob run --full` only.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

MYSQL = ("mysql", "mariadb")


def _text(length: int) -> sa.types.TypeEngine[str]:
    # These two take A for a as long as nobody says otherwise.
    exact = mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin")
    return sa.String(length).with_variant(exact, *MYSQL)


# DATETIME without a precision drops the microseconds there.
_INSTANT = sa.DateTime().with_variant(mysql.DATETIME(fsp=6), *MYSQL)

METADATA = sa.MetaData()
PREDICTIONS = sa.Table(
    "predictions",
    METADATA,
    sa.Column("model", _text(64), nullable=False),
    sa.Column("request_id", _text(64), nullable=False),
    sa.Column("predicted_at", _INSTANT, nullable=False),
    sa.Column("model_version", _text(64), nullable=False),
    sa.Column("prediction", _text(64)),
    sa.Column("score", sa.Double),
    sa.Column("latency_seconds", sa.Double),
    sa.Column("country", _text(8)),
    sa.Column("device", _text(16)),
    sa.Column("ingested_at", _INSTANT),
    sa.Index("predictions_request_id", "request_id"),
    sa.Index("predictions_predicted_at", "predicted_at"),
    sa.Index("predictions_ingested_at", "ingested_at"),
)
LABELS = sa.Table(
    "labels",
    METADATA,
    sa.Column("model", _text(64), nullable=False),
    sa.Column("request_id", _text(64), nullable=False),
    sa.Column("label", _text(64)),
    sa.Column("labeled_at", _INSTANT, nullable=False),
    sa.Column("revenue", sa.Double),
    sa.Index("labels_request_id", "request_id"),
    sa.Index("labels_labeled_at", "labeled_at"),
)
