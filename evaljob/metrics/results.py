"""Results: one metric's value for one series, with its interval and its support, collected column by column."""

from collections.abc import Mapping
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from evaljob.metrics.series import Counts, Series, Values
from evaljob.statistics.intervals import Interval, proportion

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
        self,
        metric: str,
        value: Counts | Values,
        support: Counts | None = None,
        where: np.ndarray | None = None,
        **labels: str,
    ) -> None:
        """A count, a sum or another number that is told whatever its support."""
        self._add(metric, value, None, self.series.support if support is None else support, where, labels)

    def share(self, metric: str, part: Counts, whole: Counts, *, needs_support: bool = True, **labels: str) -> None:
        """A proportion with its interval. Below `min_support` it is undefined; coverage and the like are told anyway."""
        with np.errstate(invalid="ignore", divide="ignore"):
            value = part / whole
        interval = proportion(part, whole, self.series.evaluation.confidence)
        if needs_support:
            self.measure(metric, value, interval, **labels)
        else:
            self._add(metric, value, interval, whole, None, labels)

    def measure(
        self, metric: str, value: Values, interval: Interval | None = None, support: Counts | None = None,
        where: np.ndarray | None = None, **labels: str,
    ) -> None:  # fmt: skip
        """A quality metric: undefined (NaN) where the series has fewer labeled requests than `min_support`."""
        masked = np.where(self.enough, value, np.nan)
        bounds = None if interval is None else Interval(*(np.where(self.enough, bound, np.nan) for bound in interval))
        self._add(metric, masked, bounds, self.series.support if support is None else support, where, labels)

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
        self, metric: str, value: Counts | Values, interval: Interval | None, support: Counts, where: np.ndarray | None, labels: Mapping[str, str],
    ) -> None:  # fmt: skip
        rows = np.arange(len(self.series)) if where is None else np.flatnonzero(where)
        nothing = np.full(len(rows), np.nan)
        part = {
            "series": rows, "order": len(self._parts), "metric": metric, "value": np.asarray(value, dtype="float64")[rows],
            "lower": nothing if interval is None else interval.lower[rows], "upper": nothing if interval is None else interval.upper[rows],
            "support": support[rows],
        }  # fmt: skip
        self._parts.append(pd.DataFrame(part | {name: labels.get(name, labels.get(f"{name}_", "")) for name in LABELS}))
