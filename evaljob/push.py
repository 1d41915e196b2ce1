"""Registries to the Pushgateway: within a total deadline, with bounded retries, and never with a false success.

The environment's `http_proxy` is not used. The gateway is a neighbour inside the network; a proxy that answers in its
place would make a push that never arrived look like one that did, and would read the credentials on the way.
"""

import base64
import json
import logging
import math
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING, NoReturn

from tenacity import (
    RetryCallState,
    Retrying,
    before_sleep_log,
    retry_if_exception_type,
    stop_after_attempt,
    stop_before_delay,
    wait_random_exponential,
)

from evaljob.config import Pushgateway
from evaljob.errors import PushError
from evaljob.gateway import endpoint
from evaljob.transport import Endpoint, Reply, exchange

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from evaljob.gauges import Status

ATTEMPTS = 5
_WAIT = wait_random_exponential(multiplier=0.5, max=5)
_PLAIN_SEGMENT = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 500
_HINTS = {
    401: "; check username and password, or bearer_token",
    403: "; check username and password, or bearer_token",
    404: "; no Pushgateway at this path: check pushgateway.url",
}
_log = logging.getLogger(__name__)


class _TransientError(PushError):
    """A failure that another attempt may not meet."""


class Budget:
    """Seconds that pushes may still take; shared by all pushes of a run, it bounds what a dead gateway costs."""

    def __init__(self, gateway: Pushgateway) -> None:
        self.left = gateway.timeout.total_seconds()
        self._expires = math.inf

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Let no push of the block be sent later than so many seconds from now, whatever the process did meanwhile."""
        self._expires = time.monotonic() + seconds
        try:
            yield
        finally:
            self._expires = math.inf

    @contextmanager
    def spending(self) -> Iterator[float]:
        """Take what the block takes off the budget. Yields the deadline of time.monotonic() for it."""
        started = time.monotonic()
        try:
            yield min(started + self.left, self._expires)
        finally:
            self.left -= time.monotonic() - started


def push_results(gateway: Pushgateway, model: str, registry: "CollectorRegistry", budget: Budget | None = None) -> None:
    """Replace the results of a model: what is not in the registry vanishes from the gateway.

    Returns when the gateway has confirmed it; raises PushError within `gateway.timeout`, retries included, when it
    has not. A 400, another refusal and a redirect are final; failed connections, timeouts and 5xx are tried again.
    """
    from evaljob.gauges import text  # noqa: PLC0415  (who only asks needs no registries)

    results, _ = _keys(gateway, model)
    _request(gateway, "PUT", _path(results), text(registry).encode(), budget)


def push_status(gateway: Pushgateway, model: str, status: "Status", budget: Budget | None = None) -> None:
    """Publish how a run ended; whatever the status does not know stays as it was. Raises PushError likewise."""
    from evaljob.gauges import status_registry, text  # noqa: PLC0415

    _, key = _keys(gateway, model)
    method = "PUT" if status.complete else "POST"
    _request(gateway, method, _path(key), text(status_registry(status)).encode(), budget)


def delete_model(gateway: Pushgateway, model: str, budget: Budget | None = None) -> None:
    """Delete the results and the status of a model; to have none is no error. Raises PushError likewise.

    The gateway accepts deletions and carries them out a moment later, in order with the pushes that follow.
    """
    for key in _keys(gateway, model):
        _request(gateway, "DELETE", _path(key), b"", budget)


def groups(gateway: Pushgateway, budget: Budget | None = None) -> set[str]:
    """The models for which this job has groups in the gateway. Raises PushError likewise.

    Two configurations that push to one gateway need a `pushgateway.job` each: these are the models of both otherwise.
    """
    answer = _request(gateway, "GET", "/api/v1/metrics", b"", budget)
    try:
        keys = [group["labels"] for group in json.loads(answer)["data"]]
        return {key["model"] for key in keys if key in _keys(gateway, key.get("model"))}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise PushError(f"{endpoint(gateway).url}: what answers /api/v1/metrics is no Pushgateway") from error


def _keys(gateway: Pushgateway, model: str) -> tuple[dict[str, str], dict[str, str]]:
    """The grouping keys of a model's results and of its status."""
    results = {"job": gateway.job, "model": model}
    return results, results | {"kind": "status"}


def _path(key: dict[str, str]) -> str:
    return "/metrics" + "".join(f"/{_segment(name, value)}" for name, value in key.items())


def _segment(name: str, value: str) -> str:
    """A label of the grouping key; base64 for all that a server between might take for something else: `/`, `..`."""
    if _PLAIN_SEGMENT.fullmatch(value):
        return f"{name}/{value}"
    return f"{name}@base64/{base64.urlsafe_b64encode(value.encode()).decode() or '='}"


def _request(gateway: Pushgateway, method: str, path: str, body: bytes, budget: Budget | None) -> bytes:
    target, budget = endpoint(gateway), budget or Budget(gateway)
    with budget.spending() as deadline:
        retrying = Retrying(
            retry=retry_if_exception_type(_TransientError),
            stop=stop_after_attempt(ATTEMPTS) | stop_before_delay(deadline - time.monotonic()),
            wait=_WAIT,
            before_sleep=before_sleep_log(_log, logging.WARNING),
            retry_error_callback=_give_up,
        )
        return bytes(retrying(_attempt, target, method, path, body, deadline))


def _attempt(target: Endpoint, method: str, path: str, body: bytes, deadline: float) -> bytes:
    try:
        reply = exchange(target, method, path, body, deadline - time.monotonic())
    except (OSError, HTTPException, ValueError) as error:
        kind = PushError if _is_final(error) else _TransientError
        why = _shown(str(error) or type(error).__name__, target)
        raise kind(f"{target.url}: {method} failed: {why}") from error
    if reply.status in range(200, 300) and not reply.content_type.startswith("text/html"):
        return reply.body
    # A page in answer to a push is a login or an error page of something in between, whatever its status.
    kind = _TransientError if reply.status >= 500 else PushError  # noqa: PLR2004
    raise kind(f"{target.url}: {method} was answered {_refusal(reply, target)}")


def _is_final(error: Exception) -> bool:
    """Certificates that do not verify, TLS that is refused and names that cannot be are the same the next time."""
    broken_off = isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError)
    return isinstance(error, ValueError) or (isinstance(error, ssl.SSLError) and not broken_off)


def _refusal(reply: Reply, target: Endpoint) -> str:
    said = reply.body.decode(errors="replace")
    if reply.status in range(300, 400):
        said = f"redirects are not followed; set pushgateway.url to {reply.location or 'where it leads'}"
    return _shown(f"{reply.status} {reply.reason}: {said}", target) + _HINTS.get(reply.status, "")


def _shown(text: str, target: Endpoint) -> str:
    """The text on one line of readable length, without a credential that the other side may have echoed."""
    for secret in target.secrets:
        text = text.replace(secret, "***")
    return " ".join(text.split())[:_SHOWN]


def _give_up(state: RetryCallState) -> NoReturn:
    error = state.outcome.exception() if state.outcome else None
    raise PushError(f"{error} ({state.attempt_number} attempts in {state.seconds_since_start:.1f} s)") from error
