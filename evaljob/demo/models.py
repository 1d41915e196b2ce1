"""The served classifiers: real ones, trained on half of a data set of scikit-learn, asked about the other half."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

Floats = npt.NDArray[np.float64]
Sample = tuple[Floats, npt.NDArray[np.str_]]

_INCH = 2.54
_TRAINING_ROWS = 4_000
# In euros, by label: the scale of a gamma distribution of shape 2, whose mean is twice that.
_REVENUE = {"malignant": 90.0, "benign": 20.0}


@dataclass(frozen=True)
class Model:
    """One deployed model: v1 sees the first `first_features` features only, v2 all of them.

    `share` is of all requests. `noise` is the measurement noise of each row served, in standard deviations of the
    feature: the bundled data alone is so clean that most scores would be 0 or 1. `lengths` are the features that the
    incident divides by 2.54.
    """

    name: str
    load: Callable[[], Any]
    positive: str | None
    share: float
    first_features: int
    noise: float
    lengths: tuple[str, ...]

    def answer(
        self, rng: np.random.Generator, version: "pd.Series[str]", wrong_unit: "pd.Series[bool]"
    ) -> pd.DataFrame:
        """A row a request: truth, prediction and score (of the positive class; without one, of the predicted class)."""
        bunch = self.load()
        rows, classes = bunch.data, bunch.target_names[bunch.target]
        spread = self.noise * rows.std(axis=0)
        train, serve, known, unknown = train_test_split(rows, classes, test_size=0.5, stratify=classes, random_state=0)
        training = _measure(rng, train, known, spread, _TRAINING_ROWS)
        measured, truth = _measure(rng, serve, unknown, spread, len(version))
        measured[np.ix_(wrong_unit.to_numpy(bool), np.isin(bunch.feature_names, self.lengths))] /= _INCH
        features = {"v1": self.first_features, "v2": rows.shape[1]}
        answers = [self._classify(training, measured, version == name, seen) for name, seen in features.items()]
        return pd.concat(answers).sort_index().assign(truth=truth)

    def revenue(self, rng: np.random.Generator, truth: "pd.Series[str]") -> Floats:
        """Euros that the outcome of each request brings, NaN where the model has none."""
        scale = truth.map(_REVENUE).astype(float).to_numpy()
        return np.asarray(np.round(rng.gamma(2.0, 1.0, len(truth)) * scale, 2))

    def _classify(self, training: Sample, measured: Floats, asked: "pd.Series[bool]", seen: int) -> pd.DataFrame:
        rows, classes = training
        classifier = make_pipeline(StandardScaler(), LogisticRegression()).fit(rows[:, :seen], classes)
        names = [str(name) for name in classifier.classes_]
        chances = classifier.predict_proba(measured[asked, :seen])
        score = chances.max(axis=1) if self.positive is None else chances[:, names.index(self.positive)]
        prediction = np.take(names, chances.argmax(axis=1))
        return pd.DataFrame({"prediction": prediction, "score": score}, index=asked.index[asked])


def _measure(
    rng: np.random.Generator, rows: Floats, classes: npt.NDArray[np.str_], spread: Floats, count: int
) -> Sample:
    """`count` rows drawn with replacement, each measured anew: (features, classes)."""
    drawn = rng.integers(len(rows), size=count)
    return rows[drawn] + spread * rng.normal(size=(count, rows.shape[1])), classes[drawn]


_RADII = ("mean radius", "mean perimeter", "radius error", "perimeter error", "worst radius", "worst perimeter")
MODELS = (
    Model("breast_cancer", load_breast_cancer, "malignant", 0.7, 10, 0.8, _RADII),
    Model("iris", load_iris, None, 0.3, 3, 0.35, ("petal length (cm)",)),
)
