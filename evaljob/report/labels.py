"""When labels come: how long they take, how many are still to come, and of which age the predictions are that wait."""

from collections.abc import Iterator

import numpy as np

from evaljob.join.plan import LAG
from evaljob.metrics.missing import Waiting
from evaljob.report import figures
from evaljob.report import numbers as n
from evaljob.report.catalogue import Measure
from evaljob.report.figures.charts import Arrival
from evaljob.report.gather import total_of
from evaljob.report.judged import Judged
from evaljob.report.parts import Block, Cell, Figure, Scale, Table, number_cell
from evaljob.statistics.binning import duration_bucket_value
from evaljob.statistics.survival import Curve, arrived_interval

_COVERAGE = Measure("label_coverage_by_age_ratio", "Coverage", "", "percent")
_ARRIVED = Measure("label_arrival_ratio", "Labeled", "", "percent")
_QUANTILES = ("0.5", "0.95", "0.99")
_ROWS = 14
_STEPS = 120  # of a curve: more cannot be told apart


def block(judged: Judged) -> Block:
    """How long labels take."""
    lag = [judged.numbers.get("label_lag_seconds", judged.total, quantile=q) for q in _QUANTILES]
    if not lag[0].defined:
        return Block("labels", "When labels come", notes=["No label lag was measured in this window."])
    half, most, last = (n.seconds(number.value) for number in lag)
    intro = f"Half of the labels came within {half}, 95% within {most}, 99% within {last}."
    found = [_lag(judged)] if judged.material.series is not None else []
    tables = [table for table in (_by_age(judged), _quantiles(judged)) if table is not None]
    return Block("labels", "When labels come", intro, figures=found, tables=tables)


def _lag(judged: Judged) -> Figure:
    """Of the labels that came, and where it is known of all predictions."""
    series = judged.material.series
    assert series is not None  # noqa: S101  (asked before)
    cells = series.of_kind(LAG)
    own = cells[cells["series"] == total_of(series, judged.window.name)].groupby("bucket")["n"].sum()
    lags, share = duration_bucket_value(own.index.to_numpy()), np.cumsum(own.to_numpy()) / own.sum()
    arrival = _arrival(judged)
    svg = figures.label_lag(f"{judged.id}-lag", lags, share, arrival)
    summary = "The share of the labels that came within a time after their prediction, among those that came."
    if arrival is not None:
        summary = (
            "The share that came within a time: of the labels that came, and of all predictions, where those that wait "
            "count as far as they are old (Kaplan and Meier)."
        )
    return Figure("Label lag", svg, summary, _data(lags, share))


def _data(lags: np.ndarray, share: np.ndarray) -> Table:
    places = np.unique(np.searchsorted(share, np.linspace(0, 1, _ROWS)).clip(max=len(share) - 1))
    rows = [[Cell(n.seconds(lags[i])), Cell(n.percent(share[i]))] for i in places]
    return Table("Label lag", ["Within", "Labels"], rows, "data")


def _arrival(judged: Judged) -> Arrival | None:
    """Of predictions, from the cells that count them by age; None on `labeled_at`, which has no waiting ones."""
    series, as_of = judged.material.series, judged.material.as_of
    if series is None or as_of is None or judged.window.on != "predicted_at" or not judged.evaluation.metrics.missing:
        return None
    curve: Curve = Waiting(series, as_of).curve(total_of(series, judged.window.name))
    places = np.unique(np.linspace(0, len(curve.times) - 1, _STEPS).round().astype(int))
    times = curve.times[places]
    limits = np.array([arrived_interval(curve, float(t), judged.evaluation.confidence) for t in times])
    return Arrival(times, 1 - curve.waiting[places], limits[:, 0], limits[:, 1])


def _by_age(judged: Judged) -> Table | None:
    """Coverage of the predictions of each age."""
    found = judged.numbers.by(_COVERAGE.metric, judged.total, "age")
    if not any(number.support for number in found.values()):
        return None
    scale = Scale(list(found.values()))
    rows = [
        [Cell(_age(age)), number_cell(_COVERAGE, x), Cell("", bar=scale.bar(x)), Cell(f"{x.support:,}")]
        for age, x in found.items()
        if x.support
    ]
    head = ["Age of the prediction", "Labeled", scale.heading(_COVERAGE), "Predictions"]
    return Table("Label coverage by age", head, rows, "bars")


def _age(band: str) -> str:
    """A band as it is published, `1h-6h`, in words."""
    low, _, high = band.partition("-")
    return f"{low} and older" if not high else f"up to {high}" if low == "0" else f"{low} to {high}"


def _quantiles(judged: Judged) -> Table | None:
    rows = list(_rows(judged))
    return Table("Percentiles", ["", "p50", "p95", "p99", "Measured"], rows, "books") if rows else None


def _rows(judged: Judged) -> Iterator[list[Cell]]:
    for metric, title in (("label_lag_seconds", "Label lag"), ("prediction_latency_seconds", "Prediction latency")):
        found = [judged.numbers.get(metric, judged.total, quantile=q) for q in _QUANTILES]
        if found[0].defined:
            told = (Cell(n.seconds(x.value), n.interval(n.seconds, x)) for x in found)
            yield [Cell(title), *told, Cell(f"{found[0].support:,}")]
