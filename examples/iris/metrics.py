"""What Prometheus sees of the service. The quality of its answers is evaljob's part."""

import os
from collections.abc import Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.multiprocess import MultiProcessCollector

from examples.iris.data import SPECIES
from examples.iris.model import Classifier

disable_created_metrics()  # type: ignore[no-untyped-call]

_BUCKETS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
REASONS = ("invalid", "too_large", "model", "unlogged")
OUTCOMES = ("new", "corrected", "repeated", "orphan")

LATENCY = Histogram(
    "predict_latency_seconds",
    "Time from a request's arrival until its answer was ready and logged, refused requests included",
    ["model_version"],
    buckets=_BUCKETS,
)
PREDICTIONS = Counter("predictions", "Predictions served", ["model_version", "class"])
ERRORS = Counter("predict_errors", "Requests that got no prediction", ["model_version", "reason"])
LABELS = Counter("labels", "Labels received; an orphan is counted a second time as such", ["outcome"])
SPOOLED = Counter("prediction_log_spooled", "Requests whose row had to wait in the spool")
SPOOL_BYTES = Gauge(
    "prediction_log_spool_bytes", "Bytes that wait in the spool", multiprocess_mode="mostrecent"
)  # fmt: skip
OFFLINE_ACCURACY = Gauge(
    "offline_accuracy_ratio",
    "Accuracy on held-out data at training, to compare the online one with",
    ["model_version"],
    multiprocess_mode="max",
)


def tell(models: Iterable[Classifier]) -> None:
    """Make every series known before its first event: a rate needs the zero before the first one."""
    for model in models:
        OFFLINE_ACCURACY.labels(model.version).set(model.offline_accuracy)
        LATENCY.labels(model.version)
        for species in SPECIES:
            PREDICTIONS.labels(model.version, species)
        for reason in REASONS:
            ERRORS.labels(model.version, reason)
    for outcome in OUTCOMES:
        LABELS.labels(outcome)


def registry() -> CollectorRegistry:
    """What to expose: the sum over the worker processes where PROMETHEUS_MULTIPROC_DIR names their common directory."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    summed = CollectorRegistry()
    MultiProcessCollector(summed)  # type: ignore[no-untyped-call]
    return summed
