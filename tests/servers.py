"""Real servers: context managers that start one on a private loopback port, yield its URL, and stop it.

Each server lives in a temporary directory that goes with it, and is stopped by its process id. As root the databases,
which refuse root, run as an account of their own. `make servers` installs the programs.
"""

import json
import os
import signal
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.processes import (
    LOOPBACK,
    ServerError,
    account,
    directory,
    free_port,
    listens,
    program,
    run,
    running,
    text_of,
    wait_until,
)

SERVERS = Path(__file__).parents[1] / ".servers"  # what `make servers` installs from PyPI
SLOW = 110.0  # seconds that a Java server may take to start

__all__ = [
    "ServerError",
    "answers",
    "fetch",
    "free_port",
    "instant_query",
    "listens",
    "mariadb",
    "mlflow",
    "postgres",
    "program",
    "prometheus",
    "pushgateway",
    "scrape_config",
    "spark",
    "wait_until",
    "wipe",
]


@contextmanager
def pushgateway(*options: str) -> Iterator[str]:
    """A Pushgateway that keeps nothing on disk and allows `wipe`. Yields http://127.0.0.1:PORT."""
    port = free_port()
    listen = [f"--web.listen-address={LOOPBACK}:{port}", "--persistence.file=", "--web.enable-admin-api"]
    command = [program("prometheus-pushgateway", "pushgateway"), *listen, *options]
    with directory("pushgateway") as folder, running(command, folder, lambda: listens(port)):
        yield f"http://{LOOPBACK}:{port}"


@contextmanager
def prometheus(config: str, files: Mapping[str, str] | None = None) -> Iterator[str]:
    """A Prometheus with this configuration text; `files` (name to text: rules, say) lie beside it. Yields its URL."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    with directory("prometheus") as folder:
        for name, text in {**(files or {}), "prometheus.yml": config}.items():
            (folder / name).write_text(text)
        storage = [f"--storage.tsdb.path={folder}/data", "--storage.tsdb.retention.time=400d"]
        web = [f"--web.listen-address={LOOPBACK}:{port}", "--web.enable-lifecycle"]
        command = [program("prometheus"), f"--config.file={folder}/prometheus.yml", *storage, *web]
        with running(command, folder, lambda: answers(f"{url}/-/ready")):
            yield url


def scrape_config(*urls: str, interval: str = "1s") -> str:
    """Prometheus configuration that scrapes these base URLs as one job, keeping the labels that were pushed."""
    targets = [{"targets": [url.removeprefix("http://") for url in urls]}]
    job = {"job_name": "pushgateway", "honor_labels": True, "static_configs": targets}
    return json.dumps({"global": {"scrape_interval": interval}, "scrape_configs": [job]})  # JSON is YAML


def instant_query(prometheus_url: str, expression: str) -> list[dict[str, Any]]:
    """The series that a PromQL expression has now: each {"metric": labels, "value": [timestamp, text]}."""
    answer = json.loads(fetch(f"{prometheus_url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"))
    found: list[dict[str, Any]] = answer["data"]["result"]
    return found


def wipe(pushgateway_url: str) -> None:
    """Empty a Pushgateway, and return when it is empty."""
    fetch(f"{pushgateway_url}/api/v1/admin/wipe", method="PUT")
    groups = f"{pushgateway_url}/api/v1/metrics"
    wait_until(lambda: not json.loads(fetch(groups))["data"], "the wipe of the Pushgateway")


@contextmanager
def postgres() -> Iterator[str]:
    """A PostgreSQL without durability, with a linguistic collation. Yields a SQLAlchemy URL of its superuser."""
    port, user = free_port(), account("postgres", "nobody")
    with directory("postgres", user) as folder:
        data = folder / "data"
        # ICU, not C: most servers sort texts as people do, and what relies on the order of bytes shall show.
        locale = ["--encoding=UTF8", "--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=en-US"]
        run([program("initdb"), "-D", str(data), "-A", "trust", "-U", "postgres", "--no-sync", *locale], folder, user)
        network = [f"--port={port}", f"--listen_addresses={LOOPBACK}", "--unix_socket_directories="]
        fast = ["--fsync=off", "--synchronous_commit=off", "--full_page_writes=off"]
        command = [program("postgres"), "-D", str(data), *network, *fast]
        status = data / "postmaster.pid"
        # SIGQUIT, an immediate end: nobody will want the data again.
        with running(command, folder, lambda: "ready" in text_of(status), user, stop=signal.SIGQUIT):
            yield f"postgresql+psycopg://postgres@{LOOPBACK}:{port}/postgres"


@contextmanager
def mariadb() -> Iterator[str]:
    """A MariaDB without durability, in UTF-8 with its usual collation. Yields a SQLAlchemy URL of its root."""
    port, user = free_port(), account("mysql", "nobody")
    with directory("mariadb", user) as folder:
        common = ["--no-defaults", f"--datadir={folder}/data", *([f"--user={user}"] if user else [])]
        root = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        run([program("mariadb-install-db"), *common, *root], folder)
        network = [f"--port={port}", f"--bind-address={LOOPBACK}", "--skip-name-resolve"]
        files = [f"--socket={folder}/socket", f"--pid-file={folder}/pid"]
        text = ["--character-set-server=utf8mb4", "--collation-server=utf8mb4_general_ci"]
        fast = ["--innodb-flush-log-at-trx-commit=0", "--innodb-fast-shutdown=2", "--innodb-log-file-size=16M"]
        command = [program("mariadbd"), *common, *network, *files, *text, *fast]
        with running(command, folder, lambda: "ready for connections" in text_of(folder / "log")):
            yield f"mysql+pymysql://root@{LOOPBACK}:{port}/mysql?charset=utf8mb4"


@contextmanager
def mlflow() -> Iterator[str]:
    """An MLflow tracking server and model registry. Yields http://127.0.0.1:PORT."""
    port = free_port()
    url = f"http://{LOOPBACK}:{port}"
    silent = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with directory("mlflow") as folder:
        storage = [f"--backend-store-uri=sqlite:///{folder}/mlflow.db", f"--default-artifact-root={folder}/artifacts"]
        network = ["--host", LOOPBACK, "--port", str(port), "--workers", "1"]
        command = [str(SERVERS / "bin" / "mlflow"), "server", *storage, *network]
        with running(command, folder, lambda: answers(f"{url}/health"), environment=silent):
            yield url


SMALL_STATEMENTS = {
    "spark.sql.shuffle.partitions": "2", "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1",
}  # fmt: skip


@contextmanager
def spark(memory: str = "1g", settings: Mapping[str, str] = SMALL_STATEMENTS) -> Iterator[str]:
    """A Spark Thrift server of two cores, by default with what makes small statements fast. Yields a SQLAlchemy URL."""
    port = free_port()
    home = spark_home()
    with directory("spark") as folder:
        places = {"spark.sql.warehouse.dir": f"{folder}/warehouse", "spark.local.dir": f"{folder}/local"}
        own = {"spark.ui.enabled": "false", **settings, **places}
        configured = [f"--conf={name}={value}" for name, value in own.items()]
        listen = [f"thrift.port={port}", f"thrift.bind.host={LOOPBACK}", "authentication=NOSASL"]
        server = ["--class=org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "spark-internal"]
        hive = [word for setting in listen for word in ("--hiveconf", f"hive.server2.{setting}")]
        submit = [f"{home}/bin/spark-submit", "--master=local[2]", f"--driver-memory={memory}"]
        command = [*submit, *configured, *server, *hive]
        with running(
            command, folder, lambda: listens(port), timeout=SLOW, environment=os.environ | {"SPARK_HOME": home}
        ):
            yield f"hive://{LOOPBACK}:{port}/default?auth=NOSASL"


def spark_home() -> str:
    """Where PySpark lies in the environment of the servers, which `make servers` builds."""
    found = sorted(SERVERS.glob("lib/python3.*/site-packages/pyspark"))
    if not found:
        raise ServerError("pyspark is not installed: `make servers` installs it")
    return str(found[-1])


def fetch(url: str, method: str = "GET", body: bytes | None = None, headers: Mapping[str, str] | None = None) -> str:
    """The body of an HTTP answer, never through a proxy. Raises OSError: connection refused, or an error status."""
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, body, dict(headers or {}), method=method)  # noqa: S310  (http)
    with direct.open(request, timeout=10) as answer:
        return str(answer.read().decode())


def answers(url: str) -> bool:
    """Whether an HTTP GET succeeds."""
    try:
        fetch(url)
    except OSError:
        return False
    return True
