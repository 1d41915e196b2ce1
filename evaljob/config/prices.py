"""What outcomes cost: numbers, or amounts that each label brings along."""

from collections.abc import Iterator
from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from evaljob.config.section import Section
from evaljob.config.values import Class, Name, Number, ValueColumn


class Price(Section):
    """What one outcome costs: `factor`, or `factor` times a column of the labels. Negative: what it brings."""

    column: ValueColumn | None = None
    factor: Number = 1.0

    @model_validator(mode="before")
    @classmethod
    def _number_or_column(cls, given: Any) -> Any:
        if isinstance(given, dict):
            if "column" not in given:
                raise ValueError("must have a column, as in {column: amount, factor: 1.0}; a number stands alone")
            return given
        return {"column": given} if isinstance(given, str) and not _is_number(given) else {"factor": given}


class Outcomes(Section):
    """The price of each outcome of a binary task."""

    tp: Price = Field(examples=["0.0"])
    fp: Price = Field(examples=["0.0"])
    fn: Price = Field(examples=["0.0"])
    tn: Price = Field(examples=["0.0"])


class Pair(Section):
    """The price of one prediction for one label."""

    label: Class = Field(examples=["cat"])
    prediction: Class = Field(examples=["dog"])
    cost: Price = Field(examples=["1.0"])


class Costs(Section):
    """The cost of outcomes (binary) or of pairs (multiclass; others cost nothing); `currency` is for people to read."""

    currency: Name = "USD"
    outcomes: Outcomes | None = Field(default=None, examples=["{tp: 0.0, fp: 4.0, fn: 120.0, tn: 0.0}"])
    matrix: tuple[Pair, ...] | None = Field(
        default=None, min_length=1, examples=["[{label: a, prediction: b, cost: 1}]"]
    )

    @field_validator("matrix")
    @classmethod
    def _once(cls, value: tuple[Pair, ...] | None) -> tuple[Pair, ...] | None:
        seen = [(_spelled(pair.label), _spelled(pair.prediction)) for pair in value or ()]
        for i, pair in enumerate(seen):
            if pair in seen[:i]:
                raise ValueError(f"has the label and prediction of [{i}] before already; keep one of the two")
        return value

    def prices(self) -> Iterator[tuple[str, Price]]:
        """Every price, with the key it stands under."""
        if self.outcomes is not None:
            yield from dict(self.outcomes).items()
        yield from ((f"matrix[{i}]", pair.cost) for i, pair in enumerate(self.matrix or ()))


def checked(value: Costs | None, info: ValidationInfo) -> Costs | None:
    """The costs of an evaluation, if they fit its task and its values."""
    task = info.data.get("task")
    if value is None or task is None:
        return value
    if task == "regression":
        raise ValueError("has no meaning for a regression task, which has no outcomes; remove it")
    wanted, other = ("outcomes", "matrix") if task == "binary" else ("matrix", "outcomes")
    if getattr(value, wanted) is None or getattr(value, other) is not None:
        example = Costs.model_fields[wanted].examples or [""]
        raise ValueError(f"must have {wanted} for a {task} task, and no {other}: `{wanted}: {example[0]}`")
    for key, price in value.prices():
        if price.column is not None and price.column not in info.data.get("values", (price.column,)):
            raise ValueError(f"has a column under {key} that is not among `values`; add it there, or write a number")
    return value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _spelled(value: bool | int | str) -> str:  # noqa: FBT001  (a class may be one)
    return value if isinstance(value, str) else str(int(value))
