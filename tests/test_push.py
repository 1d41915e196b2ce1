"""Pushing to a real Pushgateway: over good networks and bad ones, and with every way to say who one is."""

import json
import logging
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prometheus_client import CollectorRegistry, Gauge

from evaljob import gauges, push
from evaljob.config import Pushgateway
from evaljob.errors import ConfigError, PushError
from evaljob.transport import Endpoint, exchange
from tests import servers
from tests.faulty_proxy import Mode, faulty_proxy

PASSWORD = "s3cret/pass word"  # noqa: S105
PASSWORD_HASH = "$2b$04$nIarOrMXEicmKF3Gp0ajn.qXy/KJARNEabvWBJhOWvEpL3jCgqQq6"  # noqa: S105
WRONG = "wr0ng"
TOKEN = "t0ken-of-nobody"  # noqa: S105
NAMES = ["fraud", "a/b", ".", "..", "é", "a b", "two\nlines", '"quoted\\"', "x" * 10_000, "%2F..", "' OR 1=1 --",
         "fraud/kind/status", "a@base64", "+", "🙂", "\0"]  # fmt: skip
SUCCESS = gauges.Status(
    success=True,
    completed=datetime.fromtimestamp(1000, UTC),
    durations={"join": 2.0, "push": 1.0},
    rows_read=40,
    full_recounts=1,
    state_drift_cells=0,
)
FAILURE = gauges.Status(success=False, completed=datetime.fromtimestamp(2000, UTC), durations={"join": 3.0})


def gateway(url: str, **settings: Any) -> Pushgateway:
    """Settings with a deadline of a few seconds."""
    return Pushgateway(**{"url": url, "timeout": timedelta(seconds=5)} | settings)


def registry(**values: float) -> CollectorRegistry:
    """One gauge per value, all of series without labels."""
    made = CollectorRegistry()
    for name, value in values.items():
        Gauge(f"evaljob_{name}", "A gauge.", registry=made).set(value)
    return made


def pushed(url: str) -> dict[tuple[str, ...], dict[str, list[float]]]:
    """What the gateway holds: values by metric, by the values of the group's labels, without the gateway's own."""
    groups = json.loads(servers.fetch(f"{url}/api/v1/metrics"))["data"]
    return {tuple(group["labels"][k] for k in sorted(group["labels"])): _values(group) for group in groups}


def _values(group: dict[str, Any]) -> dict[str, list[float]]:
    own = {name: family for name, family in group.items() if name.startswith("evaljob_")}
    return {name: [float(metric["value"]) for metric in family["metrics"]] for name, family in own.items()}


@contextmanager
def scripted(*statuses: int, body: str = "", **headers: str) -> Iterator[tuple[str, list[BaseHTTPRequestHandler]]]:
    """A web server that answers with these statuses in turn, the last one for ever: its URL and the requests it got."""
    requests: list[BaseHTTPRequestHandler] = []

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            requests.append(self)
            self.send_response(statuses[min(len(requests), len(statuses)) - 1])
            for name, value in {"Content_Length": str(len(body)), **headers}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body.encode())

        do_PUT = do_POST = do_DELETE = do_GET = handle_any  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()


def failure(settings: Pushgateway) -> str:
    """The message of a push that fails, as it must, within the timeout."""
    started = time.monotonic()
    with pytest.raises(PushError) as caught:
        push.push_results(settings, "fraud", registry(support=1))
    assert time.monotonic() - started < settings.timeout.total_seconds() + 0.9
    assert caught.value.exit_code == 3
    return str(caught.value)


# What is pushed


def test_results_replace_the_group_of_their_model(pushgateway: str) -> None:
    """What vanished from the results vanishes from the gateway; another model and the status stay."""
    settings = gateway(pushgateway)
    push.push_status(settings, "fraud", FAILURE)
    push.push_results(settings, "churn", registry(support=7))
    push.push_results(settings, "fraud", registry(support=1, predictions=2))
    push.push_results(settings, "fraud", registry(support=3))
    held = pushed(pushgateway)
    assert held["evaljob", "fraud"] == {"evaljob_support": [3]}
    assert held["evaljob", "churn"] == {"evaljob_support": [7]}
    assert held["evaljob", "status", "fraud"]["evaljob_last_run_success"] == [0]


def test_a_failed_run_erases_nothing(pushgateway: str) -> None:
    """After a success at second 1000 and a failure at 2000 the last success is 1000, the last completion 2000."""
    settings = gateway(pushgateway)
    push.push_status(settings, "fraud", SUCCESS)
    push.push_status(settings, "fraud", FAILURE)
    status = pushed(pushgateway)["evaljob", "status", "fraud"]
    assert status["evaljob_last_success_timestamp_seconds"] == [1000]
    assert status["evaljob_last_completion_timestamp_seconds"] == [2000]
    assert status["evaljob_last_run_success"] == [0]
    assert status["evaljob_rows_read"] == [40]
    assert status["evaljob_run_duration_seconds"] == [3]  # only the stage that ran, none of the last run's


def test_a_success_replaces_the_whole_status(pushgateway: str) -> None:
    """When a run knows everything, metrics that another version of evaljob left behind vanish."""
    servers.fetch(
        f"{pushgateway}/metrics/job/evaljob/model/fraud/kind/status", method="PUT", body=b"evaljob_of_old 1\n"
    )
    push.push_status(gateway(pushgateway), "fraud", SUCCESS)
    assert "evaljob_of_old" not in pushed(pushgateway)["evaljob", "status", "fraud"]


@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_awkward_model_names(pushgateway: str, name: str) -> None:
    """Each name is its own group, found again as it was given, and its deletion spares the neighbour."""
    settings = gateway(pushgateway)
    push.push_results(settings, "neighbour", registry(support=1))
    push.push_results(settings, name, registry(support=2))
    push.push_status(settings, name, SUCCESS)
    assert push.groups(settings) == {"neighbour", name}
    assert pushed(pushgateway)["evaljob", name] == {"evaljob_support": [2]}
    push.delete_model(settings, name)  # the gateway accepts a deletion, and carries it out a moment later
    servers.wait_until(lambda: list(pushed(pushgateway)) == [("evaljob", "neighbour")], "the deletion", timeout=5)


def test_an_awkward_job_name(pushgateway: str) -> None:
    """The job is part of the group's path as the model is."""
    settings = gateway(pushgateway, job="team a/evaljob")
    push.push_results(settings, "fraud", registry(support=2))
    assert list(pushed(pushgateway)) == [("team a/evaljob", "fraud")]
    assert push.groups(settings) == {"fraud"}


def test_groups_of_others_are_not_ours(pushgateway: str) -> None:
    """Another job's models, and groups with other labels, are not for this job to delete."""
    push.push_results(gateway(pushgateway, job="other"), "theirs", registry(support=1))
    servers.fetch(f"{pushgateway}/metrics/job/evaljob", method="PUT", body=b"x 1\n")
    servers.fetch(f"{pushgateway}/metrics/job/evaljob/model/m/instance/i", method="PUT", body=b"x 1\n")
    push.push_status(gateway(pushgateway), "ours", FAILURE)
    assert push.groups(gateway(pushgateway)) == {"ours"}


def test_deleting_what_is_not_there_is_no_error(pushgateway: str) -> None:
    """A model that never published has nothing to delete."""
    push.delete_model(gateway(pushgateway), "never")


def test_ten_thousand_series_arrive_within_a_second(pushgateway: str) -> None:
    """From the frame of results to the gateway's confirmation. In time of the processor: others may run beside it."""
    series = {"model": "fraud", "model_version": "all", "window": "1h", "slice": "user", "metric": "support"}
    results = pd.DataFrame([series | {"slice_value": str(i), "value": float(i)} for i in range(10_000)])
    instants = dict.fromkeys(["as_of", "window_start", "window_end"], pd.Timestamp("2026-03-01", tz="UTC"))
    results = results.assign(lower=float("nan"), upper=float("nan"), **instants)
    started = time.process_time()
    push.push_results(gateway(pushgateway, timeout=timedelta(seconds=60)), "fraud", gauges.results_registry(results))
    assert time.process_time() - started < 1.0
    assert sum(pushed(pushgateway)["evaljob", "fraud"]["evaljob_support"]) == 10_000 * 9_999 / 2


# What the gateway refuses


def test_a_400_is_final_and_says_why(pushgateway: str) -> None:
    """A name that is a counter elsewhere: one attempt, the gateway's own words, and the old results stay."""
    push.push_results(gateway(pushgateway), "fraud", registry(support=1))
    servers.fetch(f"{pushgateway}/metrics/job/x", method="PUT", body=b"# TYPE evaljob_other counter\nevaljob_other 1\n")
    with faulty_proxy(pushgateway) as proxy, pytest.raises(PushError, match=r"(?s)400 Bad Request.*evaljob_other"):
        push.push_results(gateway(proxy.url), "fraud", registry(support=2, other=3))
    assert proxy.connections == 1
    assert pushed(pushgateway)["evaljob", "fraud"] == {"evaljob_support": [1]}


def test_a_server_error_is_tried_again() -> None:
    """Two times 503, then 200: the third attempt is the last."""
    with scripted(503, 503, 200) as (url, requests):
        push.push_results(gateway(url, timeout=timedelta(seconds=20)), "fraud", registry(support=1))
    assert [request.command for request in requests] == ["PUT"] * 3


def test_a_server_that_only_errs_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    """A bounded number of attempts, each logged, and the last answer in the message."""
    with scripted(500, body="out of cheese") as (url, requests), caplog.at_level(logging.WARNING):
        message = failure(gateway(url, timeout=timedelta(seconds=30)))
    assert len(requests) == push.ATTEMPTS
    assert "500 Internal Server Error: out of cheese (5 attempts in" in message
    assert len(caplog.records) == push.ATTEMPTS - 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_refused(pushgateway: str, status: int) -> None:
    """Even to a true gateway: nothing is pushed there, nothing is called a success, the message names the target."""
    target = f"{pushgateway}/metrics/job/evaljob/model/fraud"
    with scripted(status, Location=target) as (url, requests):
        message = failure(gateway(url))
    assert f"{status} " in message
    assert f"redirects are not followed; set pushgateway.url to {target}" in message
    assert len(requests) == 1
    assert pushed(pushgateway) == {}


def test_a_page_is_no_confirmation() -> None:
    """A login page with status 200 comes from something between, not from a Pushgateway."""
    with scripted(200, body="<html>Sign in", Content_Type="text/html; charset=utf-8") as (url, _):
        assert "answered 200 OK: <html>Sign in" in failure(gateway(url))


def test_a_wrong_path_says_so(pushgateway: str) -> None:
    """A gateway that is not under this prefix answers 404."""
    assert "404 Not Found: 404 page not found; no Pushgateway at this path" in failure(gateway(f"{pushgateway}/wrong"))


def test_an_answer_that_is_no_list_of_groups() -> None:
    """Some other server under the URL is said to be one."""
    with scripted(200, body="[]") as (url, _), pytest.raises(PushError, match="is no Pushgateway"):
        push.groups(gateway(url))


# What networks do


@pytest.mark.parametrize("mode", ["reset", "blackhole", "drip", "cut"])
def test_a_fault_of_the_network_ends_in_time(pushgateway: str, mode: Mode) -> None:
    """In the timeout of one second, retries included: no false success, and the next push arrives."""
    with faulty_proxy(pushgateway) as proxy:
        settings = gateway(proxy.url, timeout=timedelta(seconds=1))
        proxy.mode, threads = mode, threading.active_count()
        message = failure(settings)
        servers.wait_until(lambda: threading.active_count() == threads, "the end of the given-up request", timeout=2)
        proxy.mode = "pass"
        push.push_results(settings, "fraud", registry(support=2))
    assert message.startswith(f"{proxy.url}: PUT failed: ")
    assert proxy.connections <= push.ATTEMPTS + 1
    assert pushed(pushgateway)["evaljob", "fraud"] == {"evaljob_support": [2]}


def test_a_fault_that_passes_is_survived(pushgateway: str) -> None:
    """The network comes back while a push is being tried: the caller notices nothing."""
    with faulty_proxy(pushgateway) as proxy:
        proxy.mode = "reset"
        heal = threading.Timer(0.2, setattr, [proxy, "mode", "pass"])
        heal.start()
        push.push_results(gateway(proxy.url, timeout=timedelta(seconds=30)), "fraud", registry(support=2))
        heal.join()
    assert proxy.connections > 1
    assert pushed(pushgateway)["evaljob", "fraud"] == {"evaljob_support": [2]}


def test_nobody_listens() -> None:
    """Connections are refused: tried again, then given up."""
    message = failure(gateway(f"http://127.0.0.1:{servers.free_port()}", timeout=timedelta(seconds=1)))
    assert "Connection refused" in message
    assert "attempts in" in message


@pytest.mark.parametrize("host", ["gateway.invalid", "a..b", "x" * 64])
def test_a_name_that_leads_nowhere(host: str) -> None:
    """DNS that does not know the name, and names that cannot be one."""
    assert failure(gateway(f"http://{host}:9091", timeout=timedelta(seconds=2))).startswith(f"http://{host}:9091: PUT")


def test_a_name_lookup_that_hangs(tmp_path: Path) -> None:
    """The resolver asks a name server that swallows every question: the deadline holds, whatever the resolver does."""
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.77\noptions timeout:20 attempts:1\n")
    bind = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf"
    alone = ["unshare", "--mount", "sh", "-c"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as swallowing:
        try:
            swallowing.bind(("127.0.0.77", 53))
            subprocess.run([*alone, bind], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("this account may not take the place of a name server")
        ended = subprocess.run(
            [*alone, f'{bind} && exec "$0" -c "$1"', sys.executable, _PUSH_TO_A_NAME],
            cwd=Path(__file__).parents[1], text=True, capture_output=True, check=True, timeout=60,
        )  # fmt: skip
    seconds, message = ended.stdout.split(" ", 1)
    assert 1 <= float(seconds) < 2.5
    assert "http://gateway.example:9091: PUT failed: no complete answer within 1 s" in message
    assert ended.stderr == ""


_PUSH_TO_A_NAME = """
import time
from datetime import timedelta
from prometheus_client import CollectorRegistry
from evaljob import push
from evaljob.config import Pushgateway

settings = Pushgateway(url="http://gateway.example:9091", timeout=timedelta(seconds=1))
started = time.monotonic()
try:
    push.push_results(settings, "fraud", CollectorRegistry())
except push.PushError as error:
    print(time.monotonic() - started, error)
"""


def test_an_answer_that_breaks_off() -> None:
    """After its headers, in the middle of its body: half a list of groups is none."""
    broken = r"GET failed: IncompleteRead\(10 bytes read, 10 more expected\)"
    with (
        scripted(200, body="[" * 10, Content_Length="20") as (url, requests),
        pytest.raises(PushError, match=broken),
    ):
        push.groups(gateway(url, timeout=timedelta(seconds=1)))
    assert len(requests) > 1


def test_a_reset_in_the_middle_of_an_answer_leaves_nothing_open() -> None:
    """A worker lives for months: as many files are open afterwards as before, although the error is still held."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=_reset_after_headers, args=[listener])
        server.start()
        endpoint = Endpoint("127.0.0.1", listener.getsockname()[1], "", None, {})
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(ConnectionResetError) as caught:
            exchange(endpoint, "GET", "/", b"", 5)
        server.join()
        assert len(list(Path("/proc/self/fd").iterdir())) == before, caught


def _reset_after_headers(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Length: 20\r\n\r\n[")
        time.sleep(0.2)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def test_what_was_given_up_does_not_arrive_later() -> None:
    """A server that stopped reading wakes after the deadline: it finds a broken request, not one to carry out."""
    big = CollectorRegistry()
    Gauge("evaljob_support", "x" * 30_000_000, registry=big)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with pytest.raises(PushError, match=r"no complete answer within|timed out"):
            push.push_results(gateway(url, timeout=timedelta(seconds=1)), "fraud", big)
        connection, _ = listener.accept()
        with connection:
            received = sum(len(data) for data in iter(lambda: connection.recv(1 << 20), b""))
    assert received < 30_000_000


def test_a_budget_is_for_all_pushes_of_a_run() -> None:
    """Three pushes into a blackhole take one timeout together, not three."""
    with faulty_proxy("http://127.0.0.1:1") as proxy:
        proxy.mode = "blackhole"
        settings = gateway(proxy.url, timeout=timedelta(seconds=1))
        budget = push.Budget(settings)
        started = time.monotonic()
        for model in ("a", "b", "c"):
            with pytest.raises(PushError):
                push.push_results(settings, model, registry(support=1), budget)
        assert time.monotonic() - started < 1 + 0.9
    assert budget.left <= 0


def test_a_proxy_in_the_environment_is_not_asked(pushgateway: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that says yes to everything sees no push; the gateway gets it."""
    with scripted(200) as (proxy, requests):
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name)
        push.push_results(gateway(pushgateway), "fraud", registry(support=2))
    assert requests == []
    monkeypatch.undo()
    assert pushed(pushgateway)["evaljob", "fraud"] == {"evaljob_support": [2]}


# Who one is


class Authority:
    """A certificate authority in a directory, made with openssl."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.ca = folder, folder / "ca.pem"
        self._openssl("req", "-x509", *_NEW_KEY, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=test authority")

    def certificate(self, name: str, days: int = 2) -> tuple[Path, Path]:
        """The certificate of 127.0.0.1 and its key; with negative days it has expired."""
        names = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
        self._openssl("req", *_NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.csr", *names)
        signed_by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-copy_extensions", "copy", "-days", str(days)]
        self._openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed_by)
        return self.folder / f"{name}.pem", self.folder / f"{name}.key"

    def _openssl(self, *arguments: str) -> None:
        subprocess.run([servers.program("openssl"), *arguments], cwd=self.folder, check=True, capture_output=True)


_NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that the gateways of these tests trust."""
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def guarded(folder: Path, *options: str, **web_config: Any) -> Iterator[str]:
    """A Pushgateway with this web configuration (basic_auth_users, tls_server_config). Yields 127.0.0.1:PORT."""
    (folder / "web.yml").write_text(json.dumps(web_config))
    address = f"127.0.0.1:{servers.free_port()}"
    listen = [f"--web.listen-address={address}", "--persistence.file=", f"--web.config.file={folder}/web.yml"]
    command = [servers.program("prometheus-pushgateway", "pushgateway"), *listen, *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        servers.wait_until(lambda: _listens(address), "the guarded Pushgateway")
        yield address
    finally:
        process.terminate()
        process.wait()


def _listens(address: str) -> bool:
    host, port = address.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def test_a_password(tmp_path: Path) -> None:
    """In the settings or in a file, and behind a path prefix: each is let in."""
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    users = {"évaljob": PASSWORD_HASH}
    with guarded(tmp_path, "--web.route-prefix=/team/gateway", basic_auth_users=users) as address:
        url = f"http://{address}/team/gateway/"
        for settings in (
            gateway(url, username="évaljob", password=PASSWORD),
            gateway(url, username="évaljob", password_file=tmp_path / "password"),
        ):
            push.push_results(settings, "fraud", registry(support=1))
            assert push.groups(settings) == {"fraud"}
            push.delete_model(settings, "fraud")


def test_a_wrong_password_is_final_and_stays_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """401, one attempt, what to check; neither the password nor its base64 is in the message, its causes or the log."""
    with (
        guarded(tmp_path, basic_auth_users={"evaljob": PASSWORD_HASH}) as address,
        faulty_proxy(f"http://{address}") as proxy,
    ):
        with (
            caplog.at_level(logging.DEBUG),
            pytest.raises(PushError, match=r"401 Unauthorized.*check username") as caught,
        ):
            push.push_results(gateway(proxy.url, username="evaljob", password=WRONG), "fraud", registry(support=1))
        assert proxy.connections == 1
    assert_secret(caught, caplog, WRONG, "ZXZhbGpvYjp3cjBuZw")


def test_a_bearer_token(tmp_path: Path) -> None:
    """From the settings, or from a file that is read again at each push, as mounted tokens are renewed."""
    (tmp_path / "token").write_text("first\n")
    with scripted(200) as (url, requests):
        from_file = gateway(url, bearer_token_file=tmp_path / "token")
        push.push_results(from_file, "fraud", registry(support=1))
        (tmp_path / "token").write_text("second\n")
        push.push_results(from_file, "fraud", registry(support=1))
        push.push_results(gateway(url, bearer_token=TOKEN), "fraud", registry(support=1))
    sent = [request.headers["Authorization"] for request in requests]
    assert sent == ["Bearer first", "Bearer second", f"Bearer {TOKEN}"]


def test_an_echoed_token_stays_secret(caplog: pytest.LogCaptureFixture) -> None:
    """A gateway that repeats the header in its error page does not get it into the message."""
    with (
        scripted(403, body=f"refused: Bearer {TOKEN}") as (url, _),
        caplog.at_level(logging.DEBUG),
        pytest.raises(PushError, match=r"403 Forbidden: refused: Bearer \*\*\*; check") as caught,
    ):
        push.push_results(gateway(url, bearer_token=TOKEN), "fraud", registry(support=1))
    assert_secret(caught, caplog, TOKEN)


def assert_secret(caught: pytest.ExceptionInfo[BaseException], caplog: pytest.LogCaptureFixture, *secrets: str) -> None:
    """No secret in the message, in its causes or in the log."""
    shown = [caplog.text]
    error: BaseException | None = caught.value
    while error is not None:
        shown += [str(error), repr(error), str(vars(error))]
        error = error.__cause__ or error.__context__
    assert not [secret for secret in secrets for text in shown if secret in text]


def test_a_secret_file_that_is_gone(tmp_path: Path) -> None:
    """It was there when the worker started: the message names the key, the file and the reason."""
    (tmp_path / "token").write_text("first")
    settings = gateway("http://127.0.0.1:1", bearer_token_file=tmp_path / "token")
    (tmp_path / "token").unlink()
    assert failure(settings).startswith(f"pushgateway.bearer_token_file: {tmp_path}/token: ")


def test_a_token_that_no_header_can_carry(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Renewed with nonsense: refused, and no part of it shown."""
    (tmp_path / "token").write_text("first")
    settings = gateway("http://127.0.0.1:1", bearer_token_file=tmp_path / "token")
    for token in ("to€ken", "to\nX-Header: 1", ""):
        (tmp_path / "token").write_text(token)
        with pytest.raises(PushError, match=r"pushgateway\.bearer_token_file: .*token: ") as caught:
            push.push_results(settings, "fraud", registry(support=1))
        assert_secret(caught, caplog, "€", "X-Header")


def test_a_private_authority_with_a_password(tmp_path: Path, authority: Authority) -> None:
    """HTTPS with a certificate that only `ca_file` vouches for, and basic authentication over it."""
    certificate, key = authority.certificate("server")
    tls = {"cert_file": str(certificate), "key_file": str(key)}
    with guarded(tmp_path, tls_server_config=tls, basic_auth_users={"evaljob": PASSWORD_HASH}) as address:
        known = gateway(f"https://{address}", ca_file=authority.ca, username="evaljob", password=PASSWORD)
        push.push_results(known, "fraud", registry(support=1))
        assert push.groups(known) == {"fraud"}
        assert "certificate verify failed" in failure(gateway(f"https://{address}"))
        assert "400 Bad Request: Client sent an HTTP request to an HTTPS" in failure(gateway(f"http://{address}"))
        by_name = gateway(f"https://localhost:{address.split(':')[1]}", ca_file=authority.ca)
        assert "not valid for 'localhost'" in failure(by_name)


def test_an_expired_certificate_is_refused_at_once(tmp_path: Path, authority: Authority) -> None:
    """One attempt: it will not be younger the next time."""
    certificate, key = authority.certificate("expired", days=-1)
    tls = {"cert_file": str(certificate), "key_file": str(key)}
    with guarded(tmp_path, tls_server_config=tls) as address, faulty_proxy(f"https://{address}") as proxy:
        assert "certificate has expired" in failure(gateway(proxy.url, ca_file=authority.ca))
        assert proxy.connections == 1


def test_a_client_certificate(tmp_path: Path, authority: Authority) -> None:
    """A gateway that lets in only who shows one: with it the push arrives, with a stranger's it does not."""
    server, server_key = authority.certificate("server")
    client, client_key = authority.certificate("client")
    (tmp_path / "strangers").mkdir()
    stranger, stranger_key = Authority(tmp_path / "strangers").certificate("stranger")
    tls = {"cert_file": str(server), "key_file": str(server_key), "client_ca_file": str(authority.ca)}
    with guarded(tmp_path, tls_server_config=tls | {"client_auth_type": "RequireAndVerifyClientCert"}) as address:
        anonymous = gateway(f"https://{address}", ca_file=authority.ca, timeout=timedelta(seconds=2))
        push.push_results(with_files(anonymous, client, client_key), "fraud", registry(support=1))
        failure(anonymous)
        failure(with_files(anonymous, stranger, stranger_key))
        assert push.groups(with_files(anonymous, client, client_key)) == {"fraud"}


def with_files(settings: Pushgateway, certificate: Path, key: Path) -> Pushgateway:
    """The settings with a client certificate."""
    return gateway(
        str(settings.url), ca_file=settings.ca_file, timeout=settings.timeout, cert_file=certificate, key_file=key
    )


def test_certificates_that_cannot_be_used(tmp_path: Path, authority: Authority) -> None:
    """A file that is no certificate, or a key that is encrypted (which must not wait at a terminal), is named."""
    certificate, key = authority.certificate("client")
    (tmp_path / "nonsense.pem").write_text("nonsense")
    encrypt = ["ec", "-in", str(key), "-out", str(tmp_path / "encrypted.key"), "-aes256", "-passout", "pass:abcd"]
    subprocess.run([servers.program("openssl"), *encrypt], check=True, capture_output=True)
    url = "https://127.0.0.1:1"
    for wrong in (
        gateway(url, ca_file=tmp_path / "nonsense.pem"),
        gateway(url, cert_file=certificate, key_file=tmp_path / "encrypted.key"),
        gateway(url, cert_file=certificate, key_file=tmp_path / "nonsense.pem"),
    ):
        assert "cannot use the certificates" in failure(wrong)


def test_no_url() -> None:
    """Without a gateway there is nowhere to push to."""
    with pytest.raises(ConfigError, match=r"pushgateway\.url is missing"):
        push.push_results(Pushgateway(url=None), "fraud", registry(support=1))
