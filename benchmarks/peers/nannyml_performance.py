"""NannyML's performance calculator on every window, as one chunk, against the first week as its reference.

`python -m benchmarks.peers.nannyml_performance --url duckdb:///FILE` tells its measure. No versions, no slices.
"""

import os
import warnings
from pathlib import Path

from benchmarks.measure import asked, repeated, tell
from benchmarks.peers.joined import windows

METRICS = ["roc_auc", "f1", "precision", "recall", "specificity", "accuracy", "average_precision"]


def evaluate(database: Path) -> None:
    """One result a window."""
    os.environ["NML_DISABLE_USAGE_LOGGING"] = "1"
    import nannyml  # noqa: PLC0415  (of its own Python)

    frames = windows(database)
    longest = frames["30d"]
    reference = longest[longest["predicted_at"] < longest["predicted_at"].quantile(0.25)]
    columns = {"y_true": "label", "y_pred": "prediction", "y_pred_proba": "score"}
    for frame in frames.values():
        calculator = nannyml.PerformanceCalculator(
            **columns, problem_type="classification_binary", metrics=METRICS, chunk_number=1
        )
        calculator.fit(reference).calculate(frame).to_df()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    given = asked(__doc__)
    tell(repeated(given.times, lambda: evaluate(Path(given.url.removeprefix("duckdb:///")))))
