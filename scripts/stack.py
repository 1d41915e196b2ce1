"""Everything on this machine: the Iris service, traffic, evaljob's worker, a Pushgateway and a Prometheus.

Starts them on free ports of the loopback, waits until PromQL answers with the quality of the service's predictions,
prints the answers and the addresses, and stops all of it on Ctrl-C.
"""

import argparse
import fcntl
import json
import math
import os
import shutil
import signal
import socket
import sys
import time
import urllib.parse
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import yaml

from scripts.parts import PATIENCE, Part, PartError, Running, StoppedError, fetch

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".demo" / "stack"
HOST = "127.0.0.1"
# What monitoring/prometheus.yml scrapes, and Prometheus itself: the ports that are taken when they are free.
PORTS = {"pushgateway": 9091, "service": 8000, "worker": 9108, "prometheus": 9090}
_TOTAL = 'model="iris",slice="overall",window="5m"'
QUESTIONS = {
    "p99 latency, seconds": "histogram_quantile(0.99, sum by (le) (rate(predict_latency_seconds_bucket[1m])))",
    "requests a second": "sum(rate(predict_latency_seconds_count[1m]))",
    "class shares": "sum by (class) (rate(predictions_total[1m])) / scalar(sum(rate(predictions_total[1m])))",
    "accuracy of 5m": f"evaljob_accuracy_ratio{{{_TOTAL}}}",
    "  lower bound": f"evaljob_accuracy_ratio_lower{{{_TOTAL}}}",
    "  upper bound": f"evaljob_accuracy_ratio_upper{{{_TOTAL}}}",
    "  support": f"evaljob_support{{{_TOTAL}}}",
    "  offline": "max by (model_version) (offline_accuracy_ratio)",
    "label coverage, mature": 'evaljob_label_coverage_ratio{model="iris",slice="overall",window="15m_mature"}',
    "revenue a prediction": f'evaljob_value_per_prediction{{{_TOTAL},column="revenue"}}',
}
_PAGES = {"prometheus": "/graph", "pushgateway": "", "service": "/docs", "worker": "/healthz"}

Series = list[tuple[dict[str, str], float]]


def run(running: Running, folder: Path, urls: Mapping[str, str], given: argparse.Namespace) -> None:
    """Start the parts, wait for the data, and stay until somebody wants the end."""
    began = time.monotonic()
    (folder / "prometheus.yml").write_text(yaml.safe_dump(prometheus_config(urls)))
    say(f"Starting, with logs in {folder}:")
    for part in parts(folder, urls, given):
        say(f"  {part.name:<12} pid {running.start(part)}")
    say("Waiting for data:")
    wait_for_answers(running, urls["prometheus"], began)
    say(f"Data flows, {time.monotonic() - began:.0f} s after the start:")
    show(urls)
    while not given.once:
        running.pause(0.5)


def parts(folder: Path, urls: Mapping[str, str], given: argparse.Namespace) -> Iterator[Part]:
    """All parts, each after those it needs."""
    address = {name: url.removeprefix("http://") for name, url in urls.items()}
    gateway = [_program("prometheus-pushgateway", "pushgateway"), "--persistence.file="]
    listen = f"--web.listen-address={address['pushgateway']}"
    yield Part("pushgateway", [*gateway, listen], f"{urls['pushgateway']}/-/ready")
    prometheus = [_program("prometheus"), f"--config.file={folder}/prometheus.yml"]
    place = [f"--storage.tsdb.path={folder}/prometheus", f"--web.listen-address={address['prometheus']}"]
    yield Part("prometheus", [*prometheus, *place], f"{urls['prometheus']}/-/ready")
    service = [sys.executable, "-m", "examples.iris", "--port", _port(urls["service"]), "--workers", str(given.workers)]
    yield Part("service", service, f"{urls['service']}/healthz")
    traffic = [sys.executable, "-m", "examples.iris.traffic", "--url", urls["service"]]
    pace = ["--speed", str(given.speed), "--requests-per-hour", str(given.requests_per_hour)]
    yield Part("traffic", [*traffic, *pace])
    worker = [sys.executable, "-m", "evaljob.cli", "worker", "--config", "examples/iris/config.yaml"]
    yield Part("worker", worker, f"{urls['worker']}/healthz")


def environment(folder: Path, urls: Mapping[str, str], every: str) -> dict[str, str]:
    """What the parts find in their environment: everything of this run lies in `folder`."""
    ours = {
        "IRIS_DATABASE_URL": f"sqlite:///{folder}/iris.db",
        "IRIS_SPOOL": f"{folder}/spool",
        "EVALJOB_DATABASE_URL": f"sqlite:///{folder}/iris.db",
        "EVALJOB_STATE_URL": f"sqlite:///{folder}/evaljob-state.db",
        "EVALJOB_PUSHGATEWAY_URL": urls["pushgateway"],
        "EVALJOB_WORKER_PORT": _port(urls["worker"]),
        "EVALJOB_EVERY": every,
        "PYTHONUNBUFFERED": "1",
    }
    return os.environ | ours | dict.fromkeys(["no_proxy", "NO_PROXY"], HOST)


def prometheus_config(urls: Mapping[str, str]) -> dict[str, object]:
    """monitoring/prometheus.yml with this run's addresses, and a pace that suits who is waiting."""
    monitoring = ROOT / "monitoring"
    text = (monitoring / "prometheus.yml").read_text()
    for name, port in PORTS.items():
        text = text.replace(f"{HOST}:{port}", urls[name].removeprefix("http://"))
    config: dict[str, object] = yaml.safe_load(text)
    rules = [str(path) for path in sorted(monitoring.glob("rules/*.yml"))]
    return config | {"global": {"scrape_interval": "5s", "evaluation_interval": "5s"}, "rule_files": rules}


def wait_for_answers(running: Running, prometheus: str, began: float) -> None:
    """Wait until every question has a complete answer. Raises PartError when one does not get it."""
    open_ = dict(QUESTIONS)
    while open_:
        for name, question in list(open_.items()):
            found = ask(prometheus, question)
            if found and all(math.isfinite(value) for _, value in found):
                del open_[name]
                say(f"  {time.monotonic() - began:4.0f} s  {name.strip()}")
        if time.monotonic() - began > 2 * PATIENCE:
            raise PartError(f"Prometheus has no data for: {', '.join(open_)}")
        running.pause(0.5)


def ask(prometheus: str, question: str) -> Series:
    """The series that a PromQL expression has now: labels and value of each. None while Prometheus does not answer."""
    query = urllib.parse.urlencode({"query": question})
    with suppress(OSError):
        result = json.loads(fetch(f"{prometheus}/api/v1/query?{query}"))["data"]["result"]
        return [(series["metric"], float(series["value"][1])) for series in result]
    return []


def show(urls: Mapping[str, str]) -> None:
    """The figures and the addresses."""
    for name, question in QUESTIONS.items():
        series = [(_told(labels), value) for labels, value in ask(urls["prometheus"], question)]
        say(f"  {name:<24}" + "   ".join(f"{label} {value:.4g}".strip() for label, value in sorted(series)))
    for name, page in _PAGES.items():
        say(f"  {name:<24}{urls[name]}{page}")
    say("Ctrl-C stops everything.")


def _told(labels: Mapping[str, str]) -> str:
    return labels.get("class") or labels.get("model_version", "")


def free_ports() -> dict[str, int]:
    """A free port for each part: its usual one, or else any."""
    with ExitStack() as held:  # all at once, so that no two parts get the same
        return {name: held.enter_context(_listener(usual)).getsockname()[1] for name, usual in PORTS.items()}


def _listener(usual: int) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, usual))
    except OSError:
        listener.bind((HOST, 0))
    return listener


def _port(url: str) -> str:
    return url.rpartition(":")[2]


def _program(*names: str) -> str:
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])
    found = next(filter(None, (shutil.which(name, path=path) for name in names)), None)
    if found is None:
        raise PartError(f"{names[0]} is not installed: `make servers` installs it")
    return found


@contextmanager
def emptied(given: Path | None) -> Iterator[Path]:
    """The folder of this run, empty: FOLDER as it is emptied, another one must be new. Raises PartError."""
    folder = (given or FOLDER).resolve()
    folder.mkdir(parents=True, exist_ok=given is None)
    with folder.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise PartError(f"another stack runs in {folder}: stop it, or take another --folder") from error
        shutil.rmtree(folder)
        folder.mkdir()
        yield folder


def say(text: str) -> None:
    """Tell the user, at once."""
    print(text, flush=True)  # noqa: T201


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(prog="python -m scripts.stack", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop as soon as data flows")
    parser.add_argument("--every", default="15s", help="between two evaluations (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes of the service (default: %(default)s)")
    parser.add_argument("--speed", type=float, default=3600, help="of the traffic's time (default: %(default)s)")
    parser.add_argument("--requests-per-hour", type=float, default=20, help="of that time (default: %(default)s)")
    parser.add_argument("--folder", type=Path, help="a new one for everything the run writes (default: .demo/stack)")
    return parser.parse_args()


def main() -> int:
    """0: stopped by whoever started it; 1: a part failed."""
    given, urls = arguments(), {name: f"http://{HOST}:{port}" for name, port in free_ports().items()}
    try:
        with emptied(given.folder) as folder, Running(folder, ROOT, environment(folder, urls, given.every)) as running:
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, lambda *_: running.stopping.set())
            run(running, folder, urls, given)
    except StoppedError:
        say("\nAll parts are stopped.")
    except (PartError, OSError) as error:
        say(f"Error: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
