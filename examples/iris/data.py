"""Flowers to train on and flowers to ask about, measured with some error: the bundled ones alone are too easy."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

SPECIES = ("setosa", "versicolor", "virginica")
_ERROR = 0.35  # of each measurement, in standard deviations of the feature


@dataclass(frozen=True)
class Flowers:
    """Measurements in centimetres, one row a flower, four columns; and the species of each."""

    features: npt.NDArray[np.float64]
    species: npt.NDArray[np.str_]


class Garden:
    """Half of the iris data for training, the other half for everything after it."""

    def __init__(self) -> None:
        features, target = load_iris(return_X_y=True)
        self._spread = _ERROR * features.std(axis=0)
        halves = train_test_split(features, np.take(SPECIES, target), test_size=0.5, stratify=target, random_state=0)
        self._train, self._held_out = Flowers(halves[0], halves[2]), Flowers(halves[1], halves[3])

    def training(self, rng: np.random.Generator, count: int) -> Flowers:
        """`count` flowers of the first half, drawn with replacement and measured anew."""
        return self._measured(rng, self._train, count)

    def held_out(self, rng: np.random.Generator, count: int) -> Flowers:
        """`count` flowers of the other half."""
        return self._measured(rng, self._held_out, count)

    def _measured(self, rng: np.random.Generator, flowers: Flowers, count: int) -> Flowers:
        drawn = rng.integers(len(flowers.species), size=count)
        error = self._spread * rng.normal(size=(count, self._spread.size))
        return Flowers(np.clip(flowers.features[drawn] + error, 0.1, None).round(2), flowers.species[drawn])
