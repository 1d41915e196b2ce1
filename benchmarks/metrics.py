"""How long cells take to become results, beside scikit-learn called series by series: `python -m benchmarks.metrics`.

Also how far areas and percentiles, which see scores and durations in bins, are from their values over the single rows.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn import metrics as sklearn_metrics

from evaljob.cells import KEY, Cells
from evaljob.config import Costs, Evaluation, Metrics
from evaljob.join.plan import BOOKS, LAG, LATENCY, OUTCOME, USABLE
from evaljob.metrics import evaluate
from evaljob.metrics.classification import confusion_matrix
from evaljob.metrics.series import series_of
from evaljob.statistics import confusion, ranking
from evaljob.statistics.binning import duration_bucket_of, duration_bucket_value, score_bin_of
from evaljob.statistics.bins import SCORE_BINS, SCORE_UNIT
from evaljob.statistics.quantiles import Counted
from evaljob.window import Window

AS_OF = datetime(2026, 1, 1, tzinfo=UTC)
WINDOWS = tuple(Window(f"{days}d", timedelta(days=days)) for days in (1, 7, 14, 30))
POINTS = Metrics(
    intervals=False, calibration=False, ranking=False, thresholds=False, confusion=False, quantiles=False,
    business=False, missing=False, change=False, fairness=False,
)  # fmt: skip
COSTS = {"outcomes": {"tp": 0, "fp": 4, "fn": "amount", "tn": 0}}
THRESHOLD = 0.5
ROWS = 1_000_000  # of the logs whose areas and percentiles are compared with those over single rows
TOGETHER = 500  # series whose rows are counted at once
COMPARED = 100  # series that scikit-learn is timed on, for it takes minutes for all

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Log:
    """Rows of `series` slices and windows: which one, label, score, amount, lag and latency in microseconds."""

    series: npt.NDArray[np.int64]
    label: npt.NDArray[np.int64]
    score: Floats
    amount: Floats
    lag: npt.NDArray[np.int64]

    @classmethod
    def draw(cls, series: int, rows: int, seed: int = 1) -> "Log":
        """Rows of calibrated scores, so many in each series."""
        rng = np.random.default_rng(seed)
        score = np.round(rng.beta(0.6, 2, series * rows), 9)
        label = rng.binomial(1, score)
        amount = np.round(rng.lognormal(3, 1, len(score)), 2) * label
        lag = (rng.lognormal(8, 1.5, len(score)) * 1e6).astype(np.int64)
        return cls(np.repeat(np.arange(series), rows), label, score, amount, lag)

    @property
    def said(self) -> npt.NDArray[np.int64]:
        """What a threshold of one half predicts."""
        return (self.score >= THRESHOLD).astype(np.int64)

    def cells(self, slices: int, *, scored: bool = True) -> Cells:
        """As the database counts them: series are windows times slice values, slice value 0 being all.

        `scored` False: of a model that logs no scores and no times. Some series at a time, for rows take memory.
        """
        bounds = np.searchsorted(self.series, np.arange(0, slices * len(WINDOWS) + TOGETHER, TOGETHER))
        frames = [self._counted(slice(*ends), slices, scored=scored) for ends in pairwise(bounds)]
        levels = {
            "model_version": ("v1",),
            "slice_value": ("", *(f"s{i:05d}" for i in range(1, slices))),
            "class": ("0", "1"),
        }
        return Cells(pd.concat(frames, ignore_index=True), levels).compact()

    def _counted(self, part: slice, slices: int, *, scored: bool) -> pd.DataFrame:
        outcomes = self._outcomes(part, scored=scored)
        nothing = outcomes[["series", "n"]].assign(label=-1, prediction=-1)
        parts = [outcomes.assign(kind=OUTCOME), nothing.assign(kind=BOOKS, bucket=USABLE)]
        if scored:
            bucket = duration_bucket_of(self.lag[part])
            parts += [nothing.assign(kind=kind, bucket=bucket) for kind in (LAG, LATENCY)]
        rows = pd.concat(parts, ignore_index=True).fillna(0).astype("int64")
        value = rows["series"] % slices
        placed = rows.assign(
            window=rows["series"] // slices, slice=(value > 0).astype("int64"), slice_value=value, model_version=0
        )
        sums = [name for name in outcomes if name not in KEY and name != "series"]
        return placed.groupby(list(KEY), as_index=False)[sums].sum()

    def _outcomes(self, part: slice, *, scored: bool) -> pd.DataFrame:
        label, score, amount = self.label[part], self.score[part], self.amount[part]
        grid = np.round(score * SCORE_UNIT).astype(np.int64) * scored
        loss = -np.log(np.clip(np.where(label == 1, score, 1 - score), 1e-6, 1)) * scored
        square = amount**2
        return pd.DataFrame({
            "series": self.series[part], "label": label, "prediction": self.said[part],
            "bucket": score_bin_of(grid) if scored else -1, "n": 1, "score": grid,
            "squared_score": np.round(score**2 * SCORE_UNIT).astype(np.int64) * scored,
            "log_loss": np.round(loss * SCORE_UNIT).astype(np.int64),
            "value_0_whole": np.floor(amount).astype(np.int64),
            "value_0_micro": np.round((amount - np.floor(amount)) * 1e6).astype(np.int64),
            "squared_value_0_whole": np.floor(square / 1e6).astype(np.int64),
            "squared_value_0_micro": np.round(square % 1e6 * 1e6).astype(np.int64),
        })  # fmt: skip


def evaluation(wanted: Metrics, slices: int) -> Evaluation:
    """With a cost per row and a value column; the SQL is never read."""
    return Evaluation(
        model="m", task="binary", positive_label=1, predictions=Path("p.sql"), labels=Path("l.sql"), windows=WINDOWS,
        slices=(("slice",),), values=("amount",), costs=Costs.model_validate(COSTS), max_slice_values=slices,
        metrics=wanted,
    )  # fmt: skip


class Seconds(NamedTuple):
    """By the wall, and of the processor alone, which other work on the machine does not lengthen so much."""

    wall: float
    cpu: float

    def __str__(self) -> str:
        return f"{self.wall:9.3f} s {self.cpu:9.3f} s"


def timed(call: Callable[[], object], times: int = 3) -> Seconds:
    """The best of some."""
    found = []
    for _ in range(times):
        wall, cpu = time.perf_counter(), time.process_time()
        call()
        found.append(Seconds(time.perf_counter() - wall, time.process_time() - cpu))
    return Seconds(*map(min, zip(*found, strict=True)))


def speed(series: int, rows: int) -> Iterator[str]:
    """All metrics, the point metrics, and scikit-learn's point metrics of so many series."""
    slices = series // len(WINDOWS) // 2  # each series is there as version v1 and as the total over versions
    log = Log.draw(slices * len(WINDOWS), rows)
    cells, unscored = log.cells(slices), log.cells(slices, scored=False)
    results = evaluate(evaluation(Metrics(), slices), cells, AS_OF, {})
    made = len(results.drop_duplicates(["window", "model_version", "slice", "slice_value"]))
    matrix, _ = confusion_matrix(series_of(evaluation(POINTS, slices), cells))
    measured: dict[str, Callable[[], object]] = {
        "everything": partial(evaluate, evaluation(Metrics(), slices), cells, AS_OF, {}),
        "without intervals": partial(evaluate, evaluation(Metrics(intervals=False), slices), cells, AS_OF, {}),
        "point metrics": partial(evaluate, evaluation(POINTS, slices), cells, AS_OF, {}),
        "point metrics, no scores were logged": partial(evaluate, evaluation(POINTS, slices), unscored, AS_OF, {}),
        "point metrics, formulas alone": partial(points, matrix),
    }
    yield f"{made:,} series of {rows:,} rows, {len(cells.frame):,} cells, {len(results):,} results: wall, processor"
    for name, call in measured.items():
        yield f"  {name:<38} {timed(call)}"
    theirs = timed(partial(by_scikit_learn, log, COMPARED), times=1)
    scaled = Seconds(theirs.wall * made / COMPARED, theirs.cpu * made / COMPARED)
    yield f"  {'scikit-learn, the same points':<38} {scaled}  ({COMPARED} series, scaled)"


def points(matrix: npt.NDArray[np.int64]) -> None:
    """Every point metric of a confusion matrix, of all series at once."""
    outcomes = confusion.one_vs_rest(matrix)
    for score in (
        confusion.accuracy,
        confusion.balanced_accuracy,
        confusion.matthews_correlation,
        confusion.cohen_kappa,
    ):
        score(matrix)
    for of_class in (confusion.precision, confusion.recall, confusion.f1, confusion.specificity):
        of_class(outcomes)


def by_scikit_learn(log: Log, series: int) -> None:
    """What `point metrics` are, called for one series after the other."""
    bounds = np.searchsorted(log.series, np.arange(series + 1))
    for start, end in pairwise(bounds):
        y, said = log.label[start:end], log.said[start:end]
        sklearn_metrics.accuracy_score(y, said)
        sklearn_metrics.balanced_accuracy_score(y, said)
        sklearn_metrics.matthews_corrcoef(y, said)
        sklearn_metrics.cohen_kappa_score(y, said)
        sklearn_metrics.precision_recall_fscore_support(y, said, average="binary", zero_division=np.nan)
        sklearn_metrics.recall_score(y, said, pos_label=0, zero_division=np.nan)


def resolution() -> Iterator[str]:
    """How far binned areas and percentiles are from those over a million single rows."""
    rng = np.random.default_rng(5)
    for name, (a, b) in {"ordinary": (2, 3), "rare events": (0.05, 50)}.items():
        score = np.clip(np.round(rng.beta(a, b, ROWS), 9), 0, 1)
        y = rng.binomial(1, score)
        area, precision = binned_areas(y, score)
        exact = sklearn_metrics.roc_auc_score(y, score), sklearn_metrics.average_precision_score(y, score)
        yield (
            f"{name}, base rate {y.mean():.2%}: AUC {area:.5f} ({area - exact[0]:+.5f}),"
            f" average precision {precision:.5f} ({precision - exact[1]:+.5f})"
        )
    lag = (rng.lognormal(8, 2, ROWS) * 1e6).astype(np.int64)
    bucket, n = np.unique(duration_bucket_of(lag), return_counts=True)
    q = [0.5, 0.95, 0.99]
    found = Counted(np.zeros(len(bucket)), duration_bucket_value(bucket), n, 1).quantile(q)[0]
    off = found / (np.quantile(lag, q, method="inverted_cdf") / 1e6) - 1
    yield "percentiles 50, 95, 99 off by " + ", ".join(f"{x:+.2%}" for x in off)


def binned_areas(y: npt.NDArray[np.int64], score: Floats) -> tuple[float, float]:
    """ROC AUC and average precision from fine bins."""
    place = score_bin_of(np.round(score * SCORE_UNIT).astype(np.int64))

    def by_bin(weights: Floats) -> Floats:
        return np.bincount(place, weights=weights, minlength=SCORE_BINS)[None].astype(np.float64)

    positives, negatives = (by_bin(chosen.astype(float)) for chosen in (y == 1, y == 0))
    sums = (by_bin(y * score), by_bin((1 - y) * score))
    return (
        ranking.roc_auc(positives, negatives, *sums)[0],
        ranking.average_precision(positives, negatives, *sums, by_bin(score**2))[0],
    )


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--series", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--rows", type=int, default=500, help="rows of a series")
    arguments = parser.parse_args()
    for series in arguments.series:
        for line in speed(series, arguments.rows):
            sys.stdout.write(f"{line}\n")
    for line in resolution():
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
