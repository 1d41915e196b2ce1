"""The user's SELECTs as selectables whose columns are checked by name and by type before anything runs."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from evaljob.config import Evaluation, Partition
from evaljob.database import reason
from evaljob.errors import ConfigError
from evaljob.failures import passes
from evaljob.types import Kind, driver_kinds, sampled_kinds

Log = Literal["predictions", "labels"]
AWARE = sa.DateTime(timezone=True).with_variant(sa.TIMESTAMP(timezone=True), "bigquery")
INSTANTS = ("predicted_at", "labeled_at", "ingested_at")
_NUMBER: tuple[Kind, ...] = ("integer", "float", "unknown")
_CLASS: tuple[Kind, ...] = ("text", "integer", "boolean", "float", "unknown")
_INSTANT: tuple[Kind, ...] = ("timestamp", "timestamptz", "unknown")
_TYPES: dict[Kind, type[sa.types.TypeEngine[Any]]] = {
    "text": sa.String, "integer": sa.BigInteger, "float": sa.Double, "boolean": sa.Boolean, "timestamp": sa.DateTime,
    "date": sa.Date,
}  # fmt: skip
_TOKENS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|--[^\n]*|/\*.*?\*/|\s+|[^\s'";/-]+|.""", re.DOTALL)


class Verbatim(sa.TextClause):
    """The user's text exactly as it stands: no colon in it makes a bind parameter, no backslash is an escape."""

    inherit_cache = True

    def __init__(self, text: str) -> None:
        self._bindparams = {}
        self.text = text


@compiles(Verbatim)
def _(element: Verbatim, compiler: SQLCompiler, **_: Any) -> str:
    return str(compiler.post_process_text(element.text))  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Source:
    """One log as the user's SELECT returns it: `sql` is run as a subquery, `kinds` are its columns."""

    log: Log
    path: Path
    sql: str
    kinds: dict[str, Kind]
    partition: Partition | None = None

    @property
    def known(self) -> str:
        """The column that tells since when a row is known."""
        return "ingested_at" if "ingested_at" in self.kinds else self.stamp

    @property
    def stamp(self) -> str:
        """The row's own timestamp."""
        return "predicted_at" if self.log == "predictions" else "labeled_at"

    @property
    def partition_of(self) -> str:
        """The timestamp whose day the partition column holds."""
        return (self.partition and self.partition.of) or self.stamp

    @cached_property
    def rows(self) -> sa.Subquery:
        """The SELECT as a subquery with typed columns."""
        columns = [sa.column(name, column_type(kind)) for name, kind in self.kinds.items()]
        return Verbatim(f"{self.sql}\n").columns(*columns).subquery(f"{self.log}_log")


def column_type(kind: Kind) -> sa.types.TypeEngine[Any]:
    """The SQLAlchemy type for a kind of column, used to bind values and to type NULLs."""
    return AWARE if kind == "timestamptz" else _TYPES.get(kind, sa.String)()


def open_sources(connection: sa.Connection, evaluation: Evaluation) -> tuple[Source, Source]:
    """Both logs of an evaluation, checked: (predictions, labels). Raises ConfigError naming file and column."""
    predictions = _open(connection, "predictions", evaluation.predictions, evaluation.predictions_partition)
    labels = _open(connection, "labels", evaluation.labels, evaluation.labels_partition)
    number = evaluation.task == "regression"
    classes = _NUMBER if number else _CLASS
    needed = {"request_id": _IDS, "predicted_at": _INSTANT, "model_version": _SLICE, "prediction": classes}
    _check(predictions, needed | dict.fromkeys(_slice_columns(evaluation), _SLICE),
           {"score": _NUMBER, "latency_seconds": _NUMBER, "ingested_at": _INSTANT})  # fmt: skip
    needed = {"request_id": _IDS, "label": classes, "labeled_at": _INSTANT}
    _check(labels, needed | dict.fromkeys(evaluation.values, _NUMBER), {"ingested_at": _INSTANT})
    for source in (predictions, labels):
        _check_partition(source)
    _check_pair(predictions, "request_id", labels, "request_id")
    _check_pair(predictions, "prediction", labels, "label")
    _check_class(labels, "positive_label", evaluation.positive_label)
    if evaluation.labels_default is not None:
        _check_class(labels, "labels_default.label", evaluation.labels_default.label)
    return predictions, labels


_IDS: tuple[Kind, ...] = ("text", "integer", "uuid", "bytes", "unknown")
_DAY: tuple[Kind, ...] = ("date", "text", "integer", "timestamp", "timestamptz", "unknown")
_SLICE: tuple[Kind, ...] = ("text", "integer", "boolean", "date", "uuid", "unknown")


def _slice_columns(evaluation: Evaluation) -> Iterable[str]:
    return dict.fromkeys(column for columns in evaluation.slices for column in columns if column != "model_version")


def _open(connection: sa.Connection, log: Log, path: Path, partition: Partition | None) -> Source:
    sql = _without_end(_text(path))
    untyped = sa.select(sa.text("*")).select_from(Verbatim(f"({sql}\n) AS {log}_log"))
    try:
        if connection.dialect.name == "sqlite":
            names = list(connection.execute(untyped.limit(0)).keys())
            kinds = sampled_kinds(connection, untyped, _once(names, path), INSTANTS)
        else:
            result = connection.execute(untyped.where(sa.text("1 = 0")))
            kinds = driver_kinds(connection, result, _once(list(result.keys()), path))
    except DBAPIError as error:
        if passes(error):
            raise
        raise ConfigError(f"{path}: the database refuses this SELECT: {reason(error)}") from error
    return Source(log, path, sql, kinds, partition)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read any more: {getattr(error, 'strerror', 'is not UTF-8')}") from error


def _once(names: list[str], path: Path) -> list[str]:
    plain = [name.partition(":")[0] for name in names]  # SQLite calls the second one `name:1`
    twice = sorted({name for name in plain if plain.count(name) > 1})
    if twice:
        raise ConfigError(f"{path}: returns the column {twice[0]} twice; name each column once, with AS where needed")
    return names


def _check(source: Source, needed: dict[str, tuple[Kind, ...]], optional: dict[str, tuple[Kind, ...]]) -> None:
    missing = [name for name in needed if name not in source.kinds]
    if missing:
        names = ", ".join(source.kinds)
        mend = f"rename or add it: SELECT ... AS {missing[0]}"
        raise ConfigError(f"{source.path}: must return a column {missing[0]}, and returns {names}; {mend}")
    for name, allowed in (needed | optional).items():
        kind = source.kinds.get(name)
        if kind is not None and kind not in allowed:
            raise ConfigError(
                f"{source.path}: column {name} is {kind}, it must be {_either(allowed)}; {_mend(name, kind)}"
            )


def _check_partition(source: Source) -> None:
    if source.partition is not None:
        needed = {source.partition.column: _DAY, source.partition_of: _INSTANT}
        _check(source, needed, {})


def _check_pair(one: Source, column: str, other: Source, other_column: str) -> None:
    """Refuse two columns that are compared with each other although their types can never be equal."""
    a, b = one.kinds[column], other.kinds[other_column]
    if "unknown" in (a, b) or _family(a) == _family(b):
        return
    types = f"column {other_column} is {b}, but {column} of {one.path} is {a}"
    raise ConfigError(f"{other.path}: {types}: they can never be equal; CAST one of them in its SELECT")


def _check_class(labels: Source, key: str, value: object) -> None:
    """Refuse a class that the configuration names and the labels can never be."""
    if isinstance(value, str) and _family(labels.kinds["label"]) == "number" and not _is_number(value):
        types = f"column label is {labels.kinds['label']}, but {key} is the text {value!r}"
        raise ConfigError(f"{labels.path}: {types}: they can never be equal; write {key} as the labels are")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _family(kind: Kind) -> str:
    return "number" if kind in ("integer", "float", "boolean") else kind


def _either(kinds: tuple[Kind, ...]) -> str:
    return "a timestamp" if kinds == _INSTANT else " or ".join(kind for kind in kinds if kind != "unknown")


def _mend(name: str, kind: Kind) -> str:
    if name not in INSTANTS:
        return "CAST it in the SELECT"
    if kind in ("integer", "float"):
        return (f"is it an epoch number? In SQLite strftime('%Y-%m-%d %H:%M:%f', {name}, 'unixepoch') AS {name}, in "
                f"PostgreSQL and DuckDB to_timestamp({name}), in MySQL and MariaDB from_unixtime({name})")  # fmt: skip
    return (f"texts compare as texts, so only 'YYYY-MM-DD HH:MM:SS' in UTC with any fraction is in order: in SQLite "
            f"strftime('%Y-%m-%d %H:%M:%f', {name}) AS {name}, elsewhere CAST({name} AS TIMESTAMP)")  # fmt: skip


def _without_end(sql: str) -> str:
    """The statement without the semicolon that ends it and the comments that follow it."""
    end = len(sql)
    for token in reversed(list(_TOKENS.finditer(sql))):
        if token[0] == ";":
            end = token.start()
        elif not token[0].isspace() and not token[0].startswith(("--", "/*")):
            break
    return sql[:end].strip()
