"""The join as anybody would write it in pandas for a few rows, and scikit-learn on what it gives.

Written from the words of the design alone. It holds every row in memory and knows neither cells nor segments nor steps.
"""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics

from evaljob.config import Evaluation
from evaljob.window import Window
from tests.logs import Row

LARGEST_NUMBER, LONGEST_LATENCY = 1e9, 1e10
MISSING = "__missing__"
FOREVER = timedelta(days=36_500)
NUMBERS = ("score", "latency_seconds", "paid")


@dataclass(frozen=True)
class Series:
    """One series of results: a window, a version or `all`, a slice and its value."""

    window: Window
    version: str = "all"
    slice: str = "overall"
    value: str = ""


class Naive:
    """What is known of every request at `as_of` (naive, UTC).

    `requests` has a row a request; `orphans` a row an id without prediction; `nameless` the rows without an id.
    """

    def __init__(
        self, evaluation: Evaluation, predictions: Sequence[Row], labels: Sequence[Row], as_of: datetime
    ) -> None:
        self.evaluation, self.as_of, self.columns = evaluation, as_of, evaluation.values  # noqa: PD011  (no frame)
        said = self._known(predictions, "predicted_at")
        told = self._known(labels, "labeled_at")
        self.nameless = {"prediction": said[said["request_id"].isna()], "label": told[told["request_id"].isna()]}
        said, told = said[said["request_id"].notna()], told[told["request_id"].notna()]
        self.orphans = told[~told["request_id"].isin(said["request_id"])].groupby("request_id")["labeled_at"].max()
        self.requests = self._judged(self._answered(self._served(said), told))

    def _known(self, rows: Sequence[Row], stamp: str) -> pd.DataFrame:
        """The rows known at `as_of`, of an age that `max_lag` lets exist."""
        numbers = (*NUMBERS, "prediction", "label") if self.evaluation.task == "regression" else NUMBERS
        frame = pd.DataFrame(list(rows), dtype=object)
        frame = frame.astype(
            {
                name: "datetime64[us]" if name.endswith("_at") else "float64"
                for name in frame.columns
                if name.endswith("_at") or name in numbers
            }
        )
        known = frame["ingested_at"] if "ingested_at" in frame else frame[stamp]
        frame = frame[(known < self.as_of) & frame[stamp].notna()]
        if self.evaluation.max_lag is None:
            return frame
        oldest = max(window.length + window.maturity for window in self.evaluation.windows)
        default = self.evaluation.labels_default
        due = timedelta(0) if default is None else default.after
        return frame[frame[stamp] >= self.as_of - oldest - due - self.evaluation.max_lag]

    def _served(self, said: pd.DataFrame) -> pd.DataFrame:
        """The first prediction of each id, ties broken by value, and how many more there were."""
        ties = ["prediction", "score", "model_version", "latency_seconds", "country"]
        ordered = said.sort_values(["predicted_at", *ties], na_position="first")
        first = ordered.drop_duplicates("request_id").set_index("request_id")
        return first.assign(duplicates=_sizes(said, first.index) - 1)

    def _answered(self, served: pd.DataFrame, told: pd.DataFrame) -> pd.DataFrame:
        """The latest label that is not too late joined to each request; one that is NULL takes the label back."""
        pairs = told[told["request_id"].isin(served.index)]
        lag = (pairs["labeled_at"] - pairs.join(served["predicted_at"], on="request_id")["predicted_at"]).abs()
        late = lag > (self.evaluation.max_lag or FOREVER)
        ordered = pairs[~late].sort_values(["labeled_at", "label", *self.columns], na_position="first")
        latest = ordered.drop_duplicates("request_id", keep="last").set_index("request_id")
        joined = served.join(latest[["label", "labeled_at", *self.columns]])
        rows, late_rows = (_sizes(found, joined.index) for found in (pairs[~late], pairs[late]))
        return joined.assign(
            corrections=np.maximum(rows - 1, 0),
            retracted=(rows > 0) & joined["label"].isna(),
            too_late=late_rows,
            real=joined["label"].notna(),
        )

    def _judged(self, joined: pd.DataFrame) -> pd.DataFrame:
        """Default labels where they are due, and which requests cannot be used."""
        default = self.evaluation.labels_default
        label, since = joined["label"].astype(object), joined["labeled_at"].where(joined["real"])
        if default is not None:
            due = joined["predicted_at"] + default.after
            implicit = ~joined["real"] & (due < self.as_of)
            label, since = label.mask(implicit, default.label), since.mask(implicit, due)
        rejected = self._wrong(joined)
        return joined.assign(
            label=label, rejected=rejected, counted_at=since.mask(rejected & since.isna(), joined["predicted_at"])
        )

    def _wrong(self, joined: pd.DataFrame) -> pd.Series:
        if self.evaluation.task == "regression":
            return _outside(joined["prediction"], LARGEST_NUMBER) | _outside(joined["label"], LARGEST_NUMBER)
        return joined["prediction"].notna() & joined["score"].notna() & ~joined["score"].between(0, 1)

    def inside(self, window: Window, when: pd.Series) -> pd.Series:
        """Which instants lie in [start, end)."""
        end = self.as_of - window.maturity
        return (when >= end - window.length) & (when < end)

    def of(self, series: Series) -> pd.DataFrame:
        """The requests of a series."""
        found = self.requests
        when = found["predicted_at"] if series.window.on == "predicted_at" else found["counted_at"]
        found = found[self.inside(series.window, when)]
        if series.version != "all":
            found = found[found["model_version"].fillna(MISSING) == series.version]
        return found if series.slice == "overall" else found[found[series.slice].fillna(MISSING) == series.value]

    def books(self, series: Series) -> dict[str, float | None]:
        """What the join's books say of a series."""
        requests = self.of(series)
        used = requests[~requests["rejected"]]
        labeled, failed = used["label"].notna(), used["prediction"].isna()
        on_predicted = series.window.on == "predicted_at"
        return {
            "predictions": len(used),
            "support": int((labeled & ~failed).sum()),
            "label_coverage_ratio": _ratio(labeled.sum(), len(used)) if on_predicted else None,
            "prediction_failures_ratio": _ratio(failed.sum(), len(used)),
            "duplicate_predictions": requests["duplicates"].sum(),
            "corrected_labels": requests["corrections"].sum(),
        }

    def rejected(self, window: Window) -> dict[str, float]:
        """Rejected rows of all versions by reason, without zeros."""
        requests = self.of(Series(window))
        wrong = "number_out_of_range" if self.evaluation.task == "regression" else "score_out_of_range"
        counts: dict[str, Any] = {
            wrong: requests["rejected"].sum(),
            "label_null": requests["retracted"].sum(),
            "too_late": requests["too_late"].sum(),
            "prediction_request_id_null": self.inside(window, self.nameless["prediction"]["predicted_at"]).sum(),
            "label_request_id_null": self.inside(window, self.nameless["label"]["labeled_at"]).sum(),
            "latency_out_of_range": (
                requests["latency_seconds"].notna() & ~requests["latency_seconds"].between(0, LONGEST_LATENCY)
            ).sum(),
        }
        for name in self.columns:
            counts["value_out_of_range"] = (requests["real"] & _outside(requests[name], LARGEST_NUMBER)).sum()
        return {reason: float(count) for reason, count in counts.items() if count}

    def orphans_in(self, window: Window) -> int:
        """How many ids have labels but no prediction; each lies where its latest label does."""
        return int(self.inside(window, self.orphans).sum())

    def quality(self, series: Series) -> Iterator[tuple[str, str, float | None]]:
        """What scikit-learn says of a series: (metric, class, value), None where it is undefined."""
        requests = self.of(series)
        usable = requests[~requests["rejected"] & requests["label"].notna() & requests["prediction"].notna()]
        if len(usable) == 0:
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn warns where a number is undefined
            yield from {"binary": self._binary, "multiclass": _multiclass, "regression": _regression}[
                self.evaluation.task
            ](usable)

    def _binary(self, usable: pd.DataFrame) -> Iterator[tuple[str, str, float | None]]:
        positive = self.evaluation.positive_label
        truth, said = (usable[name] == positive for name in ("label", "prediction"))
        yield from _whole(truth, said)
        yield from _of_class(truth, said, str(positive))
        scored = usable["score"].notna()
        if scored.any():
            yield from _scored(truth[scored], usable["score"][scored])
            yield from _ranked(truth[scored], usable["score"][scored])

    def durations(self, series: Series) -> dict[str, np.ndarray]:
        """Lags of real labels and latencies, in seconds. A label before its prediction has lag 0."""
        used = self.of(series)
        used = used[~used["rejected"]]
        lag = (used["labeled_at"] - used["predicted_at"])[used["real"]].dt.total_seconds()
        latency = used["latency_seconds"][used["latency_seconds"].between(0, LONGEST_LATENCY)]
        return {"label_lag_seconds": np.maximum(lag, 0), "prediction_latency_seconds": latency.to_numpy(dtype=float)}

    def value_sum(self, series: Series, name: str) -> float:
        """A value column summed over real labels, without what is no usable number."""
        used = self.of(series)
        used = used[~used["rejected"] & used["real"]]
        return float(used[name][used[name].abs() <= LARGEST_NUMBER].sum())


def _whole(truth: Any, said: Any) -> Iterator[tuple[str, str, float | None]]:
    matrix = metrics.confusion_matrix(truth, said)
    constant = len(set(truth)) == 1 or len(set(said)) == 1  # where scikit-learn calls the correlation 0
    yield "accuracy_ratio", "", metrics.accuracy_score(truth, said)
    yield "balanced_accuracy_ratio", "", metrics.balanced_accuracy_score(truth, said)
    yield "matthews_correlation", "", None if constant else metrics.matthews_corrcoef(truth, said)
    yield "cohen_kappa", "", None if len(matrix) == 1 else metrics.cohen_kappa_score(truth, said)


def _of_class(truth: Any, said: Any, name: str) -> Iterator[tuple[str, str, float | None]]:
    for metric, function in (("precision", metrics.precision_score), ("recall", metrics.recall_score)):
        yield f"{metric}_ratio", name, function(truth, said, zero_division=np.nan)
    nothing = not (truth | said).any()
    yield "f1_ratio", name, None if nothing else metrics.f1_score(truth, said)
    yield "specificity_ratio", name, metrics.recall_score(~truth, ~said, zero_division=np.nan)
    yield "prevalence_ratio", name, truth.mean()
    yield "predicted_ratio", name, said.mean()


def _scored(event: Any, score: Any) -> Iterator[tuple[str, str, float | None]]:
    clipped = score.clip(1e-6, 1 - 1e-6)
    yield "log_loss", "", metrics.log_loss(event, clipped, labels=[False, True])
    yield "brier_score", "", metrics.brier_score_loss(event, score, pos_label=True)
    yield "calibration_bias", "", score.mean() - event.mean()


def _ranked(truth: Any, score: Any) -> Iterator[tuple[str, str, float | None]]:
    yield "roc_auc", "", metrics.roc_auc_score(truth, score) if truth.nunique() == 2 else None
    yield "average_precision", "", metrics.average_precision_score(truth, score) if truth.any() else None


def _multiclass(usable: pd.DataFrame) -> Iterator[tuple[str, str, float | None]]:
    truth, said = usable["label"], usable["prediction"]
    yield from _whole(truth, said)
    for name in sorted({*truth, *said}):
        yield from _of_class(truth == name, said == name, name)
    scored = usable["score"].notna()
    if scored.any():
        yield from _scored((truth == said)[scored], usable["score"][scored])


def _regression(usable: pd.DataFrame) -> Iterator[tuple[str, str, float | None]]:
    truth, said = usable["label"].astype(float), usable["prediction"].astype(float)
    yield "mean_absolute_error", "", metrics.mean_absolute_error(truth, said)
    yield "root_mean_squared_error", "", metrics.root_mean_squared_error(truth, said)
    yield "mean_error", "", (said - truth).mean()
    yield "r2_score", "", None if truth.min() == truth.max() else metrics.r2_score(truth, said)


def _sizes(rows: pd.DataFrame, ids: pd.Index) -> pd.Series:
    return rows.groupby("request_id").size().reindex(ids, fill_value=0)


def _outside(values: pd.Series, limit: float) -> pd.Series:
    numbers = values.astype(float)
    return numbers.notna() & ~(numbers.abs() <= limit)


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
