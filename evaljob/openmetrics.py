"""The history as timestamped OpenMetrics: what a Prometheus that scraped every run's push would hold.

The format wants families, series and instants in this order, and runs come instant by instant. So the history is read
several times, for as many metrics at once as memory is given to.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TextIO, TypeAlias

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa

from evaljob import history
from evaljob.gauges import INSTANTS, METRICS, PREFIX, SERIES, Metric
from evaljob.history import Block, Selection
from evaljob.metrics.series import ALL, OVERALL
from evaljob.packing import Mask, Microseconds

TOGETHER = 1_500_000  # results in memory: 24 bytes each
ALWAYS_BOUNDED = "prediction_failures_ratio"  # wherever anything has bounds
_BOUNDS = ("lower", "upper")
_NO_GAUGE = ("_sum", "_count", "_bucket", "_total", "_info", "_created")  # suffixes that are kept for other types
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})

Floats: TypeAlias = npt.NDArray[np.float64]
Labels: TypeAlias = str  # as they stand between the braces


@dataclass
class _Family:
    """The samples of one metric or bound: for each series its instants and values, piece by piece."""

    about: str
    series: dict[Labels, list[tuple[list[str], Floats]]] = field(default_factory=dict)

    def add(self, labels: Sequence[Labels], as_of: Microseconds, values: Floats) -> None:
        """Samples of shape (instants, series)."""
        stamps = [_seconds(instant) for instant in as_of.tolist()]
        for i, name in enumerate(labels):
            self.series.setdefault(name, []).append((stamps, values[:, i]))


def write(file: TextIO, connection: sa.Connection, selection: Selection, job: str) -> None:
    """Write the selected history, with the labels `job` and `model` of a scrape that honors those that were pushed.

    Labels without a value are left out, as Prometheus does; undefined values are NaN.
    """
    sizes = history.sizes(connection, selection)
    for metrics in _batches({name: sizes[name] for name in METRICS if sizes[name]}):
        chosen = replace(selection, metrics=(*metrics, ALWAYS_BOUNDED))
        families = _families(history.blocks(connection, chosen), metrics, job)
        file.writelines(_lines(families))
    file.writelines(_lines(_instants(history.blocks(connection, _totals(selection)), job)))
    file.write("# EOF\n")


def _batches(sizes: Mapping[str, int]) -> Iterator[tuple[str, ...]]:
    batch: list[str] = []
    for name, size in sizes.items():
        if batch and sum(sizes[other] for other in batch) + size > TOGETHER:
            yield tuple(batch)
            batch = []
        batch.append(name)
    if batch:
        yield tuple(batch)


def _families(blocks: Iterable[Block], metrics: Sequence[str], job: str) -> dict[str, _Family]:
    """The families of some metrics, each followed by those of its bounds."""
    families: dict[str, _Family] = {}
    for metric in metrics:
        families[metric] = _Family(METRICS[metric].help)
        for bound in _BOUNDS:
            about = f"{bound.capitalize()} bound of the confidence interval of {PREFIX}{metric}"
            families[f"{metric}_{bound}"] = _Family(about)
    for block in blocks:
        intervals = _bounded(block)
        for metric in metrics:
            _add(families, block.where(block.names.among("metric", (metric,))), intervals, metric, job)
    return families


def _bounded(block: Block) -> Mask:
    """In which runs anything has bounds."""
    return np.asarray(~np.isnan([block.lower, block.upper]).all(axis=(0, 2)))


def _add(families: Mapping[str, _Family], block: Block, intervals: Mask, metric: str, job: str) -> None:
    about = METRICS[metric]
    labels = _labels(block, (*SERIES, *about.labels), job)
    families[metric].add(labels, block.as_of, block.value)
    # As a push does: bounds where the metric has any in that run, or should have.
    bounded = (about.interval & intervals) | _bounded(block)
    if bounded.any():
        families[f"{metric}_lower"].add(labels, block.as_of[bounded], block.lower[bounded])
        families[f"{metric}_upper"].add(labels, block.as_of[bounded], block.upper[bounded])


def _totals(selection: Selection) -> Selection:
    """One result a window, which every run has."""
    return replace(selection, metrics=("predictions",), versions=(ALL,), slices=((OVERALL, None),))


def _instants(blocks: Iterable[Block], job: str) -> dict[str, _Family]:
    families = {name: _Family(about.help) for name, about in INSTANTS.items()}
    for block in blocks:
        shape = block.value.shape
        start, end = (edge.reshape(shape) for edge in block.names.edges(block.as_of))
        instants = (np.repeat(block.as_of[:, None], shape[1], axis=1), start, end)
        for (name, about), values in zip(INSTANTS.items(), instants, strict=True):
            labels = _labels(block, about.labels, job)[: None if about.labels else 1]
            families[name].add(labels, block.as_of, values / 1e6)
    return families


def _labels(block: Block, names: Sequence[str], job: str) -> list[Labels]:
    """The labels of every series of a block."""
    common = f'job="{job.translate(_ESCAPES)}",model="{block.model.translate(_ESCAPES)}"'
    columns = [[_label(name, text) for text in block.names.column(name)] for name in names]
    return ["".join([common, *found]) for found in zip(*columns, strict=True)] if columns else [common]


def _label(name: str, text: str) -> str:
    text = text.encode("utf-8", "backslashreplace").decode()  # lone surrogates, which UTF-8 does not have
    return f',{name}="{text.translate(_ESCAPES)}"' if text else ""


def _lines(families: Mapping[str, _Family]) -> Iterator[str]:
    for name, family in families.items():
        if family.series:
            kind = "unknown" if name.endswith(_NO_GAUGE) or "quantile" in _own_labels(name) else "gauge"
            yield f"# TYPE {PREFIX}{name} {kind}\n# HELP {PREFIX}{name} {family.about.translate(_ESCAPES)}\n"
            for labels, pieces in family.series.items():
                yield from _samples(f"{PREFIX}{name}{{{labels}}}", pieces)


def _own_labels(name: str) -> tuple[str, ...]:
    return METRICS.get(name, Metric("")).labels


def _samples(series: str, pieces: Iterable[tuple[list[str], Floats]]) -> Iterator[str]:
    for stamps, values in pieces:
        for stamp, value in zip(stamps, values.tolist(), strict=True):
            yield f"{series} {_number(value)} {stamp}\n"


def _number(value: float) -> str:
    return repr(value) if math.isfinite(value) else "NaN" if math.isnan(value) else f"{value:+}".replace("inf", "Inf")


def _seconds(microseconds: int) -> str:
    return f"{microseconds // 10**6}" if microseconds % 10**6 == 0 else f"{microseconds / 10**6:.6f}"
