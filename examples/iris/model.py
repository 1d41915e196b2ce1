"""The two versions that are served side by side: v1 does not know the width of the petals, v2, the canary, does."""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from examples.iris.data import Garden

STABLE, CANARY = "v1", "v2"
_FEATURES = {STABLE: 3, CANARY: 4}
_ROWS = 4_000


@dataclass(frozen=True)
class Classifier:
    """One version. `offline_accuracy` is on held-out flowers: what the online accuracy is to be compared with."""

    version: str
    features: int
    offline_accuracy: float
    pipeline: Any

    def predict(self, features: Sequence[float]) -> tuple[str, float]:
        """The species of one flower of four measurements in centimetres, and its probability."""
        (chances,) = self.pipeline.predict_proba([features[: self.features]])
        best = int(np.argmax(chances))
        return str(self.pipeline.classes_[best]), float(chances[best])


def train() -> dict[str, Classifier]:
    """Both versions, the same each time: 20 ms, so every process of the service trains its own."""
    return {version: _trained(version, features) for version, features in _FEATURES.items()}


def version_for(request_id: str, canary_share: float) -> str:
    """The version that answers a request: always the same for an id, the canary for this share of all ids."""
    return CANARY if zlib.crc32(request_id.encode()) < canary_share * 2**32 else STABLE


def _trained(version: str, features: int) -> Classifier:
    rng, garden = np.random.default_rng(0), Garden()
    seen, unseen = garden.training(rng, _ROWS), garden.held_out(rng, _ROWS)
    pipeline = make_pipeline(StandardScaler(), LogisticRegression()).fit(seen.features[:, :features], seen.species)
    accuracy = accuracy_score(unseen.species, pipeline.predict(unseen.features[:, :features]))
    return Classifier(version, features, float(accuracy), pipeline)
