"""The series that results are published for, and the cells summed into them."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaljob.cells import KEY, NONE, Cells, packed
from evaljob.config import Evaluation
from evaljob.join.plan import (
    BOOKS,
    ERROR_SUMS,
    KINDS,
    LABEL_ID_NULL,
    MICRO,
    ORPHAN,
    OUTCOME,
    USABLE,
    parts,
    value_sums,
)
from evaljob.statistics.arrays import Flags
from evaljob.types import class_name

Counts: TypeAlias = npt.NDArray[np.int64]
Values: TypeAlias = npt.NDArray[np.float64]

ALL = "all"
OVERALL = "overall"
OTHER = "__other__"


@dataclass(frozen=True)
class Series:
    """Every window times every (model_version, slice, slice_value) that occurs in any of them, and always the total.

    `names` has a row a series; `cells` are, by kind, the evaluation's cells with their series number in the column
    `series`, the totals over versions included, and slice values beyond `max_slice_values` summed into `__other__`.
    Only outcomes have sums. `folded` counts the values beyond by slice.
    """

    evaluation: Evaluation
    names: pd.DataFrame
    cells: dict[int, pd.DataFrame]
    classes: tuple[str, ...]
    folded: dict[str, int]

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def outcomes(self) -> pd.DataFrame:
        """The cells of requests with both a prediction and a label."""
        return _where(self.of_kind(OUTCOME), label=True, prediction=True)

    @cached_property
    def support(self) -> Counts:
        """Labeled and not failed requests."""
        return self.total(self.outcomes)

    @cached_property
    def predictions(self) -> Counts:
        """Requests with a prediction, failed ones included."""
        return self.total(self.of_kind(OUTCOME))

    @cached_property
    def labeled(self) -> Counts:
        """Requests with a label, failed ones included."""
        return self.total(_where(self.of_kind(OUTCOME), label=True))

    @cached_property
    def failed(self) -> Counts:
        """Requests whose prediction failed."""
        return self.total(_where(self.of_kind(OUTCOME), prediction=False))

    @cached_property
    def overall(self) -> npt.NDArray[np.bool_]:
        """Which series are of the slice `overall`."""
        return (self.names["slice"] == OVERALL).to_numpy()

    @cached_property
    def events(self) -> npt.NDArray[np.bool_]:
        """Per outcome cell, whether what the score is the probability of came true: positive or predicted class."""
        label, prediction = (self.outcomes[name].to_numpy(dtype="int64") for name in ("label", "prediction"))
        return np.asarray(label == (self.positive if self.evaluation.task == "binary" else prediction))

    @cached_property
    def keys(self) -> Counts:
        """A number a series that follows from its name alone, for what is drawn at random for it."""
        names = self.names[["model_version", "slice", "slice_value", "window"]].to_numpy().tolist()
        return np.array([hashed(json.dumps(name)) for name in names], dtype="int64")

    @property
    def positive(self) -> int:
        """The code of the positive class."""
        return self.code(class_name(self.evaluation.positive_label))

    def code(self, name: str) -> int:
        """The code of a class; NONE - 1, which nothing has, where it never occurs."""
        return self.classes.index(name) if name in self.classes else NONE - 1

    def of_kind(self, kind: int) -> pd.DataFrame:
        """The cells of one kind, of which there may be none."""
        return self.cells[kind]

    def booked(self, bucket: int) -> Counts:
        """What the books count under a reason."""
        books = self.of_kind(BOOKS)
        return self.total(books[books["bucket"] == bucket])

    def total(self, cells: pd.DataFrame, column: str = "n") -> Counts:
        """A column of cells summed by series, exactly."""
        return self.dense(cells, [], [], column)

    def real(self, cells: pd.DataFrame, name: str) -> Values:
        """A real number of cells summed by series."""
        whole, micro = (self.total(cells, part) for part in parts(name))
        return self._real(whole, micro, name)

    def real_of(self, cells: pd.DataFrame, name: str) -> Values:
        """A real number of each cell."""
        whole, micro = (cells[part].to_numpy() for part in parts(name))
        return self._real(whole, micro, name)

    def _real(self, whole: Counts, micro: Counts, name: str) -> Values:
        unit = (ERROR_SUMS | value_sums(self.evaluation))[name]
        return np.asarray(whole * float(unit) + micro / MICRO)

    def summed(self, cells: pd.DataFrame, values: Values) -> Values:
        """A number of each cell summed by series."""
        return np.bincount(cells["series"].to_numpy(), weights=values, minlength=len(self)).astype("float64")

    def dense(self, cells: pd.DataFrame, keys: Sequence[Counts], widths: Sequence[int], column: str = "n") -> Counts:
        """A column of cells summed into an array of shape (series, *widths), by series and by the given keys."""
        place = cells["series"].to_numpy()
        for key, width in zip(keys, widths, strict=True):
            place = place * width + key
        summed = np.zeros(len(self) * int(np.prod(widths, dtype="int64")), dtype="int64")
        np.add.at(summed, place, cells[column].to_numpy())
        return summed.reshape(len(self), *widths)


def _where(cells: pd.DataFrame, **there: bool) -> pd.DataFrame:
    """The cells whose label or prediction is there, or is not."""
    masks = [(cells[name].to_numpy() != NONE) == wanted for name, wanted in there.items()]
    return cells[np.logical_and.reduce(masks)]


def hashed(text: str) -> int:
    """A 63-bit number that follows from a text, the same on every machine."""
    return int.from_bytes(hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=8).digest()) >> 1


def series_of(evaluation: Evaluation, cells: Cells) -> Series:
    """The series of an evaluation and their cells."""
    compact = cells.compact()
    frame, versions = compact.frame, compact.levels["model_version"]
    value, values, folded = _capped(evaluation, frame, compact.levels["slice_value"])
    columns = [frame["slice"].to_numpy(), frame["model_version"].to_numpy(), value]
    _, first, group = np.unique(packed(columns)[0], return_index=True, return_inverse=True)
    groups = np.column_stack([column[first] for column in columns])
    counting = _counting(frame)
    own, counted = (np.unique(group[mask]) for mask in counting)
    entities, of_version, of_all = _entities(groups, own, counted, (0, len(versions), values.index("")))
    slices = [OVERALL, *(",".join(columns) for columns in evaluation.slices)]
    names = pd.DataFrame({
        "model_version": [(*versions, ALL)[v] for _, v, _ in entities],
        "slice": [slices[s] for s, _, _ in entities],
        "slice_value": [values[x] for _, _, x in entities],
    })  # fmt: skip
    windows = [names.assign(window=window.name) for window in evaluation.windows]
    numbers = [
        np.where(mask, frame["window"].to_numpy() * len(entities) + of[group], NONE)
        for mask, of in zip(counting, (of_version, of_all), strict=True)
    ]
    kinds = _by_kind(frame, numbers)
    return Series(evaluation, pd.concat(windows, ignore_index=True), kinds, compact.levels["class"], folded)


def _entities(
    groups: Counts, own: Counts, counted: Counts, always: tuple[int, int, int]
) -> tuple[Counts, Counts, Counts]:
    """The (slice, version, slice value) of each series of a window, and per group the numbers of its own and the total.

    `groups` are such triples; `own` and `counted` those with a series of their version, and with one of the total.
    """
    totals = groups[counted].copy()
    totals[:, 1] = always[1]
    entities, inverse = np.unique(np.vstack([groups[own], totals, [always]]), axis=0, return_inverse=True)
    of_version, of_all = (np.full(len(groups), NONE) for _ in range(2))
    of_version[own], of_all[counted] = inverse[: len(own)], inverse[len(own) : -1]
    return entities, of_version, of_all


def _counting(frame: pd.DataFrame) -> tuple[Flags, Flags]:
    """Which cells count for their version, and which for all: labels without prediction have neither it nor a slice."""
    labels = ((frame["kind"] == BOOKS) & frame["bucket"].isin((ORPHAN, LABEL_ID_NULL))).to_numpy()
    return ~labels, ~labels | (frame["slice"] == 0).to_numpy()


def _by_kind(frame: pd.DataFrame, numbers: Sequence[Counts]) -> dict[int, pd.DataFrame]:
    """The frame's rows by kind, each as often as it has a series."""
    sums = [name for name in frame.columns if name not in KEY]
    found = {}
    for kind in KINDS:
        mine = (frame["kind"] == kind).to_numpy()
        rows = [np.flatnonzero(mine & (series != NONE)) for series in numbers]
        columns = ["label", "prediction", "bucket", *(sums if kind == OUTCOME else ["n"])]
        both = np.concatenate(rows)
        own = {name: frame[name].to_numpy()[both] for name in columns}
        series = np.concatenate([series[some] for series, some in zip(numbers, rows, strict=True)])
        found[kind] = pd.DataFrame(own | {"series": series}, copy=False)
    return found


def _capped(
    evaluation: Evaluation, frame: pd.DataFrame, values: tuple[str, ...]
) -> tuple[Counts, tuple[str, ...], dict[str, int]]:
    """The codes of slice values, what they stand for, and how many became `__other__` in each slice.

    Those are the values beyond the `max_slice_values` with the most requests (ties: first by name).
    """
    names = (*values, *(name for name in ("", OTHER) if name not in values))
    codes = frame["slice_value"].to_numpy().copy()
    counted = frame[(frame["kind"] == BOOKS) & (frame["bucket"] == USABLE)]
    folded = {}
    for number, columns in enumerate(evaluation.slices, start=1):
        mine = counted[counted["slice"] == number].groupby("slice_value")["n"].sum()
        ranked = sorted(mine.index, key=lambda code: (-mine[code], values[code]))
        extra = ranked[evaluation.max_slice_values :]
        folded[",".join(columns)] = len(extra)
        codes[(frame["slice"].to_numpy() == number) & np.isin(codes, extra)] = names.index(OTHER)
    return codes, names, folded
