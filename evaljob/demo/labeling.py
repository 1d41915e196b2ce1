"""The label log: late, corrected, duplicated, missing and orphan labels."""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaljob.demo.traffic import request_ids

UNLABELED, CORRECTED, DUPLICATED, ORPHANS = 0.10, 0.015, 0.005, 0.002
_HOURS = 6.0
_SIGMA = 1.5


def label_log(rng: np.random.Generator, requests: pd.DataFrame, end: datetime) -> pd.DataFrame:
    """Rows (request_id, label, labeled_at, revenue) that had come by `end`.

    `requests` has the columns request_id, predicted_at, truth and revenue. The lag of a label is lognormal: 6 hours in
    the median, 3 days at 95%, weeks at 99.9%. Of the requests 10% are never labeled. Of the labels 1.5% are wrong at
    first and corrected after another lag, 0.5% are logged twice, and 0.2% more belong to no request.
    """
    truths = requests.rename(columns={"truth": "label", "predicted_at": "labeled_at"})
    labels = _later(rng, truths[rng.random(len(requests)) >= UNLABELED])
    corrected = rng.random(len(labels)) < CORRECTED
    corrections = _later(rng, labels[corrected])
    labels["label"] = labels["label"].mask(corrected, _another(rng, labels["label"]))
    rows = pd.concat([labels, corrections], ignore_index=True)
    rows = pd.concat([rows, rows[rng.random(len(rows)) < DUPLICATED], _orphans(rng, labels)], ignore_index=True)
    return rows[rows["labeled_at"] < end].reset_index(drop=True)


def _later(rng: np.random.Generator, rows: pd.DataFrame) -> pd.DataFrame:
    hours = rng.lognormal(np.log(_HOURS), _SIGMA, len(rows))
    return rows.assign(labeled_at=rows["labeled_at"] + (hours * 3.6e9).astype("timedelta64[us]"))


def _another(rng: np.random.Generator, labels: "pd.Series[str]") -> npt.NDArray[np.str_]:
    """For each label one of the other classes, all equally likely."""
    classes, code = np.unique(labels.to_numpy(str), return_inverse=True)
    other: npt.NDArray[np.str_] = classes[(code + rng.integers(1, len(classes), len(code))) % len(classes)]
    return other


def _orphans(rng: np.random.Generator, labels: pd.DataFrame) -> pd.DataFrame:
    orphans = labels[rng.random(len(labels)) < ORPHANS]
    return orphans.assign(request_id=request_ids(rng, len(orphans)))
