"""What came out of the predictions: the confusion matrix, and every class against the rest."""

import numpy as np

from evaljob.metrics.classification import MACRO, WEIGHTED, confusion_matrix
from evaljob.metrics.series import Series as Counted
from evaljob.report import numbers as n
from evaljob.report.catalogue import Measure, positive
from evaljob.report.gather import total_of
from evaljob.report.parts import Block, Cell, Scale, Table, number_cell
from evaljob.report.verdict import Judged

MOST_CLASSES = 12
_PER_CLASS = (
    Measure("precision_ratio", "Precision", "", "percent"),
    Measure("recall_ratio", "Recall", "", "percent"),
    Measure("f1_ratio", "F1", "", "percent"),
    Measure("prevalence_ratio", "Occurs", "", "percent"),
    Measure("predicted_ratio", "Predicted", "", "percent"),
)


def block(judged: Judged) -> Block | None:
    """The matrix needs the stored cells, the classes do not; None where there is nothing to show."""
    series = judged.material.series
    tables = [table for table in (_confusion(judged, series), _per_class(judged)) if table is not None]
    intro = (
        "" if series is None else "How the labels came out against what was predicted. Shades are shares of each row."
    )
    return Block("confusion", "Right and wrong", intro, tables=tables) if tables else None


def _confusion(judged: Judged, series: Counted | None) -> Table | None:
    if series is None:
        return None
    matrices, names = confusion_matrix(series)
    matrix, names = _largest(matrices[total_of(series, judged.window.name)], [n.name(name) for name in names])
    if judged.evaluation.task == "binary":
        rest = next((c for c in series.classes if c != positive(judged.evaluation)), "")
        names = [n.name(rest) if len(series.classes) == 2 else "rest", names[1]]  # noqa: PLR2004
    totals = matrix.sum(axis=1)
    rows = [
        [
            Cell(f"{names[i]}"),
            *(
                Cell(f"{k:,}", n.percent(k / totals[i]) if totals[i] else "", shade=k / totals[i] if totals[i] else 0.0,
                     strong=i == j)
                for j, k in enumerate(matrix[i].tolist())
            ),
            Cell(f"{int(totals[i]):,}"),
        ]
        for i in range(len(names))
    ]  # fmt: skip
    head = ["Label", *(f"{name}" for name in names), "All"]
    return Table("Confusion matrix", head, rows, "matrix", corner="Predicted")


def _largest(matrix: np.ndarray, names: list[str]) -> tuple[np.ndarray, list[str]]:
    """The classes that occur most, and all others as one."""
    if len(names) <= MOST_CLASSES:
        return matrix, names
    order = np.argsort(-(matrix.sum(axis=0) + matrix.sum(axis=1)), kind="stable")
    kept, rest = order[: MOST_CLASSES - 1], order[MOST_CLASSES - 1 :]
    groups = [[i] for i in kept] + [list(rest)]
    folded = np.array([[matrix[np.ix_(a, b)].sum() for b in groups] for a in groups])
    return folded, [*(names[i] for i in kept), f"{len(rest)} others"]


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
