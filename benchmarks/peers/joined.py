"""The joined frame that peers want made for them: by DuckDB, straight into pandas. Known to every peer's Python."""

import datetime as dt
from pathlib import Path

import duckdb
import pandas as pd

END = dt.datetime(2026, 3, 31)  # noqa: DTZ001  (naive timestamps are UTC, as in benchmarks.logs)
WINDOWS = {  # name: (timestamp, days, maturity in days), as in benchmarks.evaluations
    "1h": ("labeled_at", 1 / 24, 0.0),
    "24h": ("labeled_at", 1.0, 0.0),
    "7d": ("labeled_at", 7.0, 0.0),
    "30d": ("predicted_at", 30.0, 0.0),
    "7d_mature": ("predicted_at", 7.0, 1.0),
}
_QUERY = """
    SELECT p.predicted_at, p.prediction::INTEGER AS prediction, p.score, l.label::INTEGER AS label, l.labeled_at
    FROM (SELECT request_id, arg_min(prediction, predicted_at) AS prediction, arg_min(score, predicted_at) AS score,
                 min(predicted_at) AS predicted_at FROM predictions GROUP BY request_id) p
    JOIN (SELECT request_id, arg_max(label, labeled_at) AS label, max(labeled_at) AS labeled_at
          FROM labels WHERE labeled_at < $end GROUP BY request_id) l USING (request_id)"""


def windows(database: Path) -> dict[str, pd.DataFrame]:
    """The labeled requests of each window."""
    with duckdb.connect(str(database), read_only=True) as connection:
        frame = connection.execute(_QUERY, {"end": END}).df()
    return {name: _window(frame, *window) for name, window in WINDOWS.items()}


def _window(frame: pd.DataFrame, stamp: str, days: float, maturity: float) -> pd.DataFrame:
    until = pd.Timestamp(END) - pd.Timedelta(days=maturity)
    inside = (frame[stamp] >= until - pd.Timedelta(days=days)) & (frame[stamp] < until)
    return frame[inside].reset_index(drop=True)
