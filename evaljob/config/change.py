"""What results are compared with."""

from collections.abc import Mapping
from typing import Literal

from evaljob.config.section import Section
from evaljob.config.values import Number

Comparable = Literal[
    "accuracy_ratio", "average_precision", "balanced_accuracy_ratio", "brier_score", "calibration_bias", "cohen_kappa",
    "cost_per_prediction", "expected_calibration_error", "f1_ratio", "label_coverage_ratio", "log_loss",
    "matthews_correlation", "mean_absolute_error", "mean_error", "precision_ratio", "predicted_ratio",
    "prediction_failures_ratio", "prevalence_ratio", "r2_score", "recall_ratio", "roc_auc", "root_mean_squared_error",
    "specificity_ratio",
]  # fmt: skip
"""Metrics with an interval and no label of their own but the class."""


class Change(Section):
    """Metrics that are compared (none: accuracy, or the mean absolute error), and their references.

    `previous`: the same window one length earlier; `fixed`: a number a metric; `offline`: what MLflow has of a version.
    """

    metrics: tuple[Comparable, ...] = ()
    previous: bool = True
    fixed: Mapping[Comparable, Number] = {}
    offline: bool = True

    def compared(self, task: str) -> tuple[Comparable, ...]:
        """The metrics to compare: those that are named, and those that have a fixed reference."""
        usual: Comparable = "mean_absolute_error" if task == "regression" else "accuracy_ratio"
        return tuple(dict.fromkeys((*(self.metrics or (usual,)), *self.fixed)))
