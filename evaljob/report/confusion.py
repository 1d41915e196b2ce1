"""What came out of the predictions: the confusion matrix, and every class against the rest."""

from evaljob.metrics.classification import MACRO, WEIGHTED
from evaljob.report import numbers as n
from evaljob.report.catalogue import Measure
from evaljob.report.judged import Judged
from evaljob.report.parts import Block, Cell, Scale, Table, number_cell

_PER_CLASS = (
    Measure("precision_ratio", "Precision", "", "percent"),
    Measure("recall_ratio", "Recall", "", "percent"),
    Measure("f1_ratio", "F1", "", "percent"),
    Measure("prevalence_ratio", "Occurs", "", "percent"),
    Measure("predicted_ratio", "Predicted", "", "percent"),
)


def block(judged: Judged) -> Block | None:
    """None where there is nothing to show."""
    tables = [table for table in (_confusion(judged), _per_class(judged)) if table is not None]
    intro = "How the labels came out against what was predicted. Shades are shares of each row."
    return Block("confusion", "Right and wrong", intro, tables=tables) if tables else None


def _confusion(judged: Judged) -> Table | None:
    """The counts as they were published, a row a label."""
    told = judged.numbers.labeled("confusion", judged.total)
    counts = {(labels["class"], labels["predicted"]): number for labels, number in told}
    classes = list(dict.fromkeys(label for label, _ in counts))
    totals = {label: sum(counts[label, said].value for said in classes) for label in classes}
    if not sum(totals.values()):
        return None
    rows = [
        [
            Cell(n.name(label)),
            *(_counted(counts[label, said].value, totals[label], right=label == said) for said in classes),
            Cell(f"{totals[label]:,.0f}"),
        ]
        for label in classes
    ]
    return Table("Confusion matrix", ["Label", *map(n.name, classes), "All"], rows, "matrix", corner="Predicted")


def _counted(count: float, total: float, *, right: bool) -> Cell:
    share = count / total if total else 0.0
    return Cell(f"{count:,.0f}", n.percent(share) if total else "", shade=share, strong=right)


def _per_class(judged: Judged) -> Table | None:
    """Every class against the rest, on one scale of recall; binary tasks have their one class in the tiles."""
    if judged.evaluation.task == "binary":
        return None
    classes = [c for c in judged.numbers.by("recall_ratio", judged.total, "class") if c not in (MACRO, WEIGHTED)]
    found = {c: [judged.numbers.get(m.metric, judged.total, class_=c) for m in _PER_CLASS] for c in classes}
    scale = Scale([numbers[1] for numbers in found.values()])
    rows = [
        [
            Cell(n.name(c)),
            *(number_cell(m, x) for m, x in zip(_PER_CLASS, xs, strict=True)),
            Cell("", bar=scale.bar(xs[1])),
        ]
        for c, xs in sorted(found.items(), key=lambda item: item[1][1].value)
    ]
    head = ["Class", *(m.title for m in _PER_CLASS), "Recall"]
    return Table("Each class against the rest", head, rows, "bars") if rows else None
