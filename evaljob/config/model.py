"""The checked configuration, frozen. What each key means stands in the template that `evaljob init` writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from evaljob.config import prices
from evaljob.config.change import Change
from evaljob.config.places import SqlFile
from evaljob.config.prices import Costs
from evaljob.config.section import Section
from evaljob.config.sections import Sections
from evaljob.config.values import (
    Class,
    GroupingValue,
    Label,
    Name,
    Number,
    PositiveDuration,
    RunReference,
    Slice,
    Threshold,
    ValueColumn,
    Whole,
)
from evaljob.window import Window

Task = Literal["binary", "multiclass", "regression"]


class Calibration(Section):
    """The bins of the reliability diagram: equally wide, or with equally many scores."""

    bins: Whole = Field(default=10, ge=2, le=100)
    strategy: Literal["uniform", "quantile"] = "uniform"


class LabelsDefault(Section):
    """The label of a prediction that got none within `after`."""

    label: Label = Field(examples=["0"])
    after: PositiveDuration = Field(examples=["24h"])


class Metrics(Section):
    """Which groups of metrics are published; what was counted, its books and agreement always are."""

    intervals: bool = True
    calibration: bool = True
    ranking: bool = True
    thresholds: bool = True
    confusion: bool = True
    quantiles: bool = True
    business: bool = True
    missing: bool = True
    change: bool = True
    fairness: bool = True


class Deployment(Section):
    """Which MLflow runs the deployed versions come from: `runs` names those of some versions.

    A version is looked for among the aliases and numbers of `registered_model`, then among the runs in `experiment`
    (None: that of the section mlflow) by their tags.
    """

    experiment: Name | None = None
    registered_model: Name | None = None
    runs: Mapping[str, RunReference] = {}


class Partition(Section):
    """The column by which a log is partitioned: the day, in any time zone, of the timestamp `of`; None: of its own.

    The day of `ingested_at` says that no row is ingested before its own timestamp, give or take a day.
    """

    column: Name = Field(examples=["day"])
    of: Literal["predicted_at", "labeled_at", "ingested_at"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _column_alone(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"column": given}
        if not isinstance(given, dict):
            raise ValueError("must be a column, or a mapping such as {column: day, of: ingested_at}")  # noqa: TRY004
        return given


class EvaluationKeys(Section):
    """The keys of an evaluation that mean the same in the file and when checked."""

    model: GroupingValue = Field(examples=["fraud"])
    task: Task = Field(examples=["binary"])
    positive_label: Class | None = Field(default=None, validate_default=True)
    slices: tuple[Slice, ...] = ()
    calibration: Calibration = Calibration()
    labels_default: LabelsDefault | None = None
    values: tuple[ValueColumn, ...] = ()
    costs: Costs | None = None
    thresholds: tuple[Threshold, ...] | None = None
    min_support: Whole = Field(default=30, ge=1)
    max_slice_values: Whole = Field(default=50, ge=1)
    confidence: Number = Field(default=0.95, gt=0.5, lt=1)
    metrics: Metrics = Metrics()
    change: Change = Change()
    mlflow: Deployment = Deployment()

    @field_validator("positive_label")
    @classmethod
    def _for_binary(cls, value: Class | None, info: ValidationInfo) -> Class | None:
        task = info.data.get("task")
        if task == "binary" and value is None:
            raise ValueError("is missing: a binary task has a label that counts as positive; add `positive_label: 1`")
        if task not in ("binary", None) and value is not None:
            raise ValueError(f"has no meaning for a {task} task; remove it")
        return value

    @field_validator("costs")
    @classmethod
    def _of_the_outcomes(cls, value: Costs | None, info: ValidationInfo) -> Costs | None:
        return prices.checked(value, info)

    @field_validator("thresholds")
    @classmethod
    def _of_a_score(cls, value: tuple[float, ...] | None, info: ValidationInfo) -> tuple[float, ...] | None:
        if value is not None and info.data.get("task") not in ("binary", None):
            raise ValueError(
                f"has no meaning for a {info.data['task']} task, whose scores have no threshold; remove it"
            )
        return value

    @field_validator("labels_default")
    @classmethod
    def _of_the_task(cls, value: LabelsDefault | None, info: ValidationInfo) -> LabelsDefault | None:
        if value is None or info.data.get("task") is None:
            return value
        number = isinstance(value.label, int | float) and not isinstance(value.label, bool)
        if info.data["task"] == "regression" and not number:
            raise ValueError("must have a number as its label, for the task is regression")
        if info.data["task"] != "regression" and isinstance(value.label, float):
            raise ValueError("must have a class as its label: a text, a whole number, true or false")
        return value


class Evaluation(EvaluationKeys):
    """One model to evaluate. `predictions` and `labels` are SQL files; a label later than `max_lag` does not count."""

    predictions: SqlFile
    predictions_partition: Partition | None = None
    labels: SqlFile
    labels_partition: Partition | None = None
    max_lag: PositiveDuration | None = None
    windows: tuple[Window, ...]


class Config(Sections):
    """A checked configuration: every file in it exists, every name is unique. `path` is the file it was read from."""

    path: Path
    evaluations: tuple[Evaluation, ...]
