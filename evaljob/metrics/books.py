"""The books of the join: what was counted, what was missing, and what could not be used."""

import numpy as np

from evaljob.cells import BOOKED_BUCKET
from evaljob.config import Evaluation
from evaljob.join.plan import BOOKED, LABEL_ID_NULL, NUMBER_INVALID, ORPHAN, PREDICTION_ID_NULL, SCORE_INVALID
from evaljob.metrics.results import Results

REJECTED = {
    "prediction_request_id_null": PREDICTION_ID_NULL,
    "label_request_id_null": LABEL_ID_NULL,
    "score_out_of_range": SCORE_INVALID,
    "number_out_of_range": NUMBER_INVALID,
    "label_null": BOOKED_BUCKET + BOOKED.index("retracted"),
    "too_late": BOOKED_BUCKET + BOOKED.index("too_late"),
    "latency_out_of_range": BOOKED_BUCKET + BOOKED.index("latency_invalid"),
    "value_out_of_range": BOOKED_BUCKET + BOOKED.index("values_invalid"),
}


def add(results: Results, unplaceable: dict[str, int]) -> None:
    """Counts of the join.

    Rejected rows are told by reason, zeros included; those without a timestamp stand with the totals.
    """
    series = results.series
    results.count("predictions", series.predictions)
    results.count("support", series.support)
    on_predicted = {window.name for window in series.evaluation.windows if window.on == "predicted_at"}
    predictions = np.where(series.names["window"].isin(on_predicted), series.predictions, 0)
    results.share("label_coverage_ratio", np.minimum(series.labeled, predictions), predictions, needs_support=False)
    results.share("prediction_failures_ratio", series.failed, series.predictions, needs_support=False)
    total = series.overall & (series.names["model_version"] == "all").to_numpy()
    results.count("orphan_labels", series.booked(ORPHAN), where=total)
    results.count("duplicate_predictions", series.booked(BOOKED_BUCKET + BOOKED.index("duplicates")))
    results.count("corrected_labels", series.booked(BOOKED_BUCKET + BOOKED.index("corrections")))
    for reason, bucket in REJECTED.items():
        if _can_occur(reason, series.evaluation):
            of_label = reason == "label_request_id_null"
            results.count(
                "rejected_rows", series.booked(bucket), where=total if of_label else series.overall, reason=reason
            )
    for reason, rows in unplaceable.items():
        results.count("rejected_rows", np.full(len(series), rows), where=total, reason=reason)
    for name, values in series.folded.items():
        results.count("other_slice_values", np.full(len(series), values), where=total, column=name)


def _can_occur(reason: str, evaluation: Evaluation) -> bool:
    regression = evaluation.task == "regression"
    impossible = {
        "score_out_of_range": regression,
        "number_out_of_range": not regression,
        "too_late": evaluation.max_lag is None,
        "value_out_of_range": not evaluation.values,
    }
    return not impossible.get(reason, False)
