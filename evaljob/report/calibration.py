"""Whether scores mean what they say: the reliability diagram, the scores by label, calibration in numbers."""

from evaljob.report import figures
from evaljob.report import numbers as n
from evaljob.report.catalogue import Measure, positive
from evaljob.report.judged import Judged
from evaljob.report.parts import Block, Cell, Figure, Table, number_cell
from evaljob.report.scores import Spread

_MEASURES = (
    Measure("expected_calibration_error", "Calibration error", "mean distance of score and observed frequency, by bin"),
    Measure("expected_calibration_error_debiased", "… debiased", "the same less what chance adds in small bins"),
    Measure("maximum_calibration_error", "Maximum calibration error", "the largest distance of a bin"),
    Measure("calibration_bias", "Bias", "mean score minus observed frequency; above 0 is too high"),
    Measure("calibration_slope", "Slope", "1 is calibrated; below 1 scores are too extreme"),
    Measure("calibration_intercept", "Intercept", "0 is calibrated"),
    Measure(
        "calibration_p_value", "p-value", "chance of such a slope and intercept, were the scores calibrated", "chance"
    ),
    Measure(
        "brier_score", "Brier score", "mean squared distance; the sum of the next three, discrimination subtracted"
    ),
    Measure("brier_miscalibration", "… miscalibration", "what recalibration would remove"),
    Measure("brier_discrimination", "… discrimination", "what the scores resolve; more is better"),
    Measure("brier_uncertainty", "… uncertainty", "the score of always predicting the observed frequency"),
    Measure("log_loss", "Log loss", "mean logarithmic loss in nats"),
    Measure("roc_auc", "ROC AUC", "how often a positive scores above a negative"),
    Measure("average_precision", "Average precision", "precision over all recalls"),
)


def block(judged: Judged, found: Spread) -> Block:
    """Scores and calibration of the main window."""
    event = f"“{n.name(positive(judged.evaluation))}”" if judged.evaluation.task == "binary" else "the predicted class"
    intro = (
        f"A score is the probability of {event}. Calibrated scores lie on the diagonal: of the requests that score "
        "70%, 70% come true."
    )
    parts = [_reliability(judged, found), _by_label(judged, found)]
    return Block("scores", "Scores and calibration", intro, figures=parts, tables=_calibration(judged))


def _by_label(judged: Judged, found: Spread) -> Figure:
    names, histogram = _labels(judged), found.histogram()
    counts = (histogram.negatives, histogram.positives)
    by_label = dict(zip(names, counts, strict=True))
    svg = figures.scores(f"{judged.id}-scores", histogram.edges, by_label, logarithmic=histogram.logarithmic)
    rows = [
        [Cell(f"{low:.3g} to {high:.3g}"), *(Cell(f"{int(k):,}") for k in pair)]
        for low, high, *pair in zip(histogram.edges[:-1], histogram.edges[1:], *counts, strict=True)
    ]
    title = "Scores by label" if judged.evaluation.task == "binary" else "Scores by outcome"
    return Figure(title, svg, found.summary(names), Table(title, ["Score", *names], rows, "data"))


def _labels(judged: Judged) -> list[str]:
    if judged.evaluation.task != "binary":
        return ["predicted wrong", "predicted right"]
    name = n.name(positive(judged.evaluation))
    return [f"not {name}", name]


def _reliability(judged: Judged, found: Spread) -> Figure:
    diagram = found.diagram(judged.evaluation)
    svg = figures.reliability(f"{judged.id}-reliability", diagram)
    summary = (
        f"The line is the isotonic fit. For {n.percent(diagram.outside)} of the requests it leaves the shaded band, in "
        f"which {judged.evaluation.confidence:.0%} of the fits of calibrated scores lie. Points are bins with the "
        "interval of their frequency; the strip at the foot shows where the scores lie."
    )
    told = zip(diagram.predicted, diagram.observed, diagram.lower, diagram.upper, diagram.support, strict=True)
    rows = [
        [Cell(n.percent(p)), Cell(n.percent(o)), Cell(f"{n.percent(low)} to {n.percent(high)}"), Cell(f"{int(k):,}")]
        for p, o, low, high, k in told
        if k
    ]
    data = Table("Reliability diagram", ["Mean score", "Observed", "Interval", "Requests"], rows, "data")
    return Figure("Reliability", svg, summary, data)


def _calibration(judged: Judged) -> list[Table]:
    """What scores are judged by, in one table."""
    told = [(m, judged.numbers.get(m.metric, judged.total, **m.labels)) for m in _MEASURES]
    rows = [[Cell(m.title, m.explained), number_cell(m, x)] for m, x in told if x.defined]
    return [Table("Calibration and proper scores", ["Measure", "Value"], rows, "list")] if rows else []
