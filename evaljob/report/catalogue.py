"""What the report says of each metric: its name, how its numbers are written, and which way is better."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from evaljob.config import Evaluation
from evaljob.metrics.classification import MACRO
from evaljob.report.numbers import FORMS, Form, Number, Numbers, Series, points, signed
from evaljob.types import class_name

HIGHER, LOWER, NEITHER = 1, -1, 0


@dataclass(frozen=True)
class Measure:
    """One number of a model. `better` is HIGHER, LOWER or NEITHER; `unit` stands behind amounts."""

    metric: str
    title: str
    explained: str
    kind: str = "score"
    better: int = HIGHER
    unit: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def form(self) -> Form:
        """How its values are written, without the unit."""
        return FORMS[self.kind]

    @property
    def heading(self) -> str:
        """The title with the unit, for what holds bare numbers."""
        return f"{self.title}, {self.unit}" if self.unit else self.title

    def told(self, value: float) -> str:
        """A value with its unit, for a sentence."""
        return f"{self.form(value)} {self.unit}".strip()

    def distance(self, value: float) -> str:
        """The distance of two values with its unit: 4.2 points."""
        return points(value) if self.kind == "percent" else self.told(abs(value))

    def distances(self, difference: Number) -> str:
        """The interval of a difference with its signs, and its unit once."""
        unit = " points" if self.kind == "percent" else f" {self.unit}" if self.unit else ""
        low, high = (signed(self._bare, bound) for bound in (difference.lower, difference.upper))
        return f"{low} to {high}{unit}"

    def _bare(self, value: float) -> str:
        return f"{abs(value) * 100:.1f}" if self.kind == "percent" else self.form(abs(value))

    def of(self, numbers: Numbers, series: Series) -> Number:
        """Its number for a series."""
        return numbers.get(self.metric, series, **self.labels)


def main_measure(evaluation: Evaluation) -> Measure:
    """The number that a model's first sentence tells."""
    return measures(evaluation)[0]


def measures(evaluation: Evaluation) -> list[Measure]:
    """The numbers that a model is judged by, the most telling one first."""
    if evaluation.task == "regression":
        return list(_REGRESSION)
    own = _binary(evaluation) if evaluation.task == "binary" else _MULTICLASS
    return [_ACCURACY, *own, *_CALIBRATION, *_cost(evaluation)]


def called(evaluation: Evaluation, metric: str) -> Measure:
    """The measure of a metric; one that the report has no words for goes by its name."""
    further = [Measure(name, title, "", kind, better) for name, title, kind, better in _FURTHER]
    found = {measure.metric: measure for measure in (*further, *measures(evaluation))}
    title = metric.removesuffix("_ratio").replace("_", " ").capitalize()
    return found.get(metric, Measure(metric, title, "", "percent" if metric.endswith("_ratio") else "score"))


def positive(evaluation: Evaluation) -> str:
    """The name of a binary task's positive class."""
    return class_name(evaluation.positive_label)


_FURTHER = (  # that have no tile: name, title, kind, which way is better
    ("calibration_bias", "Bias", "percent", NEITHER),
    ("label_coverage_ratio", "Label coverage", "percent", NEITHER),
    ("log_loss", "Log loss", "score", LOWER),
    ("predicted_ratio", "Predicted positive", "percent", NEITHER),
    ("prediction_failures_ratio", "Failures", "percent", LOWER),
    ("prevalence_ratio", "Prevalence", "percent", NEITHER),
)
_ACCURACY = Measure("accuracy_ratio", "Accuracy", "the share of labeled requests predicted right", "percent")
_MULTICLASS = (
    Measure("f1_ratio", "F1, macro", "precision and recall in one, averaged over the classes", "percent",
            labels={"class": MACRO}),
    Measure("recall_ratio", "Recall, macro", "the mean over the classes of how much of each is found", "percent",
            labels={"class": MACRO}),
)  # fmt: skip
_CALIBRATION = (
    Measure("expected_calibration_error", "Calibration error", "the mean distance of score and observed frequency",
            better=LOWER),
    Measure("brier_score", "Brier score", "the mean squared distance of score and outcome", better=LOWER),
)  # fmt: skip
_REGRESSION = (
    Measure("mean_absolute_error", "Mean absolute error", "the mean distance of prediction and label", "plain", LOWER),
    Measure("root_mean_squared_error", "Root mean squared error", "as the mean error, but large errors weigh more",
            "plain", LOWER),
    Measure("mean_error", "Mean error", "prediction minus label on average; above 0 is too high", "plain", NEITHER),
    Measure("r2_score", "R²", "the share of the labels' variance that the predictions explain"),
)  # fmt: skip


def _binary(evaluation: Evaluation) -> tuple[Measure, ...]:
    class_ = positive(evaluation)
    own = {"class": str(evaluation.positive_label)}
    return (
        Measure(
            "precision_ratio", "Precision", f"how often “{class_}” is right when it is said", "percent", labels=own
        ),
        Measure("recall_ratio", "Recall", f"how much of “{class_}” is found", "percent", labels=own),
        Measure("roc_auc", "ROC AUC", "how often a positive scores above a negative"),
    )


def _cost(evaluation: Evaluation) -> tuple[Measure, ...]:
    if evaluation.costs is None:
        return ()
    explained = "what the outcomes of labeled requests cost on average"
    unit = evaluation.costs.currency
    return (Measure("cost_per_prediction", "Cost per prediction", explained, "money", LOWER, unit),)
