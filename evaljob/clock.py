"""The instant that a run evaluates."""

from datetime import UTC, datetime

from evaljob.config import Config


def now(config: Config) -> datetime:
    """The instant to evaluate: behind the clock by `settle`, for rows on their way, to the whole second."""
    return (datetime.now(UTC) - config.schedule.settle).replace(microsecond=0)
