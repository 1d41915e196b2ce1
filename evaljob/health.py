"""What the worker's runs came to, over HTTP: /healthz for whoever restarts it, /metrics for Prometheus, / to read."""

import json
import logging
import math
import socket
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    MetricsHandler,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)

from evaljob.config import Worker
from evaljob.errors import ConfigError
from evaljob.page import Answer, Page
from evaljob.schedule import Trigger

EVALUATION, RECONCILIATION = "evaluation", "reconciliation"
ALLOWED_INTERVALS = 3
_BUCKETS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)
_CLIENT_TIMEOUT = 10  # seconds that a client may take for its request
_log = logging.getLogger(__name__)


class Health:
    """Records runs. Healthy is a worker whose last success, or else its start, is at most three intervals old."""

    def __init__(self, trigger: Trigger, started: datetime) -> None:
        self._trigger = trigger
        self._until = trigger.after(started, ALLOWED_INTERVALS)
        self._told: dict[str, Any] = dict.fromkeys(["last_success", "last_completion", "last_exit_code"])
        self._told["started"] = started.isoformat()
        self.registry = CollectorRegistry()
        self._metrics = _Metrics(self.registry)

    def begun(self, task: str) -> None:
        """A task has begun."""
        self._metrics.in_progress.labels(task).set(1)

    def overrun(self) -> None:
        """An evaluation was due while another one was running."""
        self._metrics.overruns.inc()

    def finished(self, task: str, exit_code: int, began: datetime, ended: datetime, seconds: float) -> None:
        """A task has ended after so many seconds."""
        self._metrics.finished(task, exit_code, seconds)
        if task == EVALUATION:
            self._told |= {"last_completion": ended.isoformat(), "last_exit_code": exit_code}
            if exit_code == 0:
                self._succeeded(began, ended)

    def answer(self, now: datetime) -> tuple[bool, dict[str, Any]]:
        """Whether the worker is healthy, and what there is to say about it."""
        healthy = now <= self._until
        return healthy, {"healthy": healthy, "healthy_until": self._until.isoformat(), **self._told}

    def _succeeded(self, began: datetime, ended: datetime) -> None:
        # From the beginning, for the next run is due one interval after it; the run's own time is allowed on top.
        self._until = ended + (self._trigger.after(began, ALLOWED_INTERVALS) - began)
        self._told |= {"last_success": ended.isoformat()}
        self._metrics.last_success.set(ended.timestamp())


class _Metrics:
    """The worker process's own metrics; the results of the evaluations are in the Pushgateway."""

    def __init__(self, registry: CollectorRegistry) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=registry)
        name, task = "evaljob_worker_", ["task"]
        self.runs = Counter(f"{name}runs", "Runs by exit code", [*task, "exit_code"], registry=registry)
        self.duration = Histogram(
            f"{name}run_duration_seconds", "Time a run took", task, buckets=_BUCKETS, registry=registry
        )
        self.in_progress = Gauge(f"{name}in_progress", "1 while a run is in progress", task, registry=registry)
        self.overruns = Counter(f"{name}overruns", "Evaluations due while another one was running", registry=registry)
        self.last_success = Gauge(
            f"{name}last_success_timestamp_seconds", "When an evaluation last succeeded", registry=registry
        )
        self.last_success.set(math.nan)
        for code in range(4):
            self.runs.labels(EVALUATION, code)  # a rate needs the zero before the first one

    def finished(self, task: str, exit_code: int, seconds: float) -> None:
        self.in_progress.labels(task).set(0)
        self.runs.labels(task, exit_code).inc()
        self.duration.labels(task).observe(seconds)


class Server(ThreadingHTTPServer):
    """Answers GET /healthz with 200 or 503, GET /metrics and GET /, each request in a thread of its own."""

    def __init__(self, host: str, port: int, health: Health, page: Page | None) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), _handler(health, page))

    def server_bind(self) -> None:
        """Bind without the name lookup of HTTPServer, which hangs where DNS is dead."""
        TCPServer.server_bind(self)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Say on the log, not on standard error, that a client hung up."""
        _log.debug("a request of %s failed", client_address, exc_info=True)

    @property
    def url(self) -> str:
        """The address, with the port that was free when 0 was asked for."""
        host, port = self.server_address[:2]
        return f"http://[{host!s}]:{port}" if ":" in str(host) else f"http://{host!s}:{port}"


def listen(worker: Worker, health: Health, page: Page | None = None) -> Server:
    """A server that is bound but does not answer yet. Raises ConfigError when the address cannot be had."""
    try:
        return Server(worker.host, worker.port, health, page)
    except OSError as error:
        mend = "choose another port, or 0 for any that is free"
        raise ConfigError(f"worker: cannot listen on {worker.host}:{worker.port}: {error.strerror}; {mend}") from error


def _handler(health: Health, page: Page | None) -> type[MetricsHandler]:
    class Handler(MetricsHandler):
        registry = health.registry
        timeout = _CLIENT_TIMEOUT

        def do_GET(self) -> None:  # noqa: N802  (http.server's name for it)
            path = urlsplit(self.path).path
            if path == "/metrics":
                super().do_GET()
            elif path == "/healthz":
                healthy, told = health.answer(datetime.now(UTC))
                status = HTTPStatus.OK if healthy else HTTPStatus.SERVICE_UNAVAILABLE
                self._answer(Answer(status, "application/json", json.dumps(told).encode()))
            elif path == "/" and page is not None:
                self._answer(page.answer())
            else:
                self.send_error(404, explain="There are /, /healthz and /metrics")

        def _answer(self, answer: Answer) -> None:
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.kind)
            self.send_header("Content-Length", str(len(answer.body)))
            self.send_header("Cache-Control", "no-cache")
            self.end_headers()
            self.wfile.write(answer.body)

    return Handler
