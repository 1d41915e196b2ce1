"""Whether the labeled requests are a fair sample: their scores beside those of the requests without label."""

import numpy as np

from evaljob.cells import NONE
from evaljob.join.plan import OUTCOME
from evaljob.metrics.results import Mask, Results
from evaljob.metrics.scores import by_bin
from evaljob.statistics.selection import (
    kolmogorov_smirnov,
    kolmogorov_smirnov_p_value,
    population_stability_index,
)


def add(results: Results, told: Mask) -> None:
    """Distance, its p-value and stability index of both distributions of scores, of the series that are `told`.

    Not of a regression, which has no scores. Told whatever the support; that is how many labeled requests have a score.
    """
    series = results.series
    cells = series.of_kind(OUTCOME)
    cells = cells[(cells["prediction"].to_numpy() != NONE) & (cells["bucket"].to_numpy() >= 0)]
    if series.evaluation.task == "regression" or cells.empty:
        return
    labeled = cells["label"].to_numpy() != NONE
    one, other = (by_bin(series, part)[told] for part in (cells[labeled], cells[~labeled]))
    distance = kolmogorov_smirnov(one, other)
    support = np.asarray(one.sum(axis=1))
    p = kolmogorov_smirnov_p_value(distance, one, other)
    results.count("label_selection_ks", distance, support=support, where=told)
    results.count("label_selection_p_value", p, support=support, where=told)
    results.count("label_selection_psi", population_stability_index(one, other), support=support, where=told)
