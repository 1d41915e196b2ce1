"""Both logs of both models in one call."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd

from evaljob.demo.labeling import label_log
from evaljob.demo.models import MODELS, Model
from evaljob.demo.serving import prediction_log
from evaljob.demo.traffic import arrivals


@dataclass(frozen=True)
class Logs:
    """The rows of the tables of sql/schema.sql, ordered by time. Timestamps are naive UTC at microseconds.

    predictions: model, request_id, predicted_at, model_version, prediction, score, latency_seconds, country, device;
        score is P(malignant) for breast_cancer and that of the predicted species for iris.
    labels: model, request_id, label, labeled_at, revenue; revenue is missing for iris.
    """

    predictions: pd.DataFrame
    labels: pd.DataFrame


def make_logs(end: datetime, *, seed: int = 7, days: int = 40, requests: int = 30_000) -> Logs:
    """What `requests` requests of the `days` before `end` left in the logs by then; the same for the same arguments.

    A naive `end` is UTC. Every row is older than `end`: a label that comes later is not in the log yet. On top of the
    requests come 1% retries, and label rows that are corrections, exact duplicates or orphans. `requests` should be
    some hundreds at least, so that both versions and all classes occur.
    """
    end = end.astimezone(UTC).replace(tzinfo=None) if end.tzinfo else end
    streams = np.random.default_rng(seed).spawn(len(MODELS))
    pairs = [
        _serve(model, rng, round(requests * model.share), end, days) for model, rng in zip(MODELS, streams, strict=True)
    ]
    predictions, labels = (pd.concat(logs, ignore_index=True) for logs in zip(*pairs, strict=True))
    return Logs(
        predictions.sort_values(["predicted_at", "request_id"], ignore_index=True),
        labels.sort_values(["labeled_at", "request_id"], ignore_index=True),
    )


def _serve(
    model: Model, rng: np.random.Generator, count: int, end: datetime, days: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    traffic = arrivals(rng, count, end - timedelta(days=days), end)
    answers = model.answer(rng, traffic["model_version"], traffic["wrong_unit"])
    predictions = prediction_log(rng, traffic, answers, end)
    outcomes = traffic[["request_id", "predicted_at"]].assign(truth=answers["truth"])
    labels = label_log(rng, outcomes.assign(revenue=model.revenue(rng, answers["truth"])), end)
    return predictions.assign(model=model.name)[_PREDICTIONS], labels.assign(model=model.name)[_LABELS]


_PREDICTIONS = [
    "model", "request_id", "predicted_at", "model_version", "prediction", "score",
    "latency_seconds", "country", "device",
]  # fmt: skip
_LABELS = ["model", "request_id", "label", "labeled_at", "revenue"]
