"""The kinds of values in a configuration. Each refuses what it cannot be, in words that never repeat the value."""

import math
import re
import unicodedata
from datetime import timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator

from evaljob.config import cron, duration
from evaljob.config.problems import nearest
from evaljob.statistics.bins import SCORE_UNIT, score_bin_edges

_LONGEST_NAME = 200
_RUN_REFERENCE = re.compile(r"[\w-]{1,256}|models:/[^/@]+(/[0-9]{1,9}|@[^/@]+)")
_MEMORY_SIZE = re.compile(r"[1-9][0-9]{0,5}[MG]B")
_SMALLEST, _LARGEST = -(2**63), 2**63 - 1
_LABEL_COLUMNS = ("request_id", "label", "labeled_at", "ingested_at")
_PREDICTION_COLUMNS = ("request_id", "predicted_at", "prediction", "score", "latency_seconds", "ingested_at")


def _no_boolean(value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004  (pydantic reports ValueError alone)
    return value


def _duration(value: Any) -> timedelta:
    found = value if isinstance(value, timedelta) else duration.parse(value if isinstance(value, str) else "")
    if found < timedelta(0) or found.microseconds:
        raise ValueError("must be a duration of whole seconds, not negative")
    return found


def _longer_than_zero(value: timedelta) -> timedelta:
    if not value:
        raise ValueError("must be longer than zero")
    return value


def _name(value: str) -> str:
    if not value.strip():
        raise ValueError("must not be empty")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ValueError("must not hold control characters or halves of surrogate pairs")
    if len(value.encode()) > _LONGEST_NAME:
        raise ValueError(f"must not be longer than {_LONGEST_NAME} bytes")
    return value


def _grouping_value(value: str) -> str:
    if value in (".", ".."):
        raise ValueError("cannot be part of a Pushgateway's address; choose another name")
    return value


def _slice_column(value: str) -> str:
    if value.casefold() in _PREDICTION_COLUMNS:
        raise ValueError("is a column of evaljob's own, which makes no slices; name a column that predictions.sql adds")
    if value == "overall":
        raise ValueError("is the reserved slice of all rows; rename the column in the SELECT: ... AS overall_")
    if "," in value:
        raise ValueError("must not hold a comma, which joins the columns of a slice; rename the column in the SELECT")
    return value


def _value_column(value: str) -> str:
    if value.casefold() in _LABEL_COLUMNS:
        raise ValueError("is a column of evaljob's own, which is not summed; name a number that labels.sql adds")
    return value


def _one_or_more(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list | tuple) or not value:
        raise ValueError("must be a column or a list of columns, such as country or [country, device]")
    return value


def _no_repetition(columns: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(columns)) < len(columns):
        raise ValueError("names a column twice; name it once")
    return columns


def _class(value: Any) -> bool | int | str:
    if isinstance(value, str | bool) or (isinstance(value, int) and _SMALLEST <= value <= _LARGEST):
        return value
    raise ValueError("must be a class as the logs write it: a text, a whole number of 64 bits, true or false")


def _label(value: Any) -> bool | int | float | str:
    if isinstance(value, float) and math.isfinite(value):
        return value
    return _class(value)


def _threshold(value: float) -> float:
    if round(value * SCORE_UNIT) not in score_bin_edges()[1:-1]:
        raise ValueError("must be one of 0.01, 0.02, ... 0.99, or one of ten in each decade below, such as 0.001")
    return value


def _run_reference(value: str) -> str:
    if not _RUN_REFERENCE.fullmatch(value):
        raise ValueError("must be a run's id, or models:/name/1 or models:/name@alias of the model registry")
    return value


def _memory_size(value: str) -> str:
    if not _MEMORY_SIZE.fullmatch(value):
        raise ValueError("must be a whole number with its unit, as in 512MB or 2GB")
    return value


def _cron(value: str) -> str:
    return cron.check(value)


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        meant = nearest(value, available_timezones())
        mend = f"did you mean {meant}?" if meant else "write it as in UTC or Europe/Berlin"
        raise ValueError(f"is no IANA time zone; {mend}") from error
    return value


Whole = Annotated[int, BeforeValidator(_no_boolean)]
Number = Annotated[float, BeforeValidator(_no_boolean), Field(allow_inf_nan=False)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
MemorySize = Annotated[str, AfterValidator(_memory_size)]
PositiveDuration = Annotated[Duration, AfterValidator(_longer_than_zero)]
Name = Annotated[str, AfterValidator(_name)]
GroupingValue = Annotated[Name, AfterValidator(_grouping_value)]
Slice = Annotated[
    tuple[Annotated[Name, AfterValidator(_slice_column)], ...],
    BeforeValidator(_one_or_more),
    AfterValidator(_no_repetition),
]
ValueColumn = Annotated[Name, AfterValidator(_value_column)]
Class = Annotated[bool | int | str, PlainValidator(_class)]
Label = Annotated[bool | int | float | str, PlainValidator(_label)]
Threshold = Annotated[Number, AfterValidator(_threshold)]
RunReference = Annotated[Name, AfterValidator(_run_reference)]
Cron = Annotated[str, AfterValidator(_cron)]
Timezone = Annotated[str, AfterValidator(_timezone)]
