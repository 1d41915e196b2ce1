"""The offline half of the system: how labels arrive, and whether the job that counts them is well."""

from monitoring.panels import COUNT, SECONDS, SHARE, Panel, Query, band, listing, number, stacked, trend

_MODEL = 'model="$model"'
_VERSION = f'{_MODEL},model_version="$version",slice="overall"'
_TOTAL = f'{_VERSION},window="$window"'
_BOUNDS = {"": "failed", "_lower": "lower", "_upper": "upper"}
_BOOKS = {"orphan_labels": "orphans", "duplicate_predictions": "duplicates", "corrected_labels": "corrected"}


def headline() -> list[Panel]:
    """The job at a glance."""
    firing = Query('count(ALERTS{alertstate="firing",model=~"$model|"}) or vector(0)')
    return [
        number(
            "Last success",
            "Time since an evaluation of the model succeeded.",
            Query(_age("last_success")),
            unit=SECONDS,
        ),
        number("Alerts firing", "Those of the model and of the job that fire now.", firing, steps=[(1, "red")]),
    ]


def labels() -> list[Panel]:
    """What has come of the labels, when, and what was wrong with it."""
    books = [Query(f"evaljob_{metric}{{{_TOTAL}}}", name) for metric, name in _BOOKS.items()]
    rejected = Query(f"sum by (reason) (evaljob_rejected_rows{{{_TOTAL}}}) > 0 or vector(0)", "rejected {{reason}}")
    return [
        trend(
            "Label coverage",
            "Predictions whose label has come, for every window on predicted_at: on labeled_at it is undefined.",
            Query(f"evaljob_label_coverage_ratio{{{_VERSION}}} >= 0", "{{window}}"),
            unit=SHARE,
        ).max(1),
        trend(
            "Label lag",
            "How long 50%, 95% and 99% of the labels took. Windows on predicted_at lack those still to come.",
            Query(f"evaljob_label_lag_seconds{{{_TOTAL}}}", "{{quantile}}"),
            unit=SECONDS,
        ),
        trend(
            "The join's books",
            "Labels without a prediction, predictions that came again, labels that were replaced, unusable rows.",
            *books,
            rejected,
            unit=COUNT,
        ),
    ]


def serving() -> list[Panel]:
    """What the prediction log says of the service, and which alerts there are."""
    failures = [Query(f"evaljob_prediction_failures_ratio{end}{{{_TOTAL}}}", name) for end, name in _BOUNDS.items()]
    alerts = 'max by (alertname, alertstate, severity, model_version, window) (ALERTS{model=~"$model|"})'
    return [
        trend(
            "Logged latency",
            "How long predictions took, by the log: 50%, 95% and 99%, exact to 1%.",
            Query(f"evaljob_prediction_latency_seconds{{{_TOTAL}}}", "{{quantile}}"),
            unit=SECONDS,
        ),
        band(
            "Failed predictions",
            "Requests that got no prediction, by the log.",
            *failures,
            Query(f"evaljob_predictions{{{_TOTAL}}}", "support"),
        ),
        listing("Alerts", "Of the model and of the job, firing or about to.", Query(alerts)),
    ]


def runs() -> list[Panel]:
    """Whether evaluations succeed, how old their results are, what they take."""
    return [
        trend(
            "Age",
            "A saw between 0 and the schedule's interval is well. The results grow old where runs fail, "
            "completion where nothing runs.",
            Query(_age("last_success"), "since success"),
            Query(_age("last_completion"), "since completion"),
            Query(_age("as_of"), "of the results"),
            unit=SECONDS,
        ),
        stacked(
            trend(
                "Duration of a run",
                "By stage. It should follow the new rows, not the length of the windows.",
                Query(f"evaljob_run_duration_seconds{{{_MODEL}}}", "{{stage}}"),
                unit=SECONDS,
            )
        ),
        trend(
            "Rows read",
            "By the last run: those that are new, unless it recounted.",
            Query(f"evaljob_rows_read{{{_MODEL}}}", "rows"),
            unit=COUNT,
        ),
    ]


def state() -> list[Panel]:
    """What may be wrong with the job, a number each: all should be green."""
    return [
        number(
            "Failed last",
            "1 when the last run failed.",
            Query(f"1 - max(evaljob_last_run_success{{{_MODEL}}})"),
            width=6,
            steps=[(1, "red")],
        ),
        number(
            "State drift",
            "Cells that the last reconciliation had to repair: rows come in behind evaljob's back.",
            Query(f"max(evaljob_state_drift_cells{{{_MODEL}}})"),
            width=6,
            steps=[(1, "red")],
        ),
        number(
            "Full recounts",
            "Since the state was made: the first run, changed configurations, repairs.",
            Query(f"max(evaljob_full_recounts{{{_MODEL}}})"),
            width=6,
        ),
        number(
            "Gateways down",
            "Pushgateways that Prometheus cannot scrape.",
            Query('count(up{job="pushgateway"} == 0) or vector(0)'),
            width=6,
            steps=[(1, "red")],
        ),
    ]


def _age(event: str) -> str:
    return f"time() - max(evaljob_{event}_timestamp_seconds{{{_MODEL}}})"
