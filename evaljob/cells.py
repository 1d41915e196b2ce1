"""Cells: counts and sums per key that add and subtract exactly; from segments to windows, from groups to slices."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaljob.join.plan import AGE, BOOKED, BOOKS, OUTCOME, SCORE_SUMS, Plan
from evaljob.types import class_name
from evaljob.window import OUTSIDE, Window

Codes: TypeAlias = npt.NDArray[np.int64]
Columns: TypeAlias = Mapping[str, Codes]  # of one length
Rows: TypeAlias = Mapping[str, npt.NDArray[Any]]  # the statement's: numbers, and objects where values are of any type
Levels: TypeAlias = Mapping[str, tuple[str, ...]]

KEY = ("window", "slice", "model_version", "slice_value", "kind", "label", "prediction", "bucket")
CODED: Mapping[str, str] = {
    "model_version": "model_version",
    "slice_value": "slice_value",
    "label": "class",
    "prediction": "class",
}
NO_LEVELS: Levels = {"model_version": (), "slice_value": (), "class": ()}
NONE = -1  # the code of a missing label or prediction
MISSING = "__missing__"  # what a NULL model version or slice value is called
RESERVED = {"all": "__all__"}  # a version called `all` must not be taken for the total
BOOKED_BUCKET = 100  # buckets of BOOKS cells: reasons as the join numbers them, and from here on what BOOKED names


class InexactError(ArithmeticError):
    """A difference of cells came out impossible: rows of the logs were deleted or rewritten behind the state."""


@dataclass(frozen=True)
class Cells:
    """Sufficient statistics, a row a cell: KEY columns as codes, `n`, and the evaluation's sums; int64, sorted by key.

    `window` and `slice` number the evaluation's windows and slices (slice 0 is `overall`). Versions, slice values and
    classes are codes into `levels`; NONE stands for a missing label or prediction. Cells whose count and sums are all
    zero do not exist.
    """

    frame: pd.DataFrame
    levels: Levels

    def __add__(self, other: "Cells") -> "Cells":
        """The sum, cell by cell. Exact: everything is an integer."""
        levels = {name: tuple(dict.fromkeys((*values, *other.levels[name]))) for name, values in self.levels.items()}
        summed = _summed(_columns(self._recoded(levels).frame), _columns(other._recoded(levels).frame))
        return Cells(pd.DataFrame(summed, copy=False), levels)

    def __neg__(self) -> "Cells":
        """The cells with every count and sum negated."""
        return Cells(
            self.frame.assign(**{name: -self.frame[name] for name in self.frame.columns.difference(list(KEY))}),
            self.levels,
        )

    def checked(self) -> "Cells":
        """The same cells, if they can be counts of rows. Raises InexactError otherwise."""
        impossible = int((self.frame["n"] <= 0).sum())
        if impossible:
            msg = f"{impossible} cells would hold fewer rows than none"
            raise InexactError(msg)
        return self

    def compact(self) -> "Cells":
        """The same cells with only the levels in use, in sorted order: equal sets of cells have equal frames."""
        used = {name: self._used(name) for name in self.levels}
        recoded = self._recoded(used)
        return Cells(_in_order(recoded.frame), used)

    def identical(self, other: "Cells") -> bool:
        """Whether both hold the same cells with the same counts and sums."""
        a, b = self.compact(), other.compact()
        return a.levels == b.levels and a.frame.equals(b.frame)

    def drift(self, other: "Cells") -> int:
        """How many cells differ."""
        return len((self + -other).frame)

    def _used(self, name: str) -> tuple[str, ...]:
        codes = np.unique(
            np.concatenate([self.frame[column].to_numpy() for column, level in CODED.items() if level == name])
        )
        return tuple(sorted(self.levels[name][code] for code in codes if code != NONE))

    def _recoded(self, levels: Levels) -> "Cells":
        if levels == self.levels:
            return self
        maps = {name: _translation(self.levels[name], levels[name]) for name in levels}
        codes = {column: maps[name][self.frame[column].to_numpy()] for column, name in CODED.items()}
        return Cells(self.frame.assign(**codes), levels)


def empty(plan: Plan) -> Cells:
    """No cells."""
    return Cells(pd.DataFrame(columns=list(_names(plan)), dtype="int64"), NO_LEVELS)


def _names(plan: Plan) -> tuple[str, ...]:
    return (*KEY, "n", *stored_sums(plan))


def stored_sums(plan: Plan) -> tuple[str, ...]:
    """The sums that cells keep: of the two log losses a row could have, the one that its label chose."""
    return plan.sums if plan.regression else ("score", "squared_score", "log_loss", *plan.sums[len(SCORE_SUMS) :])


def collect(plan: Plan, columns: Sequence[str], batches: Iterable[Sequence[Any]]) -> Cells:
    """The cells of the statement's rows, batch by batch: memory holds the cells, not the rows."""
    parts = (_from_rows(plan, _transposed(columns, batch)) for batch in batches)
    return reduce(Cells.__add__, parts, empty(plan))


def _transposed(columns: Sequence[str], rows: Sequence[Any]) -> Rows:
    values = zip(*rows, strict=True) if rows else [()] * len(columns)
    return {
        name: np.array(x, dtype="int64" if _is_number(name) else object)
        for name, x in zip(columns, values, strict=True)
    }


def _is_number(column: str) -> bool:
    """Versions, slice values and classes are of any type."""
    return column not in ("model_version", "label", "prediction") and not column.startswith("slice_")


def slice_value(values: Iterable[str]) -> str:
    """The text of one slice of a tuple of columns: its values joined by commas, which are escaped inside a value."""
    columns = list(values)
    return (
        columns[0]
        if len(columns) == 1
        else ",".join(value.replace("\\", "\\\\").replace(",", "\\,") for value in columns)
    )


def _from_rows(plan: Plan, rows: Rows) -> Cells:
    """Cells of every window and slice from the statement's rows, which lie on segments and in groups of columns."""
    classes, labels, predictions = _classes(rows)
    versions, version_codes = _coded(rows["model_version"], RESERVED)
    keys = {"model_version": version_codes, "label": labels, "prediction": predictions}
    plain = keys | {name: rows[name] for name in ("kind", "bucket", "n")}
    base, places = _with_books(rows, plain | _sums(plan, rows, plain, classes))
    values, coded = _slices(plan, rows)
    parts = []
    for w, window in enumerate(plan.evaluation.windows):
        within = np.isin(rows["on_predicted" if window.on == "predicted_at" else "on_labeled"], _segments(plan, w))
        for s, (codes, grouped) in enumerate(coded):
            counted = np.flatnonzero((within & grouped & _counting(window, s, rows["kind"]))[places])
            own = {"window": np.full(len(counted), w), "slice": np.full(len(counted), s)}
            own["slice_value"] = codes[places[counted]]
            parts.append(_summed(own | {name: column[counted] for name, column in base.items()}))
    together = {name: np.concatenate([part[name] for part in parts]) for name in _names(plan)}
    levels = {"model_version": versions, "class": classes, "slice_value": values}
    return Cells(pd.DataFrame(together, copy=False), levels)


def _counting(window: Window, slice_: int, kinds: Codes) -> npt.NDArray[np.bool_]:
    """Which kinds of cells a window and slice have: ages are counted of all rows together, and by prediction only."""
    return np.asarray((kinds != AGE) | (window.on == "predicted_at" and slice_ == 0))


def _segments(plan: Plan, window: int) -> list[int]:
    configured = plan.evaluation.windows[window]
    segments = plan.on_predicted if configured.on == "predicted_at" else plan.on_labeled
    return sorted(segments.of(configured) - {OUTSIDE})


def _sums(plan: Plan, rows: Rows, base: Columns, classes: tuple[str, ...]) -> dict[str, Codes]:
    """The outcome cells' sums; 0 for other kinds of cells."""
    found = {name: rows[f"sum_{i}"] for i, name in enumerate(plan.sums)}
    if not plan.regression:
        chosen = np.where(_is_event(plan, base, classes), found["log_score"], found["log_rest"])
        found["log_loss"] = np.where(base["label"] != NONE, chosen, 0)
    outcome = base["kind"] == OUTCOME
    return {name: np.where(outcome, found[name], 0) for name in stored_sums(plan)}


def _is_event(plan: Plan, base: Columns, classes: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    """Whether what the score is the probability of came true: the positive class, or the class that was predicted."""
    if plan.evaluation.task != "binary":
        return np.equal(base["label"], base["prediction"])
    positive = class_name(plan.evaluation.positive_label)
    return np.equal(base["label"], classes.index(positive) if positive in classes else NONE - 1)


def _with_books(rows: Rows, base: Columns) -> tuple[Columns, Codes]:
    """One cell for each thing that a BOOKS row counts, and for every resulting cell the row it came from."""
    books = np.flatnonzero(base["kind"] == BOOKS)
    places = np.concatenate([np.arange(len(base["kind"])), *[books] * len(BOOKED)])
    counts = [rows[f"sum_{i}"][books] for i in range(len(BOOKED))]
    buckets = [np.full(len(books), BOOKED_BUCKET + i) for i in range(len(BOOKED))]
    booked = {"n": np.concatenate([base["n"], *counts]), "bucket": np.concatenate([base["bucket"], *buckets])}
    return {name: booked[name] if name in booked else column[places] for name, column in base.items()}, places


def _slices(plan: Plan, rows: Rows) -> tuple[tuple[str, ...], list[tuple[Codes, npt.NDArray[np.bool_]]]]:
    """The slice values that occur, and for each slice (first `overall`) their codes and the rows it is summed from."""
    groups = rows["group"]
    names: dict[str, int] = {"": 0}
    coded = [(np.zeros(len(groups), dtype="int64"), groups == 0)]
    for columns in plan.evaluation.slices:
        group = next(i for i, group in enumerate(plan.groups) if set(columns) <= set(group))
        coded.append((_slice_codes(rows, columns, names), groups == group))
    return tuple(names), coded


def _slice_codes(rows: Rows, columns: Sequence[str], names: dict[str, int]) -> Codes:
    parts = [_coded(rows[f"slice_{column}"], {}) for column in columns]
    together, _ = packed([codes for _, codes in parts])
    _, first, inverse = np.unique(together, return_index=True, return_inverse=True)
    texts = [slice_value(values[codes[i]] for values, codes in parts) for i in first]
    return np.array([names.setdefault(text, len(names)) for text in texts], dtype="int64")[inverse]


def _classes(rows: Rows) -> tuple[tuple[str, ...], Codes, Codes]:
    """The classes that occur, and the codes of labels and predictions."""
    names: dict[str, int] = {}
    coded = []
    for column in ("label", "prediction"):
        codes, found = pd.factorize(rows[column])
        own = np.array([*(names.setdefault(class_name(value), len(names)) for value in found), NONE], dtype="int64")
        coded.append(own[codes])
    return tuple(names), coded[0], coded[1]


def _coded(column: npt.NDArray[Any], reserved: Mapping[str, str]) -> tuple[tuple[str, ...], Codes]:
    codes, found = pd.factorize(column)
    names: dict[str, int] = {}
    own = [names.setdefault(reserved.get(str(value), str(value)), len(names)) for value in found]
    if (codes == NONE).any():
        own.append(names.setdefault(MISSING, len(names)))
    return tuple(names), np.array(own, dtype="int64")[codes]


def _translation(old: tuple[str, ...], new: tuple[str, ...]) -> Codes:
    """Old codes to new ones; the last entry keeps NONE, which is -1, what it is."""
    places = {value: code for code, value in enumerate(new)}
    return np.array([*(places.get(value, NONE) for value in old), NONE], dtype="int64")


def _columns(frame: pd.DataFrame) -> Columns:
    return {name: frame[name].to_numpy() for name in frame.columns}


def _summed(*parts: Columns) -> dict[str, Codes]:
    """One row a key, sorted by key, without rows that are all zero. Holds no second copy of the parts but its own."""

    def column(name: str) -> Codes:
        return parts[0][name] if len(parts) == 1 else np.concatenate([part[name] for part in parts])

    together, order = packed([column(name) for name in KEY])
    ordered = together[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))
    sums = {name: np.add.reduceat(column(name)[order], starts) for name in parts[0] if name not in KEY}
    some = np.any([total != 0 for total in sums.values()], axis=0)
    kept = order[starts[some]]
    return {name: column(name)[kept] if name in KEY else sums.pop(name)[some] for name in parts[0]}


def _in_order(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame sorted by key, which it mostly is."""
    together, order = packed([frame[name].to_numpy() for name in KEY])
    sorted_already = bool((together[1:] >= together[:-1]).all())
    return frame.reset_index(drop=True) if sorted_already else frame.iloc[order].reset_index(drop=True)


def packed(columns: Sequence[Codes]) -> tuple[Codes, Codes]:
    """One integer a row that orders and equals as the columns together do, and the order that sorts it."""
    widths = [int(column.max(initial=NONE)) + 2 for column in columns]
    if np.prod([float(width) for width in widths]) >= 2**62:
        return _ranked(columns)
    together = np.zeros(len(columns[0]), dtype="int64")
    for column, width in zip(columns, widths, strict=True):
        together = together * width + (column + 1)
    return together, np.argsort(together, kind="stable")


def _ranked(columns: Sequence[Codes]) -> tuple[Codes, Codes]:
    order = np.lexsort(columns[::-1])
    changed = np.any([np.diff(column[order], prepend=column[order[:1]] - 1) != 0 for column in columns], axis=0)
    together = np.empty(len(order), dtype="int64")
    together[order] = np.cumsum(changed)
    return together, order
