"""What results are compared with."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator

from evaljob.config.problems import nearest
from evaljob.config.section import Section
from evaljob.config.values import Number

COMPARABLE = (
    "accuracy_ratio", "average_precision", "balanced_accuracy_ratio", "brier_score", "calibration_bias", "cohen_kappa",
    "cost_per_prediction", "expected_calibration_error", "f1_ratio", "label_coverage_ratio", "log_loss",
    "matthews_correlation", "mean_absolute_error", "mean_error", "precision_ratio", "predicted_ratio",
    "prediction_failures_ratio", "prevalence_ratio", "r2_score", "recall_ratio", "roc_auc", "root_mean_squared_error",
    "specificity_ratio",
)  # fmt: skip
"""Metrics with an interval and no label of their own but the class."""


def _comparable(name: str) -> str:
    if name in COMPARABLE:
        return name
    meant = nearest(name, COMPARABLE)
    which = f"did you mean `{meant}`?" if meant else f"those are {', '.join(COMPARABLE)}"
    raise ValueError(f"is no metric that can be compared; {which}")


Comparable = Annotated[str, AfterValidator(_comparable)]


class Change(Section):
    """Metrics that are compared (none: accuracy, or the mean absolute error), and their references.

    `previous`: the same window one length earlier; `fixed`: a number a metric; `offline`: what MLflow has of a version.
    """

    metrics: tuple[Comparable, ...] = ()
    previous: bool = True
    fixed: Mapping[Comparable, Number] = {}
    offline: bool = True

    def compared(self, task: str) -> tuple[str, ...]:
        """The metrics to compare: those that are named, and those that have a fixed reference."""
        usual = "mean_absolute_error" if task == "regression" else "accuracy_ratio"
        return tuple(dict.fromkeys((*(self.metrics or (usual,)), *self.fixed)))
