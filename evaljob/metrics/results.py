"""Results: one metric's value for one series, with its interval and its support, collected column by column."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaljob.metrics.series import Counts, Series, Values
from evaljob.statistics.arrays import ratio
from evaljob.statistics.intervals import Interval, proportion

Mask: TypeAlias = npt.NDArray[np.bool_]
Numbers: TypeAlias = Counts | Values
Array = TypeVar("Array", Counts, Values)
Limits: TypeAlias = Callable[[], Interval]  # computed only where intervals are wanted

LABELS = (
    "class",
    "predicted",
    "quantile",
    "bin",
    "threshold",
    "strategy",
    "reason",
    "column",
    "age",
    "of",
    "reference",
)
COLUMNS = (
    "model", "model_version", "window", "slice", "slice_value", *LABELS, "metric", "value", "lower", "upper", "support",
    "as_of", "window_start", "window_end",
)  # fmt: skip

_EDGES = ("window_start", "window_end")


class Results:
    """Collects results of all series at once.

    Numbers have an entry a series: of all of them, or of those alone that a mask `where` chooses.
    """

    def __init__(self, series: Series) -> None:
        self.series = series
        self.enough = series.support >= series.evaluation.min_support
        self._parts: list[_Part] = []

    def count(
        self,
        metric: str,
        value: Numbers,
        interval: Limits | None = None,
        *,
        support: Counts | None = None,
        where: Mask | None = None,
        **labels: Any,
    ) -> None:
        """A count, a sum or another number that is told whatever its support."""
        self._add(_Told(metric, value, support, where), interval, labels)

    def share(
        self,
        metric: str,
        part: Counts,
        whole: Counts,
        *,
        needs_support: bool = True,
        where: Mask | None = None,
        **labels: Any,
    ) -> None:
        """A proportion with its interval. Undefined below `min_support`, which coverage and the like do not need."""
        value = ratio(part, whole)

        def interval() -> Interval:
            return proportion(part, whole, self.series.evaluation.confidence)

        if needs_support:
            self.measure(metric, value, interval, where=where, **labels)
        else:
            self.count(metric, value, interval, support=whole, where=where, **labels)

    def measure(
        self,
        metric: str,
        value: Values,
        interval: Limits | None = None,
        *,
        support: Counts | None = None,
        where: Mask | None = None,
        **labels: Any,
    ) -> None:
        """A quality metric: undefined (NaN) where the series has fewer labeled requests than `min_support`."""
        self._add(_Told(metric, value, support, where, quality=True), interval, labels)

    def each(  # noqa: PLR0913  (all of them by name but the three that `measure` has too)
        self,
        metric: str,
        names: Sequence[str],
        values: Numbers,
        interval: Limits | None = None,
        *,
        label: str,
        quality: bool = True,
        support: Counts | None = None,
        where: Mask | None = None,
    ) -> None:
        """One result for each column of values (series, len(names)), told apart by a label of the metric.

        The interval, and the support if it has two dimensions, are shaped as the values. `quality` metrics are
        undefined below `min_support`.
        """
        tell = self.measure if quality else self.count
        limits = self._limits(interval)
        columns = np.asarray(values, dtype="float64")
        for i, name in enumerate(names):
            own = None if limits is None else partial(_column, limits, i)
            of = support if support is None or support.ndim == 1 else np.ascontiguousarray(support[:, i])
            tell(metric, columns[:, i], own, support=of, where=where, **{label: name})

    def told(self, metric: str) -> Iterator[tuple[str, "Known"]]:
        """A metric that was collected, of every series: once, or by class; of classes with a macro mean that alone."""
        parts = [part for part in self._parts if part.texts["metric"] == metric]
        classes = list(dict.fromkeys(part.texts["class"] for part in parts))
        for class_ in ["macro"] if "macro" in classes else classes:
            found = np.full((3, len(self.series)), np.nan)
            for part in parts:
                if part.texts["class"] == class_:
                    found[:, part.series] = part.value, part.lower, part.upper
            yield class_, Known(found[0], Interval(found[1], found[2]))

    def _limits(self, interval: Limits | None) -> Interval | None:
        return interval() if interval is not None and self.series.evaluation.metrics.intervals else None

    def frame(self, as_of: datetime) -> pd.DataFrame:
        """All results as one frame with the columns COLUMNS, sorted by series and then as they were collected."""
        series = np.concatenate([part.series for part in self._parts])
        order = np.argsort(series, kind="stable")
        sizes = [len(part.series) for part in self._parts]
        columns: dict[str, Any] = {
            name: np.concatenate([getattr(part, name) for part in self._parts])[order]
            for name in ("value", "lower", "upper", "support")
        }
        for name in ("metric", *LABELS):
            columns[name] = _repeated([part.texts[name] for part in self._parts], sizes, order)
        for name in self.series.names.columns:
            columns[name] = _taken(self.series.names[name], series[order])
        frame = pd.DataFrame(columns)
        return frame.assign(model=self.series.evaluation.model, **self._times(frame, as_of))[list(COLUMNS)]

    def _times(self, frame: pd.DataFrame, as_of: datetime) -> dict[str, pd.DatetimeIndex]:
        at = as_of.astimezone(UTC)
        bounds = {window.name: window.bounds(at) for window in self.series.evaluation.windows}
        codes, windows = frame["window"].cat.codes.to_numpy(), frame["window"].cat.categories
        edges = (pd.DatetimeIndex([bounds[w][i] for w in windows]).as_unit("us")[codes] for i in (0, 1))
        return {
            "as_of": pd.DatetimeIndex([at]).as_unit("us").repeat(len(frame)),
            **dict(zip(_EDGES, edges, strict=True)),
        }

    def _add(self, told: "_Told", interval: Limits | None, labels: Mapping[str, Any]) -> None:
        unknown = {name.removesuffix("_") for name in labels} - set(LABELS)
        if unknown:
            raise KeyError(min(unknown))
        rows = np.arange(len(self.series)) if told.where is None else np.flatnonzero(told.where)
        enough = self.enough[rows] if told.quality else np.True_
        value = np.where(enough, _of(np.asarray(told.value, dtype="float64"), rows), np.nan)
        lower, upper = self._bounds(interval, rows, enough)
        support = _of(self.series.support if told.support is None else told.support, rows)
        texts = {"metric": told.metric} | {name: labels.get(name, labels.get(f"{name}_", "")) for name in LABELS}
        self._parts.append(_Part(rows, value, lower, upper, support, texts))

    def _bounds(self, interval: Limits | None, rows: Counts, enough: Mask | np.bool_) -> tuple[Values, Values]:
        """The bounds of some series; one that is infinite says nothing, and neither does the other then."""
        limits = self._limits(interval)
        if limits is None:
            nothing = np.full(len(rows), np.nan)
            return nothing, nothing
        lower, upper = (_of(limit, rows) for limit in limits)
        both = np.isfinite(lower) & np.isfinite(upper) & enough
        return np.where(both, lower, np.nan), np.where(both, upper, np.nan)


class Known(NamedTuple):
    """A metric of every series, (series,); NaN where it is not known."""

    value: Values
    interval: Interval

    @classmethod
    def exactly(cls, value: Values) -> "Known":
        """Values that have no interval, because they are taken as they are."""
        return cls(value, Interval(value, value))


class _Told(NamedTuple):
    """A metric as it was given: `quality` ones need `min_support`."""

    metric: str
    value: Numbers
    support: Counts | None
    where: Mask | None
    quality: bool = False


def _of(numbers: Array, rows: Counts) -> Array:
    """The numbers of some series, which may be all that there are."""
    return numbers if len(numbers) == len(rows) else numbers[rows]


def _column(limits: Interval, i: int) -> Interval:
    return Interval(limits.lower[:, i], limits.upper[:, i])


class _Part(NamedTuple):
    """One metric of some series: which ones, the numbers, and the texts they share."""

    series: Counts
    value: Values
    lower: Values
    upper: Values
    support: Counts
    texts: dict[str, str]


def _repeated(texts: Sequence[str], sizes: Sequence[int], order: npt.NDArray[np.int64]) -> pd.Categorical:
    """One text for each part as a column of all parts' rows."""
    return _taken(pd.Series(texts), np.repeat(np.arange(len(texts)), sizes)[order])


def _taken(column: pd.Series, rows: npt.NDArray[np.int64]) -> pd.Categorical:
    codes, found = pd.factorize(column)
    taken: pd.Categorical = pd.Categorical.from_codes(codes[rows], pd.Index(found))
    return taken
