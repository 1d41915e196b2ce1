"""The online half: what the service does now, and what the model says now. Asked of the service's own metrics.

The service exposes, in the manner of examples/iris: the histogram predict_latency_seconds{model_version}, of every
request; the counters predictions_total{model_version,class} and predict_errors_total{model_version,reason}. Prometheus
adds `model` to each (see prometheus.yml).
"""

from monitoring.panels import REQUESTS, SECONDS, SHARE, Panel, Query, number, pie, stacked, trend

_MODEL = 'model="$model"'
_NOW = f"{{{_MODEL}}}[$__rate_interval]"
_PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def system() -> list[Panel]:
    """How fast, how much, how well the service answers, version by version."""
    return [
        trend(
            "Latency",
            "Percentiles, interpolated within the buckets of the service's histogram; refused requests included.",
            *(Query(_latency(share), f"{{{{model_version}}}} {name}") for name, share in _PERCENTILES.items()),
            unit=SECONDS,
        ),
        trend(
            "Requests",
            "Requests a second, whatever became of them.",
            Query(f"sum by (model_version) (rate(predict_latency_seconds_count{_NOW}))", "{{model_version}}"),
            unit=REQUESTS,
        ),
        trend(
            "Errors",
            "Requests that got no prediction, by reason, as a share of the version's requests.",
            Query(
                f"sum by (model_version, reason) (rate(predict_errors_total{_NOW})) / on (model_version) group_left ()"
                f" sum by (model_version) (rate(predict_latency_seconds_count{_NOW}))",
                "{{model_version}} {{reason}}",
            ),
            unit=SHARE,
        ),
    ]


def model() -> list[Panel]:
    """Which classes are predicted, before any label is known: a shift here is the first sign of a change."""
    by_class = f"sum by (class) (rate(predictions_total{_NOW}))"
    by_version = f"sum by (model_version, class) (rate(predictions_total{_NOW}))"
    return [
        pie(
            "Predicted classes",
            "Predictions of each class in the time range shown.",
            Query(f"sum by (class) (increase(predictions_total{{{_MODEL}}}[$__range]))", "{{class}}"),
        ),
        stacked(
            trend(
                "Predicted classes over time",
                "A shift is the first sign of a change, long before labels come.",
                Query(f"{by_class} / on () group_left () sum({by_class})", "{{class}}"),
                unit=SHARE,
                width=9,
            ).max(1)
        ),
        trend(
            "Predicted classes by version",
            "Versions that get the same traffic should predict alike.",
            Query(
                f"{by_version} / on (model_version) group_left () sum by (model_version) ({by_version})",
                "{{model_version}} {{class}}",
            ),
            unit=SHARE,
            width=9,
        ),
    ]


def p99() -> Panel:
    """The service at a glance."""
    return number(
        "p99 now",
        "99% of the requests of the last five minutes were faster, all versions together.",
        Query(f"histogram_quantile(0.99, sum by (le) (rate(predict_latency_seconds_bucket{{{_MODEL}}}[5m])))"),
        unit=SECONDS,
    )


def _latency(share: float) -> str:
    return f"histogram_quantile({share}, sum by (model_version, le) (rate(predict_latency_seconds_bucket{_NOW})))"
