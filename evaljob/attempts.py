"""Another try where a database failed in a way that may pass at once: a few, with jitter, none for a slow query."""

import logging
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy.exc import SQLAlchemyError
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from evaljob.database import reason
from evaljob.failures import transient

ATTEMPTS = 4
_WAIT = wait_random_exponential(multiplier=0.2, max=2)  # at most 1.4 s in all

Value = TypeVar("Value")
logger = logging.getLogger(__name__)


def persistently(call: Callable[[], Value]) -> Value:
    """What the call returns, tried up to ATTEMPTS times while its failures are transient. Raises the last failure."""
    retrying = Retrying(
        retry=retry_if_exception(lambda error: isinstance(error, SQLAlchemyError) and transient(error)),
        stop=stop_after_attempt(ATTEMPTS),
        wait=_WAIT,
        before_sleep=_tell,
        reraise=True,
    )
    return retrying(call)


def _tell(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome else None
    said = reason(error) if isinstance(error, SQLAlchemyError) else ""
    logger.warning("the database failed, trying again (%d of %d): %s", state.attempt_number, ATTEMPTS - 1, said)
