"""Requests: when they came, from where, and which version answered."""

import uuid
from datetime import datetime

import numpy as np
import numpy.typing as npt
import pandas as pd

# When v2 takes its first requests, half of the traffic, and the wrong unit, as shares of time: days 15, 20, 32 of 40.
CANARY, ROLLOUT, INCIDENT = 0.375, 0.5, 0.8

_COUNTRIES = {"US": 0.36, "DE": 0.22, "BR": 0.17, "IN": 0.13, "JP": 0.08, "ZA": 0.04}
_DEVICES = {"phone": 0.45, "desktop": 0.40, "tablet": 0.15}
# How often the incident reaches a request to v2.
_WRONG_UNIT = {"phone": 0.95, "desktop": 0.4, "tablet": 0.4}


def arrivals(rng: np.random.Generator, count: int, start: datetime, end: datetime) -> pd.DataFrame:
    """`count` requests of `[start, end)`, a row each in order of time.

    Columns: request_id, predicted_at, model_version, country, device, wrong_unit (whether the incident reached it).
    """
    times = _daily_rhythm(rng, count, start, end)
    elapsed = (times - np.datetime64(start)) / np.timedelta64(end - start)
    version = np.where(rng.random(count) < np.interp(elapsed, [CANARY, ROLLOUT], [0.05, 0.5], left=0.0), "v2", "v1")
    device = _draw(rng, _DEVICES, count)
    reached = rng.random(count) < pd.Series(device).map(_WRONG_UNIT)
    return pd.DataFrame({
        "request_id": request_ids(rng, count), "predicted_at": times, "model_version": version,
        "country": _draw(rng, _COUNTRIES, count), "device": device,
        "wrong_unit": reached & (version == "v2") & (elapsed >= INCIDENT),
    })  # fmt: skip


def request_ids(rng: np.random.Generator, count: int) -> list[str]:
    """Version 4 UUIDs, 32 hexadecimal digits each."""
    return [uuid.UUID(bytes=rng.bytes(16), version=4).hex for _ in range(count)]


def _daily_rhythm(rng: np.random.Generator, count: int, start: datetime, end: datetime) -> npt.NDArray[np.datetime64]:
    """Instants at microseconds, in order: six times as many in the hour of 14:00 UTC as in that of 02:00."""
    minutes = np.arange(np.datetime64(start, "us"), np.datetime64(end, "us"), np.timedelta64(1, "m"))
    hours = (minutes - minutes.astype("datetime64[D]")) / np.timedelta64(1, "h")
    rhythm = 1 + 5 / 7 * np.cos(2 * np.pi * (hours - 14) / 24)
    within = rng.integers(60_000_000, size=count).astype("timedelta64[us]")
    times: npt.NDArray[np.datetime64] = np.sort(rng.choice(minutes, count, p=rhythm / rhythm.sum()) + within)
    return times


def _draw(rng: np.random.Generator, shares: dict[str, float], count: int) -> npt.NDArray[np.str_]:
    drawn: npt.NDArray[np.str_] = rng.choice(list(shares), count, p=list(shares.values()))
    return drawn
