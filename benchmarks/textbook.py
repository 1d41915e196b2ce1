"""The textbook way: one SQL join into pandas, then scikit-learn for every window, version and slice.

`python -m benchmarks.textbook --url URL` tells its measure. It computes fewer numbers than evaljob, and no intervals.
"""

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import sqlalchemy as sa
from sklearn import metrics
from sklearn.calibration import calibration_curve

from benchmarks.evaluations import SLICES, WINDOWS
from benchmarks.logs import END
from benchmarks.measure import asked, repeated, sources, tell

_LONGEST = "31 days"


def joined(connection: sa.Connection, predictions: str, labels: str) -> pd.DataFrame:
    """Every request of the longest window, resolved in pandas: the first prediction, the latest label."""
    start, end = (pd.Timestamp(END).tz_localize(None) - pd.Timedelta(x) for x in (_LONGEST, "0s"))
    query = f"""
        SELECT p.request_id, p.predicted_at, p.model_version, p.prediction, p.score, p.latency_seconds, p.country,
               p.device, l.label, l.labeled_at
        FROM {predictions} p LEFT JOIN {labels} l ON p.request_id = l.request_id AND l.labeled_at < :end
        WHERE p.predicted_at >= :start AND p.predicted_at < :end"""
    frame = pd.read_sql(sa.text(query), connection, params={"start": str(start), "end": str(end)})
    for name in ("predicted_at", "labeled_at"):
        frame[name] = pd.to_datetime(frame[name])
    frame = frame.sort_values(["predicted_at", "labeled_at"])
    return frame.drop_duplicates("request_id", keep="last")


def evaluate(frame: pd.DataFrame) -> list[dict[str, float]]:
    """The metrics of every series."""
    end, results = pd.Timestamp(END).tz_localize(None), []
    for window in WINDOWS.values():
        until = end - pd.Timedelta(window.get("maturity", "0s"))
        when = frame[window.get("on", "labeled_at")]
        rows = frame[(when >= until - pd.Timedelta(window["length"])) & (when < until)]
        results += [_metrics(part) for part in _series(rows)]
    return results


def _series(rows: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for version in (rows, *(part for _, part in rows.groupby("model_version"))):
        yield version
        for column in SLICES:
            yield from (part for _, part in version.groupby(column))


def _metrics(rows: pd.DataFrame) -> dict[str, float]:
    labeled = rows[rows["label"].notna()]
    found: dict[str, float] = {"predictions": len(rows), "support": len(labeled)}
    if labeled.empty:
        return found
    truth, said, score = (labeled[name] for name in ("label", "prediction", "score"))
    event = (truth == "1").to_numpy()
    observed, predicted = calibration_curve(event, score)
    lag = (labeled["labeled_at"] - labeled["predicted_at"]).dt.total_seconds()
    return found | {
        "accuracy": metrics.accuracy_score(truth, said),
        "balanced_accuracy": metrics.balanced_accuracy_score(truth, said),
        "matthews": metrics.matthews_corrcoef(truth, said),
        "kappa": metrics.cohen_kappa_score(truth, said),
        "precision": metrics.precision_score(truth, said, pos_label="1"),
        "recall": metrics.recall_score(truth, said, pos_label="1"),
        "f1": metrics.f1_score(truth, said, pos_label="1"),
        "auc": metrics.roc_auc_score(event, score),
        "average_precision": metrics.average_precision_score(event, score),
        "brier": metrics.brier_score_loss(event, score),
        "log_loss": metrics.log_loss(event, score, labels=[False, True]),
        "calibration": float(np.abs(observed - predicted).mean()),
        "lag": float(np.quantile(lag, 0.99)),
        "latency": float(rows["latency_seconds"].quantile(0.99)),
    }


def main() -> None:
    """Tell the measure."""
    given = asked(__doc__)
    warnings.simplefilter("ignore")
    read_only = given.url.startswith("duckdb") and given.parquet is None
    engine = sa.create_engine(given.url, connect_args={"read_only": True} if read_only else {})
    with engine.connect() as connection:
        tell(repeated(given.times, lambda: evaluate(joined(connection, *sources(given.parquet)))))


if __name__ == "__main__":
    main()
