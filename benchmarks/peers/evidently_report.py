"""Evidently's classification preset on every window, without versions or slices, which it does not break down.

`python -m benchmarks.peers.evidently_report --url duckdb:///FILE` tells its measure.
"""

import warnings
from pathlib import Path

from benchmarks.measure import asked, repeated, tell
from benchmarks.peers.joined import windows


def evaluate(database: Path) -> None:
    """One report a window."""
    from evidently import BinaryClassification, DataDefinition, Dataset, Report  # noqa: PLC0415  (of its own Python)
    from evidently.presets import ClassificationPreset  # noqa: PLC0415

    kinds = BinaryClassification(target="label", prediction_labels="prediction", prediction_probas="score", pos_label=1)
    for frame in windows(database).values():
        columns = frame[["label", "prediction", "score"]]
        data = Dataset.from_pandas(columns, data_definition=DataDefinition(classification=[kinds]))
        Report([ClassificationPreset()]).run(data, None).dict()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    given = asked(__doc__)
    tell(repeated(given.times, lambda: evaluate(Path(given.url.removeprefix("duckdb:///")))))
