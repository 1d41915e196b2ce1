"""What each outcome cell cost: prices of the configuration on the counts and amounts of the cells."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from evaljob.config import Price
from evaljob.metrics.series import Series, Values
from evaljob.types import class_name

Mask: TypeAlias = npt.NDArray[np.bool_]

OUTCOMES = {"tn": (False, False), "fp": (False, True), "fn": (True, False), "tp": (True, True)}  # (true, said)


class Spent(NamedTuple):
    """Per cell the sum of its rows' costs, and of their squares."""

    total: Values
    squares: Values


def spent(series: Series, cells: pd.DataFrame, price: Price) -> Spent:
    """What cells of outcomes cost at one price; a row without the amount that the price names costs nothing."""
    if price.column is None:
        n = cells["n"].to_numpy().astype("float64")
        return Spent(n * price.factor, n * price.factor**2)
    number = list(series.evaluation.values).index(price.column)
    total, squares = (series.real_of(cells, f"{name}_{number}") for name in ("value", "squared_value"))
    return Spent(total * price.factor, squares * price.factor**2)


def billed(series: Series) -> Spent:
    """What the outcome cells cost as the predictions were made; 0 where no price is given."""
    cells = series.outcomes
    bill = Spent(np.zeros(len(cells)), np.zeros(len(cells)))
    for part, price in _charges(series):
        bill.total[part], bill.squares[part] = spent(series, cells[part], price)
    return bill


def _charges(series: Series) -> Iterator[tuple[Mask, Price]]:
    """Which cells pay each price."""
    cells, costs = series.outcomes, series.evaluation.costs
    label, prediction = cells["label"].to_numpy(), cells["prediction"].to_numpy()
    if costs is not None and costs.outcomes is not None:
        said = prediction == series.positive
        for name, (true, positive) in OUTCOMES.items():
            yield (series.events == true) & (said == positive), getattr(costs.outcomes, name)
    elif costs is not None:
        for pair in costs.matrix or ():
            codes = (series.code(class_name(name)) for name in (pair.label, pair.prediction))
            yield (label == next(codes)) & (prediction == next(codes)), pair.cost
