"""What the benchmarks evaluate: one binary model over the logs of benchmarks.logs, on any engine."""

from datetime import timedelta
from pathlib import Path

import yaml

from benchmarks.logs import MODEL
from evaljob.config import Config, load

WINDOWS: dict[str, dict[str, str]] = {
    "1h": {"length": "1h"},
    "24h": {"length": "24h"},
    "7d": {"length": "7d"},
    "30d": {"length": "30d", "on": "predicted_at"},
    "7d_mature": {"length": "7d", "on": "predicted_at", "maturity": "24h"},
}
SLICES = ("country", "device")
STEP = timedelta(minutes=5)


def configure(
    folder: Path,
    url: str,
    *,
    windows: tuple[str, ...] = tuple(WINDOWS),
    slices: tuple[str, ...] = SLICES,
    parquet: Path | None = None,
    **database: str,
) -> Config:
    """A configuration in `folder`, over the tables at `url` or, with `parquet`, over the files of that folder."""
    file = "parquet.`{}.parquet`" if url.startswith("hive:") else "read_parquet('{}.parquet')"
    folder.mkdir(parents=True, exist_ok=True)
    for log, columns in (
        (
            "predictions",
            "request_id, predicted_at, model_version, prediction, score, latency_seconds, country, device",
        ),
        ("labels", "request_id, label, labeled_at"),
    ):
        source = log if parquet is None else file.format(parquet / log)
        (folder / f"{log}.sql").write_text(f"SELECT {columns} FROM {source} WHERE model = '{MODEL}'\n")
    evaluation = {
        "model": MODEL,
        "task": "binary",
        "positive_label": "1",
        "predictions": "predictions.sql",
        "labels": "labels.sql",
        "windows": [{"name": name, **WINDOWS[name]} for name in windows],
        "slices": list(slices),
    }
    tree = {
        "database": {"url": url, **database},
        "state": {"url": f"sqlite:///{folder}/state.db", "history_retention": "36500d"},
        "evaluations": [evaluation],
    }
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(tree))
    return load(path)
