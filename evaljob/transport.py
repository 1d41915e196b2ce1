"""One HTTP request within a deadline that holds for all of it: name lookup, connecting, sending and a dripping answer.

http.client follows no redirect and asks no proxy, and that is wanted: see evaljob.push.
"""

import queue
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from socket import SHUT_RDWR, socket

# An address that swallows connections leaves time for another try, or for another address.
CONNECT_SHARE = 1 / 3


@dataclass(frozen=True)
class Endpoint:
    """Where requests go: `tls` is None for plain HTTP, `prefix` begins every path and ends without a slash.

    `secrets` are what no message may show, although the other side may echo it.
    """

    host: str
    port: int
    prefix: str
    tls: ssl.SSLContext | None
    headers: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def url(self) -> str:
        """The URL without credentials, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'http' if self.tls is None else 'https'}://{host}:{self.port}{self.prefix}"


@dataclass(frozen=True)
class Reply:
    """A complete answer, whatever its status."""

    status: int
    reason: str
    content_type: str
    location: str
    body: bytes


def exchange(endpoint: Endpoint, method: str, path: str, body: bytes, seconds: float) -> Reply:
    """Ask once and wait for the whole answer, for at most `seconds`.

    Raises TimeoutError when they are over, else OSError or http.client.HTTPException when the exchange fails.
    A request that was given up is cut off, so that it cannot arrive later and overwrite something newer.
    """
    if seconds <= 0:
        raise TimeoutError("no time left of pushgateway.timeout")
    conversation = _Conversation(endpoint, seconds)
    outcomes: queue.SimpleQueue[Reply | Exception] = queue.SimpleQueue()
    threading.Thread(target=lambda: outcomes.put(conversation.outcome(method, path, body)), daemon=True).start()
    try:
        outcome = outcomes.get(timeout=seconds)
    except queue.Empty:
        conversation.abandon()
        raise TimeoutError(f"no complete answer within {seconds:.3g} s") from None
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


class _Conversation:
    """A request and its answer on a connection of their own, which another thread may cut."""

    def __init__(self, endpoint: Endpoint, seconds: float) -> None:
        self._endpoint, self._deadline = endpoint, time.monotonic() + seconds
        self._connection = _connection(endpoint, seconds * CONNECT_SHARE)
        self._abandoned = threading.Event()

    def outcome(self, method: str, path: str, body: bytes) -> Reply | Exception:
        try:
            return self._held(method, path, body)
        except Exception as error:  # noqa: BLE001  (it is raised in the thread that asked)
            return error
        finally:
            self._connection.close()

    def abandon(self) -> None:
        self._abandoned.set()
        connected: socket | None = self._connection.sock
        if connected is not None:
            with suppress(OSError):
                # Not SSLSocket.shutdown, which first drops the encryption under the feet of the other thread.
                socket.shutdown(connected, SHUT_RDWR)

    def _held(self, method: str, path: str, body: bytes) -> Reply:
        connection = self._connection
        connection.connect()
        # By the clock, too: of a process that was stopped and woken nobody has told this thread yet.
        left = self._deadline - time.monotonic()
        if self._abandoned.is_set() or left <= 0:
            raise TimeoutError("connected too late")
        connection.sock.settimeout(left)
        with suppress(BrokenPipeError):  # it may have answered before it hung up, with 413 for instance
            connection.request(method, self._endpoint.prefix + path, body, dict(self._endpoint.headers))
        with connection.getresponse() as response:
            kind, location = response.getheader("Content-Type", ""), response.getheader("Location", "")
            return Reply(response.status, response.reason, kind, location, response.read())


def _connection(endpoint: Endpoint, timeout: float) -> HTTPConnection:
    if endpoint.tls is None:
        return HTTPConnection(endpoint.host, endpoint.port, timeout=timeout)
    return HTTPSConnection(endpoint.host, endpoint.port, timeout=timeout, context=endpoint.tls)
