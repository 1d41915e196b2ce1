"""Results: one metric's value for one series, with its interval and its support, collected column by column."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaljob.metrics.series import Counts, Series, Values
from evaljob.statistics.intervals import Interval, proportion

Mask: TypeAlias = npt.NDArray[np.bool_]
Numbers: TypeAlias = Counts | Values

LABELS = ("class", "quantile", "bin", "reason", "column")
COLUMNS = (
    "model", "model_version", "window", "slice", "slice_value", *LABELS, "metric", "value", "lower", "upper", "support",
    "as_of", "window_start", "window_end",
)  # fmt: skip


class Results:
    """Collects results of all series at once."""

    def __init__(self, series: Series) -> None:
        self.series = series
        self.enough = series.support >= series.evaluation.min_support
        self._parts: list[pd.DataFrame] = []

    def count(
        self, metric: str, value: Numbers, *, support: Counts | None = None, where: Mask | None = None, **labels: Any
    ) -> None:
        """A count, a sum or another number that is told whatever its support."""
        self._add(metric, value, support, where, None, labels)

    def share(self, metric: str, part: Counts, whole: Counts, *, needs_support: bool = True, **labels: Any) -> None:
        """A proportion with its interval. Undefined below `min_support`, which coverage and the like do not need."""
        with np.errstate(invalid="ignore", divide="ignore"):
            value = part / whole
        interval = proportion(part, whole, self.series.evaluation.confidence)
        if needs_support:
            self.measure(metric, value, interval, **labels)
        else:
            self._add(metric, value, whole, None, interval, labels)

    def measure(
        self,
        metric: str,
        value: Values,
        interval: Interval | None = None,
        *,
        support: Counts | None = None,
        where: Mask | None = None,
        **labels: Any,
    ) -> None:
        """A quality metric: undefined (NaN) where the series has fewer labeled requests than `min_support`."""
        bounds = None if interval is None else Interval(*(np.where(self.enough, bound, np.nan) for bound in interval))
        self._add(metric, np.where(self.enough, value, np.nan), support, where, bounds, labels)

    def frame(self, as_of: datetime) -> pd.DataFrame:
        """All results as one frame with the columns COLUMNS, sorted by series and metric."""
        frame = pd.concat(self._parts, ignore_index=True)
        names = self.series.names
        for column in names.columns:
            codes, found = pd.factorize(names[column])
            frame[column] = pd.Categorical.from_codes(codes[frame["series"].to_numpy()], found)
        frame = frame.sort_values(["series", "order"], kind="stable", ignore_index=True)
        return frame.assign(model=self.series.evaluation.model, **self._times(frame, as_of))[list(COLUMNS)]

    def _times(self, frame: pd.DataFrame, as_of: datetime) -> dict[str, pd.Series]:
        bounds = {window.name: window.bounds(as_of.astimezone(UTC)) for window in self.series.evaluation.windows}
        stamps = {"as_of": dict.fromkeys(bounds, as_of.astimezone(UTC))}
        stamps |= {
            "window_start": {w: b[0] for w, b in bounds.items()},
            "window_end": {w: b[1] for w, b in bounds.items()},
        }
        windows = frame["window"].astype(str)
        return {name: windows.map(times).astype("datetime64[us, UTC]") for name, times in stamps.items()}

    def _add(
        self,
        metric: str,
        value: Numbers,
        support: Counts | None,
        where: Mask | None,
        interval: Interval | None,
        labels: Mapping[str, Any],
    ) -> None:
        unknown = {name.removesuffix("_") for name in labels} - set(LABELS)
        if unknown:
            raise KeyError(min(unknown))
        rows = np.arange(len(self.series)) if where is None else np.flatnonzero(where)
        nothing = np.full(len(rows), np.nan)
        lower, upper = (nothing, nothing) if interval is None else (interval.lower[rows], interval.upper[rows])
        part = {
            "series": rows,
            "order": len(self._parts),
            "metric": metric,
            "value": np.asarray(value, dtype="float64")[rows],
            "lower": lower,
            "upper": upper,
            "support": (self.series.support if support is None else support)[rows],
        }
        named = {name: labels.get(name, labels.get(f"{name}_", "")) for name in LABELS}
        self._parts.append(pd.DataFrame(part | named))
