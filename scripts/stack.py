#!/usr/bin/env python3
"""Everything on this machine: the Iris service, traffic, evaljob's worker, a Pushgateway and a Prometheus.

Starts them on free ports of the loopback, waits until PromQL answers with the quality of the service's predictions,
prints the answers and the addresses, and stops all of it on Ctrl-C.
"""

import argparse
import json
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".demo" / "stack"
HOST = "127.0.0.1"
# What monitoring/prometheus.yml scrapes, with the ports that are taken when they are free.
PORTS = {"pushgateway": 9091, "service": 8000, "worker": 9108, "prometheus": 9090}
_OVERALL = 'model="iris",slice="overall"'
QUESTIONS = {
    "p99 latency, seconds": "histogram_quantile(0.99, sum by (le) (rate(predict_latency_seconds_bucket[1m])))",
    "requests a second": "sum(rate(predict_latency_seconds_count[1m]))",
    "class shares": "sum by (class) (rate(predictions_total[1m])) / scalar(sum(rate(predictions_total[1m])))",
    "accuracy of 5m": f'evaljob_accuracy_ratio{{{_OVERALL},window="5m"}}',
    "  lower bound": f'evaljob_accuracy_ratio_lower{{{_OVERALL},window="5m"}}',
    "  upper bound": f'evaljob_accuracy_ratio_upper{{{_OVERALL},window="5m"}}',
    "  support": f'evaljob_support{{{_OVERALL},window="5m"}}',
    "offline accuracy": "max by (model_version) (offline_accuracy_ratio)",
    "label coverage, mature": f'evaljob_label_coverage_ratio{{{_OVERALL},window="15m_mature"}}',
    "revenue a prediction": f'evaljob_value_per_prediction{{{_OVERALL},window="5m",column="revenue"}}',
}
_PATIENCE = 300.0
_GRACE = 30.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Series = list[tuple[dict[str, str], float]]


class StackError(Exception):
    """A part did not start or has ended; the message carries what it said."""


class Stack:
    """The running parts. `stopping` is set when somebody wants the end."""

    def __init__(self, parts: ExitStack) -> None:
        self._parts, self._running = parts, dict[str, subprocess.Popen[bytes]]()
        self.stopping = threading.Event()

    def start(self, name: str, command: Sequence[str], environ: Mapping[str, str], ready: str | None = None) -> None:
        """Start a part and wait until it answers GET `ready`. Raises StackError."""
        self._running[name] = process = self._parts.enter_context(_process(name, command, environ))
        say(f"  {name:<12} pid {process.pid}")
        deadline = time.monotonic() + _PATIENCE
        while ready is not None and not _answers(ready):
            if time.monotonic() > deadline:
                raise StackError(f"{name} does not answer at {ready}:\n{_tail(name)}")
            self.pause(0.2)

    def pause(self, seconds: float) -> None:
        """Wait. Raises StackError when a part has ended, KeyboardInterrupt when somebody wants the end."""
        if self.stopping.wait(seconds):
            raise KeyboardInterrupt
        for name, process in self._running.items():
            if process.poll() is not None:
                raise StackError(f"{name} has ended with exit code {process.returncode}:\n{_tail(name)}")


@contextmanager
def _process(name: str, command: Sequence[str], environ: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    with (FOLDER / f"{name}.log").open("wb") as log:
        # A session of its own: Ctrl-C reaches this program alone, which then stops the parts in their order.
        process = subprocess.Popen(  # noqa: S603  (commands of this file)
            command, cwd=ROOT, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def run(stack: Stack, given: argparse.Namespace) -> None:
    """Start the parts, wait for the data, and stay until somebody wants the end."""
    began = time.monotonic()
    urls = {name: f"http://{HOST}:{port}" for name, port in free_ports().items()}
    say(f"Starting, with logs in {FOLDER.relative_to(ROOT)}:")
    start(stack, urls, given)
    say("Waiting for data:")
    answers = first_answers(stack, urls["prometheus"], began)
    show(answers, urls, began)
    while not given.once:
        stack.pause(0.5)


def start(stack: Stack, urls: Mapping[str, str], given: argparse.Namespace) -> None:
    """All parts, each when those it needs are there."""
    environ, ports = environment(urls, given), {name: url.removeprefix("http://") for name, url in urls.items()}
    (FOLDER / "prometheus.yml").write_text(yaml.safe_dump(prometheus_config(ports)))
    gateway = [_program("prometheus-pushgateway", "pushgateway"), "--persistence.file="]
    stack.start(
        "pushgateway",
        [*gateway, f"--web.listen-address={ports['pushgateway']}"],
        environ,
        f"{urls['pushgateway']}/-/ready",
    )
    prometheus = [_program("prometheus"), f"--config.file={FOLDER}/prometheus.yml"]
    place = [f"--storage.tsdb.path={FOLDER}/prometheus", f"--web.listen-address={ports['prometheus']}"]
    stack.start("prometheus", [*prometheus, *place], environ, f"{urls['prometheus']}/-/ready")
    port = ports["service"].rpartition(":")[2]
    service = [sys.executable, "-m", "examples.iris", "--port", port, "--workers", str(given.workers)]
    stack.start("service", service, environ, f"{urls['service']}/healthz")
    pace = ["--speed", str(given.speed), "--requests-per-hour", str(given.requests_per_hour)]
    traffic = [sys.executable, "-m", "examples.iris.traffic", "--url", urls["service"], *pace]
    stack.start("traffic", traffic, environ)
    worker = [sys.executable, "-m", "evaljob.cli", "worker", "--config", "examples/iris/config.yaml"]
    stack.start("worker", worker, environ, f"{urls['worker']}/healthz")


def environment(urls: Mapping[str, str], given: argparse.Namespace) -> dict[str, str]:
    """What the parts find in their environment: everything of this run lies in FOLDER."""
    ours = {
        "IRIS_DATABASE_URL": f"sqlite:///{FOLDER}/iris.db",
        "IRIS_SPOOL": f"{FOLDER}/spool",
        "EVALJOB_DATABASE_URL": f"sqlite:///{FOLDER}/iris.db",
        "EVALJOB_STATE_URL": f"sqlite:///{FOLDER}/evaljob-state.db",
        "EVALJOB_PUSHGATEWAY_URL": urls["pushgateway"],
        "EVALJOB_WORKER_PORT": urls["worker"].rpartition(":")[2],
        "EVALJOB_EVERY": given.every,
        "PYTHONUNBUFFERED": "1",
    }
    return os.environ | ours | dict.fromkeys(["no_proxy", "NO_PROXY"], HOST)


def prometheus_config(addresses: Mapping[str, str]) -> dict[str, object]:
    """monitoring/prometheus.yml with this run's addresses, and a pace that suits who is waiting."""
    folder = ROOT / "monitoring"
    text = (folder / "prometheus.yml").read_text()
    for name, port in PORTS.items():
        text = text.replace(f"{HOST}:{port}", addresses[name])
    config: dict[str, object] = yaml.safe_load(text)
    rules = [str(path) for path in sorted(folder.glob("rules/*.yml"))]
    return config | {"global": {"scrape_interval": "5s", "evaluation_interval": "5s"}, "rule_files": rules}


def first_answers(stack: Stack, prometheus: str, began: float) -> dict[str, Series]:
    """The first complete answer to each question. Raises StackError when one does not come."""
    answers: dict[str, Series] = {}
    while len(answers) < len(QUESTIONS):
        if time.monotonic() - began > _PATIENCE:
            raise StackError(f"no data after {_PATIENCE:g} s for: {', '.join(QUESTIONS.keys() - answers.keys())}")
        for question in [question for question in QUESTIONS if question not in answers]:
            found = ask(prometheus, QUESTIONS[question])
            if found and all(math.isfinite(value) for _, value in found):
                answers[question] = found
                say(f"  {time.monotonic() - began:4.0f} s  {question.strip()}")
        stack.pause(0.5)
    return {question: ask(prometheus, QUESTIONS[question]) for question in QUESTIONS}


def ask(prometheus: str, question: str) -> Series:
    """The series that a PromQL expression has now: labels and value of each."""
    query = urllib.parse.urlencode({"query": question})
    result = json.loads(_fetch(f"{prometheus}/api/v1/query?{query}"))["data"]["result"]
    return [(series["metric"], float(series["value"][1])) for series in result]


def show(answers: Mapping[str, Series], urls: Mapping[str, str], began: float) -> None:
    """The figures and the addresses."""
    say(f"Data flows, {time.monotonic() - began:.0f} s after the start:")
    for question, series in answers.items():
        told = [(labels.get("class") or labels.get("model_version", ""), value) for labels, value in series]
        say(f"  {question:<24}" + "  ".join(f"{name} {value:.4g}".strip() for name, value in sorted(told)))
    pages = {"prometheus": "/graph", "pushgateway": "", "service": "/docs", "worker": "/healthz"}
    for name, page in pages.items():
        say(f"  {name:<12} {urls[name]}{page}")
    say("Ctrl-C stops everything.")


def free_ports() -> dict[str, int]:
    """A free port for each part: its usual one, or else any."""
    with ExitStack() as held:
        return {name: held.enter_context(_listener(usual)).getsockname()[1] for name, usual in PORTS.items()}


def _listener(usual: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, usual))
    except OSError:
        listener.bind((HOST, 0))
    return listener


def _program(*names: str) -> str:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    if found is None:
        raise StackError(f"{names[0]} is not installed: `make servers` installs it")
    return found


def _fetch(url: str) -> str:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(url, timeout=10) as answer:
        return str(answer.read().decode())


def _answers(url: str) -> bool:
    try:
        _fetch(url)
    except OSError:
        return False
    return True


def _tail(name: str) -> str:
    return "\n".join((FOLDER / f"{name}.log").read_text(errors="replace").splitlines()[-20:])


def say(text: str) -> None:
    """Tell the user, at once."""
    print(text, flush=True)  # noqa: T201


def main() -> int:
    """0: stopped by whoever started it; 1: a part failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop as soon as data flows")
    parser.add_argument("--every", default="15s", help="between two evaluations (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes of the service (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=3600, help="of the traffic's time (default: %(default)s)")
    parser.add_argument("--requests-per-hour", type=float, default=20, help="of that time (default: %(default)s)")
    given = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with ExitStack() as parts:
        stack = Stack(parts)
        for number in _SIGNALS:
            signal.signal(number, lambda *_: stack.stopping.set())
        try:
            run(stack, given)
        except KeyboardInterrupt:
            say("\nStopping.")
        except StackError as error:
            say(f"Error: {error}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
