"""The prediction log, with what goes wrong in serving: failures, impossible scores, retries."""

from datetime import datetime

import numpy as np
import pandas as pd

FAILED, RETRIED, REJECTED = 0.01, 0.01, 3
_IMPOSSIBLE = 1.2


def prediction_log(
    rng: np.random.Generator, traffic: pd.DataFrame, answers: pd.DataFrame, end: datetime
) -> pd.DataFrame:
    """`traffic` (request_id, predicted_at, model_version, ...) with prediction, score and latency_seconds.

    1% of the requests failed after a timeout: no prediction, no score. A few of the last fifth carry a score of 1.2,
    which evaljob rejects. 1% are logged again some hundred milliseconds later.
    """
    log = traffic.assign(prediction=answers["prediction"], score=answers["score"])
    log["latency_seconds"] = _latency(rng, log)
    log = _reject(rng, _fail(rng, log))
    return pd.concat([log, _retries(rng, log, end)], ignore_index=True)


def _latency(rng: np.random.Generator, log: pd.DataFrame) -> "pd.Series[float]":
    """Lognormal: 40 ms in the median and about 150 ms at 99%, v2 a quarter slower."""
    slower = log["model_version"].map({"v1": 1.0, "v2": 1.25})
    seconds: pd.Series[float] = (slower * rng.lognormal(np.log(0.04), 0.55, len(log))).round(6)
    return seconds


def _fail(rng: np.random.Generator, log: pd.DataFrame) -> pd.DataFrame:
    failed = rng.random(len(log)) < FAILED
    timeout = np.round(2 + rng.exponential(0.5, len(log)), 6)
    return log.assign(
        prediction=log["prediction"].mask(failed, None),
        score=log["score"].mask(failed),
        latency_seconds=log["latency_seconds"].mask(failed, timeout),
    )


def _reject(rng: np.random.Generator, log: pd.DataFrame) -> pd.DataFrame:
    scored = log.index[log["score"].notna()]
    recent = scored[-(len(scored) // 5) :]
    impossible = rng.choice(recent, min(REJECTED, len(recent)), replace=False)
    return log.assign(score=log["score"].mask(log.index.isin(impossible), _IMPOSSIBLE))


def _retries(rng: np.random.Generator, log: pd.DataFrame, end: datetime) -> pd.DataFrame:
    again = log[rng.random(len(log)) < RETRIED].copy()
    again["predicted_at"] += rng.integers(100_000, 900_000, len(again)).astype("timedelta64[us]")
    return again[again["predicted_at"] < end]
