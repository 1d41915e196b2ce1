"""What one request adds, and to which cell: segments, classes, score bin, duration buckets, exact integer sums."""

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

from evaljob.ages import MINUTE, exponent_of, factors
from evaljob.dialect import double, floor_integer, integer_division, microseconds_between, whole_part
from evaljob.join.plan import (
    BOOKED,
    ERROR_SUMS,
    LABEL_ID_NULL,
    MICRO,
    NUMBER_INVALID,
    ORPHAN,
    PREDICTION_ID_NULL,
    SCORE_INVALID,
    USABLE,
    Column,
    Plan,
    bound,
    in_spans,
    integer,
    one,
    parts,
    value_sums,
)
from evaljob.join.resolve import affected, answered, even, exists, orphans, rows_among, rows_of, served, uneven
from evaljob.join.settled import known_of, settled, unsettled
from evaljob.join.usable import LARGEST_NUMBER, is_latency, is_probability, not_within, rejects, within
from evaljob.source import Source, column_type
from evaljob.statistics.bins import DURATION_GAMMA, SCORE_UNIT, score_bin_edges
from evaljob.types import Kind
from evaljob.window import OUTSIDE, Segments

CLIP = 10**3  # on the grid of scores: log loss of scores clipped to [1e-6, 1 - 1e-6]
PERCENT = SCORE_UNIT // 100  # the width of the bins between 0.01 and 0.99
NO_BUCKET = -1
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def requests(
    plan: Plan, predictions: sa.FromClause, labels: sa.FromClause, t: datetime, sign: int, *resolved: sa.Subquery
) -> Iterator[sa.Select[Any]]:
    """One row a request inside a window, as known at `t`: where it counts and what it adds there.

    The requests of `predictions` and `labels`, and those that are `resolved` already.
    """
    first = served(plan, predictions, t)
    findable = plan.labels.rows if plan.indexed else labels
    yield _measured(plan, _together(*resolved, answered(plan, first, findable, t)), t, sign)
    yield _rejected(
        plan,
        plan.labels,
        orphans(plan, labels, plan.predictions.rows if plan.indexed else predictions, t),
        ORPHAN,
        t,
        sign,
    )


def every_row(plan: Plan, t: datetime) -> Iterator[sa.Select[Any]]:
    """The rows of `requests`, and those without an id, of all that are known at `t`.

    Where nothing is found by an index, most requests need no ranking.
    """
    predictions: sa.FromClause = plan.predictions.rows
    labels: sa.FromClause = plan.labels.rows
    resolved = []
    if not plan.indexed:
        others = uneven(plan, t)
        resolved = [even(plan, others, t)]
        predictions, labels = (rows_among(others, plan, source, t, t) for source in (plan.predictions, plan.labels))
    yield from requests(plan, predictions, labels, t, 1, *resolved)
    yield from nameless(plan, t, 1, None)


def rows_between(plan: Plan, before: datetime, after: datetime) -> Iterator[sa.Select[Any]]:
    """Likewise at `before`, negative, and at `after`, of those that anything happened to in between."""
    ids, resolved = affected(plan, before, after), list[sa.CTE]()
    if plan.settles:
        resolved = [settled(plan, rows_of(ids, plan, plan.predictions, before, after), plan.labels.rows)]
        ids = unsettled(plan, ids, *resolved)
    find = rows_of if plan.indexed else rows_among
    predictions, labels = (find(ids, plan, source, before, after) for source in (plan.predictions, plan.labels))
    for t, sign in ((before, -1), (after, 1)):
        yield from requests(plan, predictions, labels, t, sign, *(known_of(plan, pairs, t) for pairs in resolved))
        yield from nameless(plan, t, sign, (before, after))


def _together(*rows: sa.Subquery) -> sa.Subquery:
    return rows[0] if len(rows) == 1 else sa.union_all(*[sa.select(some) for some in rows]).subquery()


def _measured(plan: Plan, resolved: sa.Subquery, t: datetime, sign: int) -> sa.Select[Any]:
    placed = _select(_Request(plan, resolved, t).columns()).subquery()
    return _select(_numbered(plan, placed, sign)).where(_inside(placed))


def nameless(plan: Plan, t: datetime, sign: int, step: tuple[datetime, datetime] | None) -> Iterator[sa.Select[Any]]:
    """Rows without a request_id: each is a request of its own, rejected and counted where its timestamp lies."""
    for source, reason in ((plan.predictions, PREDICTION_ID_NULL), (plan.labels, LABEL_ID_NULL)):
        conditions = [source.rows.c.request_id.is_(None), *exists(plan, source, source.rows, t)]
        if step is not None:
            conditions.append(
                sa.or_(*[in_spans(source, column, spans) for column, spans in plan.spans(source, *step).items()])
            )
        yield _rejected(plan, source, sa.select(source.rows).where(*conditions).subquery(), reason, t, sign)


def null_of(plan: Plan, column: str) -> Column:
    """A NULL of the type of `label` or `prediction`, which engines want to know in a UNION."""
    if plan.regression:
        return sa.cast(sa.null(), sa.BigInteger())
    kind = (plan.predictions if column == "prediction" else plan.labels).kinds[column]
    return sa.null() if kind == "unknown" else sa.cast(sa.null(), column_type(kind))


NULL_TEXT = sa.cast(sa.null(), sa.String(1))
NULL_INTEGER = sa.cast(sa.null(), sa.BigInteger())


class _Request:
    """The columns of a served prediction with its latest label (`row`, as `answered` returns it)."""

    def __init__(self, plan: Plan, row: sa.Subquery, t: datetime) -> None:
        self.plan, self.row, self.t = plan, row, t
        self.real = row.c.label.is_not(None)

    def columns(self) -> dict[str, Column]:
        plan, row = self.plan, self.row
        reason = self._reason()
        return {
            "reason": reason,
            "on_predicted": segment(plan.on_predicted, plan.predictions, row.c.predicted_at, self.t),
            "on_labeled": self._on_labeled(reason),
            "model_version": as_text(row.c.model_version, plan.predictions.kinds["model_version"]),
            **{f"slice_{c}": as_text(row.c[c], plan.predictions.kinds[c]) for c in plan.slice_columns},
            **self._truth_and_prediction(),
            "lag": sa.case((self.real, microseconds_between(row.c.predicted_at, self.row.c.labeled_at))),
            "latency": self._latency(),
            "minute": self._minute(),
            **self._values(),
            **self._booked(),
        }

    def _reason(self) -> Column:
        """Why the request stays out of every count but the books, if it does."""
        row = self.row
        if self.plan.regression:
            return sa.case((self._wrong_number(), integer(NUMBER_INVALID)), else_=integer(USABLE))
        if "score" not in row.c:
            return integer(USABLE)
        return sa.case((rejects(self.plan, row), integer(SCORE_INVALID)), else_=integer(USABLE))

    def _wrong_number(self) -> Column:
        """Regression: the prediction or the label is too large for exact sums, or no number at all."""
        default = self.plan.evaluation.labels_default
        implicit = default is not None and abs(float(default.label)) > LARGEST_NUMBER
        return sa.or_(
            rejects(self.plan, self.row),
            sa.and_(self.real, not_within(self.row.c.label)),
            *([self._implicit()] if implicit else []),
        )

    def _on_labeled(self, reason: Column) -> Column:
        """A rejected request without label counts where its prediction lies, others in no window on `labeled_at`."""
        plan, t, row = self.plan, self.t, self.row
        places: list[tuple[Column, Column]] = [
            (self.real, segment(plan.on_labeled, plan.labels, self.row.c.labeled_at, t))
        ]
        if (default := plan.evaluation.labels_default) is not None:
            places.append(
                (self._implicit(), segment(plan.on_labeled, plan.predictions, row.c.predicted_at, t, default.after))
            )
        places.append((reason != USABLE, segment(plan.on_labeled, plan.predictions, row.c.predicted_at, t)))
        return sa.case(*places, else_=integer(OUTSIDE))

    def _implicit(self) -> Column:
        """No real label came within the default's age: known since `predicted_at + after`."""
        default = self.plan.evaluation.labels_default
        if default is None:
            return sa.false()
        due = self.row.c.predicted_at < bound(self.plan.predictions, "predicted_at", self.t - default.after)
        return sa.and_(sa.not_(self.real), due)

    def _truth_and_prediction(self) -> dict[str, Column]:
        row, default = self.row, self.plan.evaluation.labels_default
        if self.plan.regression:
            return self._numbers()
        label: list[tuple[Column, Column]] = [(self.real, row.c.label)]
        if default is not None:
            kind = self.plan.labels.kinds["label"]
            label.append(
                (self._implicit(), sa.literal(default.label, None if kind == "unknown" else column_type(kind)))
            )
        score = sa.case((is_probability(row.c.score), on_grid(row.c.score))) if "score" in row.c else NULL_INTEGER
        return {"label": sa.case(*label), "prediction": row.c.prediction, "score": score}

    def _numbers(self) -> dict[str, Column]:
        """Regression: whether there is a label and a prediction, and the numbers themselves."""
        label: Column = sa.case((self.real, self.row.c.label))
        default = self.plan.evaluation.labels_default
        if default is not None:
            label = sa.case((self.real, label), (self._implicit(), sa.literal(float(default.label))))
        truth_, said = double(label), double(self.row.c.prediction)
        # Engines with strict casts fail on the error of an infinite prediction, also where nobody counts it.
        both = sa.and_(truth_.is_not(None), said.is_not(None), sa.not_(self._wrong_number()))
        error = sa.case((both, said - truth_))
        return {
            "label": sa.case((label.is_not(None), integer(1))),
            "prediction": sa.case((self.row.c.prediction.is_not(None), integer(1))),
            "error": error,
            "truth": sa.case((both, truth_)),
        }

    def _latency(self) -> Column:
        if "latency_seconds" not in self.row.c:
            return NULL_INTEGER
        seconds = self.row.c.latency_seconds
        return sa.case((is_latency(seconds), whole_part(double(seconds) * float(MICRO) + 0.5)))

    def _minute(self) -> Column:
        """Whole minutes from 1970 to the prediction."""
        if not self.plan.aged:
            return NULL_INTEGER
        since = bound(self.plan.predictions, "predicted_at", EPOCH)
        return integer_division(microseconds_between(since, self.row.c.predicted_at), integer(MINUTE * MICRO))

    def _values(self) -> dict[str, Column]:
        columns: dict[str, Column] = {}
        for i, name in enumerate(self.plan.evaluation.values):
            value = sa.case((sa.and_(self.real, within(self.row.c[name])), double(self.row.c[name])))
            columns |= exact_parts(f"value_{i}", value) | exact_parts(f"squared_value_{i}", value * value, MICRO)
        return columns

    def _booked(self) -> dict[str, Column]:
        """The books: duplicates and corrections are the rows beyond the one that counts."""
        row, plan = self.row, self.plan
        labels = row.c.label_copies - row.c.late_copies
        latency = row.c.latency_seconds if "latency_seconds" in row.c else None
        invalid = [one(sa.and_(self.real, not_within(row.c[name]))) for name in plan.evaluation.values]
        booked = {
            "duplicates": row.c.copies - 1,
            "corrections": sa.case((labels > 1, labels - 1), else_=integer(0)),
            "retracted": one(sa.and_(labels > 0, sa.not_(self.real))),
            "too_late": row.c.late_copies,
            "latency_invalid": integer(0)
            if latency is None
            else one(sa.and_(latency.is_not(None), sa.not_(is_latency(latency)))),
            "values_invalid": sum(invalid, start=integer(0)),
        }
        return {name: booked[name] for name in BOOKED}


def _numbered(plan: Plan, row: sa.Subquery, sign: int) -> dict[str, Column]:
    """The row with what builds on its numbers: bins, buckets and sums."""
    own = _error_numbers(row) if plan.regression else _score_numbers(row.c.score)
    keys = (
        "reason",
        "on_predicted",
        "on_labeled",
        "model_version",
        *(f"slice_{c}" for c in plan.slice_columns),
        "label",
        "prediction",
    )
    values = [part for name in value_sums(plan.evaluation) for part in parts(name)]
    return {
        **{name: row.c[name] for name in keys},
        "lag": duration_bucket(row.c.lag),
        "latency": duration_bucket(row.c.latency),
        "age": _age(plan, row),
        **own,
        **{name: row.c[name] for name in (*values, *BOOKED)},
        "sign": integer(sign),
    }


def _rejected(plan: Plan, source: Source, rows: sa.Subquery, reason: int, t: datetime, sign: int) -> sa.Select[Any]:
    """Rows of one log that are no request: placed by their own timestamp, whatever a window is on; told by reason."""
    stamp = rows.c[source.stamp]

    def text(column: str) -> Column:
        return as_text(plan.exact(source, rows, column), source.kinds[column]) if column in rows.c else NULL_TEXT

    columns = {
        "reason": integer(reason),
        "on_predicted": segment(plan.on_predicted, source, stamp, t),
        "on_labeled": segment(plan.on_labeled, source, stamp, t),
        "model_version": text("model_version"),
        **{f"slice_{c}": text(c) for c in plan.slice_columns},
        "label": null_of(plan, "label"), "prediction": null_of(plan, "prediction"),
        "lag": NULL_INTEGER, "latency": NULL_INTEGER, "age": NULL_INTEGER, "bin": integer(NO_BUCKET),
        **dict.fromkeys((*plan.sums, *BOOKED), integer(0)),
        "sign": integer(sign),
    }  # fmt: skip
    placed = _select(columns).subquery()
    return sa.select(placed).where(_inside(placed))


def _score_numbers(score: Column) -> dict[str, Column]:
    """Bin and sums of a score s on the grid: s, s^2, -log(s), -log(1 - s), each on the grid; 0 without a score."""
    clipped = sa.case(
        (score < CLIP, integer(CLIP)), (score > SCORE_UNIT - CLIP, integer(SCORE_UNIT - CLIP)), else_=score
    )
    sums = {
        "score": score,
        "squared_score": integer_division(score * score + integer(SCORE_UNIT // 2), integer(SCORE_UNIT)),
        "log_score": _minus_log(clipped),
        "log_rest": _minus_log(integer(SCORE_UNIT) - clipped),
    }
    return {"bin": score_bin(score)} | {name: sa.func.coalesce(x, integer(0)) for name, x in sums.items()}


def _minus_log(score: Column) -> Column:
    return on_grid(-sa.func.ln(double(score) / float(SCORE_UNIT)))


def _error_numbers(row: sa.Subquery) -> dict[str, Column]:
    """Bucket of the absolute error in millionths, and the exact sums of error and label and of their products."""
    error, label = row.c.error, row.c.truth
    reals = (error, sa.func.abs(error), error * error, label, label * label, label * error)
    summed = zip(ERROR_SUMS.items(), reals, strict=True)
    bucket = sa.func.coalesce(duration_bucket(whole_part(sa.func.abs(error) * float(MICRO) + 0.5)), integer(NO_BUCKET))
    return {"bin": bucket} | {
        part: x for (name, unit), real in summed for part, x in exact_parts(name, real, unit).items()
    }


class score_bin(GenericFunction[int]):  # noqa: N801  (named as SQL functions are)
    """`score_bin(s)`: the bin of a score on the grid, by integer division and comparison; -1 without a score.

    Written out when the statement is compiled: as hundreds of nested expressions it cost more than all the rest of it.
    """

    type = sa.BigInteger()
    inherit_cache = True


@compiles(score_bin)
def _(element: score_bin, compiler: SQLCompiler, **kw: Any) -> str:
    (score,) = element.clauses
    x = compiler.process(score, **kw)
    edges = [int(edge) for edge in score_bin_edges()]
    low, high = edges.index(PERCENT), edges.index(SCORE_UNIT - PERCENT)
    between = compiler.process(integer_division(score, integer(PERCENT)) + integer(low - 1), **kw)
    return (
        f"CASE WHEN {x} IS NULL THEN {NO_BUCKET} WHEN {x} < {PERCENT} THEN {_ladder(x, edges[1:low], 0)} "
        f"WHEN {x} < {SCORE_UNIT - PERCENT} THEN {between} ELSE {_ladder(x, edges[high + 1 : -1], high)} END"
    )


def _ladder(x: str, edges: Sequence[int], first: int) -> str:
    """`first` plus how many of the sorted edges lie at or below x, found by halving."""
    if not edges:
        return str(first)
    middle = len(edges) // 2
    below, above = _ladder(x, edges[:middle], first), _ladder(x, edges[middle + 1 :], first + middle + 1)
    return f"CASE WHEN {x} < {edges[middle]} THEN {below} ELSE {above} END"


def duration_bucket(microseconds: Column) -> Column:
    """The logarithmic bucket of a duration; -1 for none or less; NULL for NULL."""
    bucket = whole_part(sa.func.ln(double(microseconds)) / math.log(DURATION_GAMMA))
    return sa.case((microseconds > 0, bucket), (microseconds <= 0, integer(NO_BUCKET)))


def _age(plan: Plan, row: sa.Subquery) -> Column:
    """The bucket of when the prediction was served, as wide as its segment asks for, and whether it has a label."""
    if not plan.aged:
        return NULL_INTEGER
    buckets: dict[int, Column] = {}
    for number in sorted(set(plan.on_predicted.numbers) - {OUTSIDE}):
        width, scale, flags = factors(exponent_of(plan.on_predicted, number))
        buckets[number] = integer_division(row.c.minute, integer(width)) * integer(scale) + integer(flags)
    return sa.case(buckets, value=row.c.on_predicted) + one(row.c.label.is_not(None))


def segment(segments: Segments, source: Source, stamp: Column, t: datetime, shift: timedelta = timedelta(0)) -> Column:
    """The number of the segment that `stamp + shift` lies in."""
    if not segments.ages:
        return integer(OUTSIDE)
    places = [
        (stamp < bound(source, source.stamp, t - age - shift), integer(number))
        for age, number in zip(segments.ages, segments.numbers, strict=False)
    ]
    return sa.case((stamp.is_(None), integer(OUTSIDE)), *places, else_=integer(segments.numbers[-1]))


def as_text(column: Column, kind: Kind) -> Column:
    """A version or slice value as text, spelled alike on every engine: booleans are 1 and 0."""
    if kind == "text":
        return column
    return sa.cast(
        sa.case((column, integer(1)), (sa.not_(column), integer(0))) if kind == "boolean" else column, sa.String(255)
    )


def on_grid(x: Column) -> Column:
    """A number on the fixed-point grid, rounded half up as every engine can."""
    return whole_part(double(x) * float(SCORE_UNIT) + 0.5)


def exact_parts(name: str, x: Column, unit: int = 1) -> dict[str, Column]:
    """A real number as two integers, how many whole units and the millionths of 1 above them; 0 for NULL."""
    whole, micro = parts(name)
    floor = floor_integer(x if unit == 1 else x / float(unit))
    below = double(floor) if unit == 1 else double(floor) * float(unit)
    return {
        whole: sa.func.coalesce(floor, integer(0)),
        micro: sa.func.coalesce(whole_part((x - below) * float(MICRO) + 0.5), integer(0)),
    }


def _select(columns: dict[str, Column]) -> sa.Select[Any]:
    return sa.select(*[column.label(name) for name, column in columns.items()])


def _inside(row: sa.Subquery) -> Column:
    return sa.or_(row.c.on_predicted != OUTSIDE, row.c.on_labeled != OUTSIDE)
