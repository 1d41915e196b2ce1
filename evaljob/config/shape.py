"""The shape of the YAML file where it differs from the checked configuration: its short forms."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationInfo, field_validator, model_validator

from evaljob.config.model import Config, Evaluation, EvaluationKeys, Partition
from evaljob.config.places import SqlFile
from evaljob.config.section import Section
from evaljob.config.sections import Sections
from evaljob.config.values import Duration, Name, PositiveDuration
from evaljob.window import Timestamp, Window


class WindowShape(Section):
    """A window: `24h`, or a mapping."""

    name: Name = Field(examples=["7d"])
    length: PositiveDuration = Field(examples=["7d"])
    on: Timestamp = "labeled_at"
    maturity: Duration = timedelta(0)

    @model_validator(mode="before")
    @classmethod
    def _named_by_length(cls, given: Any) -> Any:
        if isinstance(given, str):
            return {"name": given, "length": given}
        if not isinstance(given, dict):
            raise ValueError("must be a duration such as 24h, or a mapping such as {name: 7d, length: 7d}")  # noqa: TRY004
        return given

    @field_validator("maturity")
    @classmethod
    def _on_predicted_at(cls, value: timedelta, info: ValidationInfo) -> timedelta:
        if value and info.data.get("on") == "labeled_at":
            raise ValueError("is for windows on predicted_at; add `on: predicted_at`, or remove it")
        return value

    def checked(self) -> Window:
        """The window."""
        return Window(self.name, self.length, self.on, self.maturity)


class PredictionsShape(Section):
    """The predictions: a file, or a mapping of a file and how the log is partitioned."""

    sql: SqlFile = Field(examples=["sql/predictions.sql"])
    partition: Partition | None = None

    @model_validator(mode="before")
    @classmethod
    def _file_alone(cls, given: Any) -> Any:
        return _mapping_of(given, "{sql: sql/predictions.sql, partition: day}")


class LabelsShape(Section):
    """The labels: a file, or a mapping of a file, how the log is partitioned, and the latest that a label counts."""

    sql: SqlFile = Field(examples=["sql/labels.sql"])
    max_lag: PositiveDuration | None = None
    partition: Partition | None = None

    @model_validator(mode="before")
    @classmethod
    def _file_alone(cls, given: Any) -> Any:
        return _mapping_of(given, "{sql: sql/labels.sql, max_lag: 90d}")


def _mapping_of(given: Any, example: str) -> Any:
    if isinstance(given, str):
        return {"sql": given}
    if not isinstance(given, dict):
        raise ValueError(f"must be a file, or a mapping such as {example}")  # noqa: TRY004
    return given


class EvaluationShape(EvaluationKeys):
    """An evaluation as the file writes it."""

    predictions: PredictionsShape = Field(examples=["sql/predictions.sql"])
    labels: LabelsShape = Field(examples=["sql/labels.sql"])
    windows: tuple[WindowShape, ...] = Field(min_length=1, examples=["[1h, 24h]"])

    def checked(self) -> Evaluation:
        """The evaluation."""
        windows = tuple(window.checked() for window in self.windows)
        logs = {
            "predictions": self.predictions.sql, "predictions_partition": self.predictions.partition,
            "labels": self.labels.sql, "labels_partition": self.labels.partition, "max_lag": self.labels.max_lag,
        }  # fmt: skip
        return Evaluation(**dict(self) | logs | {"windows": windows})


class ConfigShape(Sections):
    """The whole file."""

    evaluations: tuple[EvaluationShape, ...] = Field(min_length=1, examples=["[...]"])

    def checked(self, path: Path) -> Config:
        """The configuration, read from `path`."""
        return Config(**dict(self) | {"evaluations": tuple(item.checked() for item in self.evaluations), "path": path})
