"""What the statement of one evaluation is made of: its configuration, its logs, its segments, and what is counted."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, TypeAlias

import sqlalchemy as sa

from evaljob.config import Evaluation
from evaljob.dialect import exact_text
from evaljob.join.partition import days_of, merged
from evaljob.source import AWARE, Source
from evaljob.window import Segments

Column: TypeAlias = sa.ColumnElement[Any]
Span: TypeAlias = tuple[datetime, datetime]

# Kinds of cells
KINDS = OUTCOME, LAG, LATENCY, BOOKS, AGE = range(5)
# Why a row stays out of every other count; USABLE rows do not
USABLE, ORPHAN, PREDICTION_ID_NULL, LABEL_ID_NULL, SCORE_INVALID, NUMBER_INVALID = range(6)
# What else the books count, of requests that are used
BOOKED = ("duplicates", "corrections", "retracted", "too_late", "latency_invalid", "values_invalid")
SCORE_SUMS = ("score", "squared_score", "log_score", "log_rest")
MICRO = 10**6
# Real numbers that are summed, with the unit that their whole part counts: products of two of them are in millions, so
# that the sum over nine million rows stays within 64 bits however large they are.
ERROR_SUMS = {
    "error": 1,
    "absolute_error": 1,
    "squared_error": MICRO,
    "label": 1,
    "squared_label": MICRO,
    "label_error": MICRO,
}


def value_sums(evaluation: Evaluation) -> dict[str, int]:
    """Likewise of the value columns: the i-th one and its square."""
    return {
        name: unit
        for i in range(len(evaluation.values))
        for name, unit in ((f"value_{i}", 1), (f"squared_value_{i}", MICRO))
    }


def parts(name: str) -> tuple[str, str]:
    """The names of the two integers that hold a real number: how many whole units, and the rest in millionths of 1."""
    return f"{name}_whole", f"{name}_micro"


@dataclass(frozen=True)
class Plan:
    """One evaluation over two logs on one kind of engine.

    `mysql`: its collations fold case and spaces. `indexed`: rows are found by an index on their id instead of a scan.
    `repeats`: what a statement names once and uses several times is read as often. `prunes`: of a log in order of time,
    a scan for one span of time reads little more than that; for several at once, all of it.
    """

    evaluation: Evaluation
    predictions: Source
    labels: Source
    mysql: bool = False
    indexed: bool = True
    repeats: bool = False
    prunes: bool = False

    @cached_property
    def on_predicted(self) -> Segments:
        """Segments of the windows on `predicted_at`."""
        return Segments.on("predicted_at", self.evaluation.windows)

    @cached_property
    def on_labeled(self) -> Segments:
        """Segments of the windows on `labeled_at`."""
        return Segments.on("labeled_at", self.evaluation.windows)

    @cached_property
    def slice_columns(self) -> tuple[str, ...]:
        """Every column that is part of a slice, once."""
        return tuple(dict.fromkeys(column for columns in self.evaluation.slices for column in columns))

    @cached_property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The tuples of slice columns the database groups by: those no other tuple contains.

        The others are summed from them.
        """
        tuples = list({frozenset(columns): columns for columns in self.evaluation.slices or ((),)}.values())
        return tuple(columns for columns in tuples if not any(set(columns) < set(other) for other in tuples))

    @cached_property
    def sums(self) -> tuple[str, ...]:
        """What outcome cells sum beside their count."""
        own = [part for name in ERROR_SUMS for part in parts(name)] if self.regression else SCORE_SUMS
        return (*own, *(part for name in value_sums(self.evaluation) for part in parts(name)))

    @property
    def settles(self) -> bool:
        """Whether a step looks for requests that need no ranking: where they are found by an index.

        A partition's day, which may not be that of the row's timestamp, decides too what an instant knows.
        """
        return self.indexed and self.predictions.partition is None and self.labels.partition is None

    @property
    def aged(self) -> bool:
        """Whether requests are counted by age as well, which has a meaning in windows on `predicted_at` only."""
        return self.evaluation.metrics.missing and bool(self.on_predicted.windows)

    @cached_property
    def horizon(self) -> timedelta | None:
        """The age beyond which rows do not exist for this evaluation: `max_lag` before the oldest window's predictions.

        A prediction is also in a window by its default label, which comes `after` it.
        """
        if self.evaluation.max_lag is None:
            return None
        default = self.evaluation.labels_default
        due = default.after if default is not None else timedelta(0)
        return max(w.maturity + w.length for w in self.evaluation.windows) + due + self.evaluation.max_lag

    def oldest(self, t: datetime) -> datetime | None:
        """The own timestamp before which rows do not exist for this evaluation at `t`; None: there is no bound."""
        return None if self.horizon is None else t - self.horizon

    @property
    def regression(self) -> bool:
        """Whether labels are numbers instead of classes."""
        return self.evaluation.task == "regression"

    def exact(self, source: Source, rows: sa.FromClause, name: str) -> Column:
        """A column, compared byte for byte where the engine would fold case or trailing spaces."""
        column: Column = rows.c[name]
        return exact_text(column) if self.mysql and source.kinds[name] == "text" else column

    def spans(self, source: Source, before: datetime, after: datetime) -> dict[str, list[Span]]:
        """Per timestamp of a log, the spans in which a row's place changes as `as_of` goes from `before` to `after`.

        A row without one of the two timestamps is placed by the other: all edges count.
        """
        return self._spans(source, before, after, self._own_edges(source) | self._edges)

    def own_spans(self, source: Source, before: datetime, after: datetime) -> dict[str, list[Span]]:
        """Those of them that matter to every row: the edges of windows on the row's own timestamp."""
        return self._spans(source, before, after, self._own_edges(source))

    def other_spans(self, source: Source, before: datetime, after: datetime) -> list[Span]:
        """The others, in which a row's own timestamp crosses an edge of windows on the other log's."""
        return _between(before, after, self._edges - self._own_edges(source))

    def _spans(self, source: Source, before: datetime, after: datetime, edges: set[timedelta]) -> dict[str, list[Span]]:
        ages: dict[str, set[timedelta]] = {source.known: {timedelta(0)}}
        ages.setdefault(source.stamp, set()).update(edges)
        return {name: _between(before, after, found) for name, found in ages.items() if found}

    @cached_property
    def _edges(self) -> set[timedelta]:
        return {*self.on_predicted.ages, *self.on_labeled.ages}

    def _own_edges(self, source: Source) -> set[timedelta]:
        """The ages at which a row of a log enters or leaves something."""
        edges = set(self.on_predicted.ages if source.log == "predictions" else self.on_labeled.ages)
        if self.horizon is not None:
            edges.add(self.horizon)
        default = self.evaluation.labels_default
        if default is not None and source.log == "predictions":
            edges.update(age + default.after for age in {timedelta(0), *self._edges})
        return edges


def _between(before: datetime, after: datetime, ages: Iterable[timedelta]) -> list[Span]:
    """When rows of one of the ages at some instant between the two have come to be."""
    return merged((before - age, after - age) for age in sorted(ages, reverse=True))


def integer(value: int) -> Column:
    """A constant that stands in the statement as it is: it is ours, never the user's, and engines fold it."""
    return sa.literal_column(str(value), sa.BigInteger())


def one(condition: Column) -> Column:
    """1 where the condition holds, 0 elsewhere."""
    return sa.case((condition, integer(1)), else_=integer(0))


def bound(source: Source, column: str, t: datetime) -> Column:
    """An aware instant as a bind value that compares with a timestamp column: aware for aware ones, else naive UTC."""
    if source.kinds[column] == "timestamptz":
        return sa.literal(t.astimezone(UTC), AWARE)
    return sa.literal(t.astimezone(UTC).replace(tzinfo=None), Stamp())


def in_spans(source: Source, column: str, spans: Iterable[Span]) -> Column:
    """Whether a row's timestamp lies in one of the half-open spans."""
    spans = list(spans)
    stamp = source.rows.c[column]
    inside = [sa.and_(stamp >= bound(source, column, a), stamp < bound(source, column, b)) for a, b in spans]
    return sa.and_(sa.or_(*inside), *days_of(source, column, spans))


class Stamp(sa.types.TypeDecorator[datetime]):
    """A naive UTC timestamp.

    On SQLite it is text that ends before the zeros of its fraction, which orders rightly against text with any number
    of digits: '00.5' is not above '00.500'. On ClickHouse it is text because its driver would drop the fraction.
    """

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """The value as the driver takes it."""
        if value is None or dialect.name not in _AS_TEXT:
            return value
        text = value.isoformat(" ")
        return text.rstrip("0") if "." in text else text

    def literal_processor(self, dialect: sa.Dialect) -> Any:
        """The value as it stands in the text of `evaljob sql`: Trino takes no text for a timestamp."""
        if dialect.name == "trino":
            return lambda value: f"TIMESTAMP '{value.isoformat(' ')}'"
        return super().literal_processor(dialect)

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Text where it is bound as such, microseconds on MySQL and MariaDB, which would drop them."""
        if dialect.name in _AS_TEXT:
            return sa.String()
        if dialect.name in ("mysql", "mariadb"):
            from sqlalchemy.dialects.mysql import DATETIME  # noqa: PLC0415  (only where it is used)

            return DATETIME(fsp=6)
        return sa.DateTime()


_AS_TEXT = ("sqlite", "clickhousedb")
