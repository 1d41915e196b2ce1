"""How much the truth that came late has moved a window: its value now less its value when it was first told.

Two windows on `predicted_at` of one length and unlike maturities look at the same predictions, the more mature one
later: what it says now beside what the other one said then, as the history has it, is what waiting was worth. A window
on `labeled_at` holds the labels that came in it and is final at once, save corrections.
"""

import numpy as np

from evaljob.metrics.past import Past, in_past
from evaljob.metrics.results import Results

HEADLINES = (
    "accuracy_ratio", "precision_ratio", "recall_ratio", "mean_absolute_error", "cost_per_prediction",
    "label_coverage_ratio",
)  # fmt: skip


def add(results: Results, past: Past) -> None:
    """The difference of the headline metrics, of the slice `overall`, where the history has the earlier value.

    `reference` is the window that told it first.
    """
    for final, (first, frame) in past.first.items():
        mine = results.series.overall & (results.series.names["window"] == final).to_numpy()
        for of in HEADLINES:
            for class_, now in results.told(of):
                then = in_past(results, {final: frame}, of, class_)
                there = mine & ~np.isnan(then.value)
                moved = now.value - then.value
                results.count("revision", moved, where=there, of=of, reference=first, class_=class_)
