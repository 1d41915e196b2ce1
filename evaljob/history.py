"""The history: the results of every run, one row for a model and an instant, replaced when they are evaluated again."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby, islice
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import sqlalchemy as sa

from evaljob.errors import EvaluationError
from evaljob.metrics.results import COLUMNS
from evaljob.packing import (
    NUMBERS,
    TEXTS,
    DamagedError,
    Mask,
    Microseconds,
    Names,
    pack_names,
    pack_numbers,
    unpack_names,
    unpack_numbers,
)
from evaljob.schema import HISTORY, upsert
from evaljob.state import from_microseconds, to_microseconds

_FETCHED = 32  # runs in memory as they were stored
_TOGETHER = 500_000  # results of a block

Unpacked = TypeVar("Unpacked")


@dataclass(frozen=True)
class Selection:
    """Which results: `start` <= as_of <= `end`, and one of the given texts in each column; none given is all of them.

    With `every`, only the instants that are whole multiples of it after `start`. A slice is (columns, value), and every
    value of it where that is None.
    """

    models: tuple[str, ...] = ()
    start: datetime | None = None
    end: datetime | None = None
    every: timedelta | None = None
    versions: tuple[str, ...] = ()
    windows: tuple[str, ...] = ()
    slices: tuple[tuple[str, str | None], ...] = ()
    metrics: tuple[str, ...] = ()

    def mask(self, names: Names) -> Mask:
        """Which of a run's results are wanted."""
        columns = {"model_version": self.versions, "window": self.windows, "metric": self.metrics}
        given = [names.among(column, texts) for column, texts in columns.items() if texts]
        if self.slices:
            given.append(np.any([_slice(names, *wanted) for wanted in self.slices], axis=0))
        mask: Mask = np.all([np.ones(len(names), dtype=bool), *given], axis=0)
        return mask


@dataclass(frozen=True)
class Block:
    """Runs of one model whose results are called the same: `names` has a row a series.

    `as_of` has the shape (runs,), in microseconds since 1970; `value`, `lower`, `upper` and `support` (runs, series).
    """

    model: str
    names: Names
    as_of: Microseconds
    value: npt.NDArray[np.float64]
    lower: npt.NDArray[np.float64]
    upper: npt.NDArray[np.float64]
    support: npt.NDArray[np.int64]

    def where(self, mask: Mask) -> "Block":
        """Some of the series."""
        value, lower, upper = (numbers[:, mask] for numbers in (self.value, self.lower, self.upper))
        return Block(self.model, self.names.where(mask), self.as_of, value, lower, upper, self.support[:, mask])

    def frame(self) -> pd.DataFrame:
        """The results as they were evaluated, a row a result, in the order of time."""
        runs, series = self.value.shape
        start, end = self.names.edges(self.as_of)
        columns: dict[str, Any] = {name: self.names.column(name, runs) for name in TEXTS}
        columns |= {name: getattr(self, name).ravel() for name in (*NUMBERS, "support")}
        columns |= {"as_of": _times(np.repeat(self.as_of, series)), "window_start": _times(start)}
        return pd.DataFrame(columns).assign(model=self.model, window_end=_times(end))[list(COLUMNS)]


def record(connection: sa.Connection, results: pd.DataFrame) -> None:
    """Keep the results of one run, in the caller's transaction and in the place of an earlier run's at that instant."""
    model, as_of = results["model"].iloc[0], results["as_of"].iloc[0].to_pydatetime()
    key = {"model": str(model), "as_of": to_microseconds(as_of)}
    upsert(connection, HISTORY, {**key, "names": pack_names(results), "numbers": pack_numbers(results)})


def forget(connection: sa.Connection, before: datetime) -> None:
    """Remove what was evaluated for instants before this one."""
    connection.execute(sa.delete(HISTORY).where(HISTORY.c.as_of < to_microseconds(before)))


def forget_future(connection: sa.Connection, model: str, now: datetime) -> None:
    """Remove what was evaluated for instants after now, by a clock that was wrong."""
    connection.execute(sa.delete(HISTORY).where(HISTORY.c.model == model, HISTORY.c.as_of > to_microseconds(now)))


def models(connection: sa.Connection) -> list[str]:
    """The models of which there are results, in alphabetical order."""
    return sorted(connection.execute(sa.select(HISTORY.c.model).distinct()).scalars())


def instants(connection: sa.Connection, model: str, selection: Selection) -> list[datetime]:
    """The instants for which there are results of a model, in order."""
    found = connection.execute(_where(sa.select(HISTORY.c.as_of), model, selection)).scalars()
    return [from_microseconds(as_of) for as_of in found]


def sizes(connection: sa.Connection, selection: Selection) -> Counter[str]:
    """How many of the selected results there are of each metric."""
    found = Counter[str]()
    for model in selection.models or models(connection):
        query = _where(sa.select(HISTORY.c.as_of, HISTORY.c.names), model, selection)
        runs = Counter[bytes]()
        first: dict[bytes, sa.Row[Any]] = {}
        for row in connection.execute(query, execution_options={"yield_per": _FETCHED}):
            runs[row.names] += 1
            first.setdefault(row.names, row)
        for data, row in first.items():
            names = _names(model, row)
            for metric, size in Counter(names.where(selection.mask(names)).column("metric")).items():
                found[metric] += runs[data] * size
    return found


def read(connection: sa.Connection, selection: Selection) -> pd.DataFrame:
    """The selected results by model and in the order of time, with the columns of an evaluation's results."""
    frames = [block.frame() for block in blocks(connection, selection)]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(COLUMNS))


def blocks(connection: sa.Connection, selection: Selection) -> Iterator[Block]:
    """The selected results by model and in the order of time, a limited number at once.

    Raises EvaluationError, naming model and instant, where what is stored is damaged.
    """
    for model in selection.models or models(connection):
        query = _where(sa.select(HISTORY.c.as_of, HISTORY.c.names, HISTORY.c.numbers), model, selection)
        rows = connection.execute(query, execution_options={"yield_per": _FETCHED})
        for _, runs in groupby(rows, key=lambda row: row.names):
            yield from _blocks(model, runs, selection)


def _slice(names: Names, columns: str, value: str | None) -> Mask:
    mask = names.among("slice", (columns,))
    return mask if value is None else mask & names.among("slice_value", (value,))


def _where(query: sa.Select[Any], model: str, selection: Selection) -> sa.Select[Any]:
    as_of = HISTORY.c.as_of
    query = query.where(HISTORY.c.model == model).order_by(as_of)
    if selection.start is not None:
        query = query.where(as_of >= to_microseconds(selection.start))
    if selection.end is not None:
        query = query.where(as_of <= to_microseconds(selection.end))
    if selection.every is not None and selection.start is not None:
        every = selection.every // timedelta(microseconds=1)
        query = query.where((as_of - to_microseconds(selection.start)) % every == 0)
    return query


def _blocks(model: str, rows: Iterator[sa.Row[Any]], selection: Selection) -> Iterator[Block]:
    """Blocks of runs whose results are called the same."""
    first = next(rows)
    names = _names(model, first)
    mask = selection.mask(names)
    if not mask.any():
        return
    runs = (_numbers(model, row, mask) for row in chain([first], rows))
    while batch := list(islice(runs, max(1, _TOGETHER // int(mask.sum())))):
        as_of, reals, support = zip(*batch, strict=True)
        value, lower, upper = np.stack(reals, axis=1)
        yield Block(model, names.where(mask), np.array(as_of), value, lower, upper, np.stack(support))


def _names(model: str, row: sa.Row[Any]) -> Names:
    return _undamaged(model, row, lambda: unpack_names(row.names))


def _numbers(model: str, row: sa.Row[Any], mask: Mask) -> tuple[int, npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    reals, support = _undamaged(model, row, lambda: unpack_numbers(row.numbers, len(mask)))
    return row.as_of, reals[:, mask], support[mask]


def _undamaged(model: str, row: sa.Row[Any], unpack: Callable[[], Unpacked]) -> Unpacked:
    try:
        return unpack()
    except DamagedError as error:
        at = from_microseconds(row.as_of).isoformat()
        mend = f"`evaljob run --as-of {at} --no-push` evaluates them again"
        raise EvaluationError(f"history of {model}: the results as of {at} are damaged: {error}; {mend}") from error


def _times(microseconds: Microseconds) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(microseconds.astype("datetime64[us]")).tz_localize(UTC)
