"""The results of one run in few bytes: what they are called, and their numbers column by column.

Rows of a table took 38 bytes a result on SQLite; this takes about 5, because the names repeat from series to series
and counts are mostly zeros.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaljob.metrics.results import LABELS

TEXTS = ("model_version", "window", "slice", "slice_value", *LABELS, "metric")
NUMBERS = ("value", "lower", "upper")
_LEVEL = 6  # of zlib: a millisecond for 2,500 results; more gains nothing
_CODE, _REAL, _WHOLE = np.dtype("<i4"), np.dtype("<f8"), np.dtype("<i8")

Microseconds: TypeAlias = npt.NDArray[np.int64]
Mask: TypeAlias = npt.NDArray[np.bool_]


class DamagedError(ValueError):
    """Bytes that hold no results."""


@dataclass(frozen=True)
class Names:
    """What results are called: a code a row and column into the column's texts, and where the windows lie.

    `codes` has the shape (len(TEXTS), rows); `windows` are the microseconds from `as_of` to a window's start and end.
    """

    codes: npt.NDArray[np.int32]
    texts: Mapping[str, tuple[str, ...]]
    windows: Mapping[str, tuple[int, int]]

    def __len__(self) -> int:
        return int(self.codes.shape[1])

    def column(self, name: str, repeat: int = 1) -> pd.Categorical:
        """A column of TEXTS, the whole of it as often as asked."""
        codes = np.tile(self.codes[TEXTS.index(name)], repeat)
        column: pd.Categorical = pd.Categorical.from_codes(codes, pd.Index(self.texts[name], dtype="str"))
        return column

    def among(self, name: str, wanted: tuple[str, ...]) -> Mask:
        """Which rows have one of the texts in a column."""
        found = np.array([text in wanted for text in self.texts[name]], dtype=bool)
        return np.asarray(found[self.codes[TEXTS.index(name)]])

    def edges(self, as_of: Microseconds) -> Microseconds:
        """Start and end of every row's window at every instant: shape (2, instants x rows)."""
        offsets = np.array([self.windows[window] for window in self.texts["window"]], dtype=np.int64).T
        places = self.codes[TEXTS.index("window")]
        return np.stack([(as_of[:, None] + offset[places]).ravel() for offset in offsets])

    def where(self, mask: Mask) -> "Names":
        """Some of the rows."""
        return Names(self.codes[:, mask], self.texts, self.windows)


def pack_names(results: pd.DataFrame) -> bytes:
    """What the results of one run are called. Equal names are equal bytes."""
    coded = {name: pd.factorize(results[name]) for name in TEXTS}
    texts = {name: [str(text) for text in found] for name, (_, found) in coded.items()}
    header = json.dumps({"texts": texts, "windows": _windows(results)}).encode()
    codes = np.stack([codes for codes, _ in coded.values()]).astype(_CODE)
    return zlib.compress(header + b"\n" + codes.tobytes(), _LEVEL)


@lru_cache(maxsize=64)
def unpack_names(data: bytes) -> Names:
    """The names that `pack_names` wrote. Raises DamagedError."""
    try:
        header, codes = zlib.decompress(data).split(b"\n", 1)
        read = json.loads(header)
        texts = {str(name): tuple(found) for name, found in read["texts"].items()}
        windows = {name: (int(start), int(end)) for name, (start, end) in read["windows"].items()}
        return _with_all_labels(np.frombuffer(codes, _CODE).reshape(len(texts), -1), texts, windows)
    except (zlib.error, ValueError, KeyError, TypeError) as error:
        raise DamagedError(str(error)) from error


def _with_all_labels(
    codes: npt.NDArray[np.int32], texts: Mapping[str, tuple[str, ...]], windows: Mapping[str, tuple[int, int]]
) -> Names:
    """Names from before a metric had further labels: those are empty."""
    known = [np.zeros_like(codes[0]) if name not in texts else codes[list(texts).index(name)] for name in TEXTS]
    if not texts.keys() <= set(TEXTS) or not set(TEXTS) - set(LABELS) <= texts.keys():
        raise KeyError(*sorted(texts.keys() ^ set(TEXTS))[:1])
    return Names(np.stack(known), {name: texts.get(name, ("",)) for name in TEXTS}, windows)


def pack_numbers(results: pd.DataFrame) -> bytes:
    """Value, bounds and support of the results of one run, bit for bit."""
    reals = [results[name].to_numpy().astype(_REAL).tobytes() for name in NUMBERS]
    return zlib.compress(b"".join([*reals, results["support"].to_numpy().astype(_WHOLE).tobytes()]), _LEVEL)


def unpack_numbers(data: bytes, rows: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """The numbers that `pack_numbers` wrote: (value, lower, upper) of shape (3, rows), and support.

    Raises DamagedError, also when they are not as many.
    """
    try:
        raw = zlib.decompress(data)
        reals = np.frombuffer(raw, _REAL, len(NUMBERS) * rows).reshape(len(NUMBERS), rows)
        support = np.frombuffer(raw, _WHOLE, offset=reals.nbytes)
    except (zlib.error, ValueError) as error:
        raise DamagedError(str(error)) from error
    if len(support) != rows:
        raise DamagedError(f"{len(support)} numbers for {rows} names")
    return reals, support


def _windows(results: pd.DataFrame) -> dict[str, list[int]]:
    once = results.drop_duplicates("window")
    as_of, start, end = (
        once[name].to_numpy(dtype="datetime64[us]").astype(np.int64) for name in ("as_of", "window_start", "window_end")
    )
    offsets = np.column_stack([start - as_of, end - as_of]).tolist()
    return dict(zip(once["window"].astype(str), offsets, strict=True))
