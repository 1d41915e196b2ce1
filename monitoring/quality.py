"""The offline half of the model: what its predictions turned out to be worth, once their labels had come."""

from monitoring.panels import COUNT, SHARE, Panel, Query, band, diagram, number, on_the_right, rows, trend, units

_WINDOW = 'model="$model",window="$window"'
_TOTAL = f'{_WINDOW},model_version="$version",slice="overall"'
_SLICES = f'{_WINDOW},model_version="$version",slice="$slice"'
_VERSIONS = f'{_WINDOW},slice="overall"'
_CLASS = ',class="$class"'
_GAPS = "A gap is undefined: fewer labels than min_support, or nothing to divide by."


def headline() -> list[Panel]:
    """The model at a glance."""
    return [
        number(
            "Accuracy now",
            "Of the window and version chosen above, with the bounds of its confidence interval.",
            *_with_bounds("accuracy_ratio"),
            unit=SHARE,
            width=6,
        ),
        number("Support now", "The labeled predictions that it rests on.", Query(_last("support")), unit=COUNT),
        number(
            "Coverage now",
            "Predictions whose label has come. Undefined for a window on labeled_at.",
            Query(_last("label_coverage_ratio")),
            unit=SHARE,
        ),
        number("Cost now", "Mean cost of a prediction; empty without costs.", Query(_last("cost_per_prediction"))),
    ]


def correctness() -> list[Panel]:
    """How often it is right, version by version and for a class, each with what it rests on."""
    shares = [
        Query(_last("predicted_ratio"), "{{class}} predicted"),
        Query(_last("prevalence_ratio"), "{{class}} true"),
    ]
    return [
        _banded("Accuracy", "Share of correct predictions.", "accuracy_ratio", width=12),
        _versions(),
        _banded("Precision of $class", "Of what was predicted as it, the share that was.", "precision_ratio", _CLASS),
        _banded("Recall of $class", "Of what was it, the share that was predicted as it.", "recall_ratio", _CLASS),
        trend(
            "Predicted and true classes",
            "Shares among the labeled. Apart, the model favours a class; moving together, the world has changed.",
            *shares,
            unit=SHARE,
        ),
    ]


def calibration() -> list[Panel]:
    """Whether scores mean what they say."""
    errors = {
        "expected": "expected_calibration_error",
        "maximum": "maximum_calibration_error",
        "bias": "calibration_bias",
    }
    observed = {"": "observed", "_lower": "lower", "_upper": "upper"}
    brier = ("score", "miscalibration", "discrimination", "uncertainty")
    return [
        diagram(
            "Reliability",
            "Of the predictions of a score, the share that came true: on the line, scores mean what they say. "
            "Below it they promise too much. For several classes: the score of the predicted one.",
            "bin",
            Query(_by("bin", "reliability_mean_predicted"), "mean score"),
            *(Query(_by("bin", f"reliability_observed_ratio{end}"), name) for end, name in observed.items()),
        ),
        trend(
            "Calibration errors",
            "Distance of score and observed frequency. A bias above 0 is overconfident.",
            *(Query(_last(metric), name) for name, metric in errors.items()),
        ),
        trend(
            "Brier score and its parts",
            "Score = miscalibration - discrimination + uncertainty. Recalibrating removes the miscalibration.",
            *(Query(_last(f"brier_{part}"), part) for part in brier),
        ),
    ]


def business() -> list[Panel]:
    """What it costs and earns, beside the metric that it follows."""
    cost = trend(
        "Accuracy and cost",
        "The mean cost of a prediction, on the right, beside the accuracy: they need not move together.",
        Query(_last("accuracy_ratio"), "accuracy"),
        Query(_last("cost_per_prediction"), "cost per prediction"),
        unit=SHARE,
        width=12,
    )
    values = trend(
        "Values",
        "Mean of the columns under `values`, by labeled prediction; their sum on the right.",
        Query(_last("value_per_prediction"), "{{column}} per prediction"),
        Query(_last("value_sum"), "{{column}} in all"),
        width=12,
    )
    return [on_the_right(cost, "cost"), on_the_right(values, "in all")]


def slices() -> list[Panel]:
    """Where it does worst."""
    return [
        _compared("By $slice", "A slice below min_support has no accuracy.", "slice_value", _SLICES),
        trend(
            "Accuracy by $slice",
            "Of the values of the slice chosen above. Small slices move by chance: see their bounds in the table.",
            Query(_last("accuracy_ratio", _SLICES), "{{slice_value}}"),
            unit=SHARE,
            width=12,
        ).max(1),
    ]


def _versions() -> Panel:
    about = "Versions with what they promised: the accuracy that the service reports from training, where it does."
    training = Query('max by (model_version) (offline_accuracy_ratio{model="$model"})', "in training")
    return _compared("Versions", about, "model_version", _VERSIONS, training)


def _compared(title: str, about: str, key: str, series: str, *more: Query) -> Panel:
    shares = [*_with_bounds("accuracy_ratio", series, key), *more]
    counts = [Query(_by(key, "support", series), "support")]
    costs = [Query(_by(key, "cost_per_prediction", series), "cost each")]
    table = units(rows(title, about, key, *shares, *counts, *costs), SHARE, [column.legend for column in shares])
    return units(table, COUNT, ["support"])


def _banded(title: str, about: str, metric: str, more: str = "", width: int = 8) -> Panel:
    """The metric, whose own labels are `more`, in its band."""
    queries = _with_bounds(metric, _TOTAL + more)
    return band(title, f"{about} {_GAPS}", *queries, Query(_last("support"), "support"), width=width)


def _with_bounds(metric: str, series: str = _TOTAL, key: str = "") -> list[Query]:
    names = {"": metric.removesuffix("_ratio"), "_lower": "lower", "_upper": "upper"}
    return [Query(_by(key, f"{metric}{bound}", series), name) for bound, name in names.items()]


def _by(key: str, metric: str, series: str = _TOTAL) -> str:
    """The metric's latest values by one label; all its labels without one."""
    return f"max by ({key}) ({_last(metric, series)})" if key else _last(metric, series)


def _last(metric: str, series: str = _TOTAL) -> str:
    """The metric's latest values: history that was backfilled has one every hour or so."""
    return f"last_over_time(evaljob_{metric}{{{series}}}[$lookback])"
