"""`make stack` as it is run, and that compose.yaml and deploy/kubernetes say the same for containers."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click import Command

from evaljob import config
from evaljob.cli import cli
from tests.processes import program, text_of, wait_until

ROOT = Path(__file__).parents[1]
CONTAINERS = [path.name for path in sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))]


@contextmanager
def stack(folder: Path, *options: str, **environ: str) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """`make stack` without make, in a hurry: the process and the file of its output."""
    output = folder / "output"
    pace = ["--every", "2s", "--speed", "36000", "--requests-per-hour", "4", "--workers", "1"]
    command = [sys.executable, "-m", "scripts.stack", "--folder", str(folder / "stack"), *pace, *options]
    hurried = os.environ | {"EVALJOB_SETTLE": "1s", "IRIS_MATURITY": "3s"} | environ
    with (
        output.open("wb") as written,
        subprocess.Popen(
            command, cwd=ROOT, env=hurried, stdout=written, stderr=written, start_new_session=True
        ) as process,
    ):
        try:
            yield process, output
        finally:
            process.terminate()
            process.wait(60)


def parts(output: Path) -> dict[str, int]:
    """The process ids that were told."""
    return {name: int(pid) for name, pid in re.findall(r"^  (\w+) +pid (\d+)$", text_of(output), re.MULTILINE)}


def lives(pid: int) -> bool:
    """Whether there is such a process."""
    return Path(f"/proc/{pid}").exists()


@pytest.mark.timeout(300)
def test_stack_from_start_to_ctrl_c(tmp_path: Path) -> None:
    """Every question gets its figures, the addresses are told, and Ctrl-C leaves no process and no error."""
    with stack(tmp_path) as (process, output):
        wait_until(lambda: process.poll() is not None or "Ctrl-C stops" in text_of(output), "data", timeout=240)
        told, pids = text_of(output), parts(output)
        assert process.poll() is None, told
        assert list(pids) == ["pushgateway", "prometheus", "service", "traffic", "worker"]
        assert all(map(lives, pids.values()))
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(60) == 0
    assert not any(map(lives, pids.values()))
    shares = [float(share) for share in re.findall(r"(?:setosa|versicolor|virginica) ([\d.]+)", told)]
    assert sum(shares) == pytest.approx(1, abs=0.001)
    lower, accuracy, upper = (figure(told, name) for name in ("lower bound", "accuracy of 5m", "upper bound"))
    assert 0 < lower < accuracy < upper < 1
    assert 0 < figure(told, "label coverage, mature") <= 1
    assert len(re.findall(r"http://127\.0\.0\.1:\d+", told)) == 4


def figure(told: str, name: str) -> float:
    """The figure of the total that stands behind a name."""
    found = re.search(rf"^ +{name} +all ([\d.]+)", told, re.MULTILINE)
    assert found is not None, told
    return float(found[1])


def test_a_part_that_fails_ends_the_stack(tmp_path: Path) -> None:
    """A service that cannot start is named with what it said, and what runs already is stopped."""
    with stack(tmp_path, IRIS_CANARY_SHARE="2") as (process, output):
        assert process.wait(60) == 1
    told = text_of(output)
    assert "Error: service has ended" in told
    assert "IRIS_CANARY_SHARE is 2.0, it must be from 0 to 1" in told
    assert not any(map(lives, parts(output).values()))


def compose() -> dict[str, Any]:
    """compose.yaml."""
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text()))


def test_compose_names_what_it_has() -> None:
    """Every volume, config, dependency and file that a service names is there, and every port is on the loopback."""
    found = compose()
    for name, service in found["services"].items():
        assert set(service.get("depends_on", ())) <= set(found["services"]), name
        assert {entry["source"] for entry in service.get("configs", ())} <= set(found["configs"])
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in found["volumes"], volume
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", ()))
        for dependency, condition in (
            dict.items(service["depends_on"]) if isinstance(service.get("depends_on"), dict) else ()
        ):
            healthy = condition["condition"] == "service_healthy"
            assert not healthy or dependency in ("database", "service"), "the others have no healthcheck"
    assert {
        service["build"].get("dockerfile", "Dockerfile") for service in found["services"].values() if "build" in service
    } == {
        "Dockerfile",
        "examples/iris/Dockerfile",
    }


def test_compose_scrapes_what_monitoring_scrapes(tmp_path: Path) -> None:
    """Its Prometheus has the jobs, labels and rules of monitoring/prometheus.yml; promtool finds nothing wrong."""
    content = compose()["configs"]["prometheus"]["content"]
    monitoring = yaml.safe_load((ROOT / "monitoring" / "prometheus.yml").read_text())
    theirs = yaml.safe_load(content)
    names = {"127.0.0.1:9091": "pushgateway:9091", "127.0.0.1:8000": "service:8000", "127.0.0.1:9108": "worker:9108"}
    assert theirs["scrape_configs"] == _replaced(monitoring["scrape_configs"], names)
    assert theirs["rule_files"] == monitoring["rule_files"]
    (tmp_path / "rules").symlink_to(ROOT / "monitoring" / "rules")
    (tmp_path / "prometheus.yml").write_text(content)
    subprocess.run(
        [program("promtool"), "check", "config", str(tmp_path / "prometheus.yml")], check=True, capture_output=True
    )


def _replaced(tree: Any, names: Mapping[str, str]) -> Any:
    if isinstance(tree, dict):
        return {key: _replaced(value, names) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_replaced(value, names) for value in tree]
    return names.get(tree, tree) if isinstance(tree, str) else tree


def test_compose_configures_evaljob() -> None:
    """The worker's variables make a configuration that loads, open to its neighbours, on the service's logs."""
    services = compose()["services"]
    environ = {
        name: re.sub(r"\$\{\w+:-(\w+)\}", r"\1", value) for name, value in services["worker"]["environment"].items()
    }
    loaded = config.load(ROOT / "examples" / "iris" / "config.yaml", environ)
    assert (loaded.worker.host, f"127.0.0.1:{loaded.worker.port}:9108") == ("0.0.0.0", services["worker"]["ports"][0])  # noqa: S104
    assert loaded.pushgateway.url == "http://pushgateway:9091"
    assert (
        services["service"]["environment"]["IRIS_DATABASE_URL"]
        == services["worker"]["environment"]["EVALJOB_DATABASE_URL"]
    )
    assert ":".join(services["worker"]["volumes"]).count("/etc/evaljob/") == 2


def manifest(name: str) -> dict[str, Any]:
    """One file of deploy/kubernetes, which holds one object."""
    (found,) = yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / name).read_text())
    return dict(found)


def pod(name: str) -> dict[str, Any]:
    """The pod's specification in a workload."""
    specification = manifest(name)["spec"]
    job = specification.get("jobTemplate", {}).get("spec", specification)
    return dict(job["template"]["spec"])


def test_kubernetes_objects() -> None:
    """One object a file, of the kinds that were promised, all of one name's family."""
    kinds = {name: (manifest(name)["apiVersion"], manifest(name)["kind"]) for name in CONTAINERS}
    assert kinds == {
        "configuration.yaml": ("v1", "ConfigMap"),
        "cronjob.yaml": ("batch/v1", "CronJob"),
        "worker.yaml": ("apps/v1", "Deployment"),
    }
    deployment, cron = manifest("worker.yaml")["spec"], manifest("cronjob.yaml")["spec"]
    assert deployment["selector"]["matchLabels"] == deployment["template"]["metadata"]["labels"]
    assert (cron["concurrencyPolicy"], cron["schedule"]) == ("Forbid", "*/5 * * * *")
    assert pod("cronjob.yaml")["restartPolicy"] == "Never"


def test_kubernetes_configuration_is_that_of_the_example() -> None:
    """The ConfigMap holds the files of examples/iris, letter by letter."""
    example, data = ROOT / "examples" / "iris", manifest("configuration.yaml")["data"]
    files = {"config.yaml": "config.yaml", "predictions.sql": "sql/predictions.sql", "labels.sql": "sql/labels.sql"}
    assert data == {key: (example / path).read_text() for key, path in files.items()}


@pytest.mark.parametrize("name", ["worker.yaml", "cronjob.yaml"])
def test_kubernetes_pod_runs_evaljob(name: str, tmp_path: Path) -> None:
    """Mounted as it says, with its variables set, the configuration loads; its command exists; it runs unprivileged."""
    specification = pod(name)
    (container,) = specification["containers"]
    volumes = {volume["name"]: volume for volume in specification["volumes"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == volumes.keys()
    for item in volumes["configuration"]["configMap"]["items"]:
        path = tmp_path / item["path"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(manifest("configuration.yaml")["data"][item["key"]])
    environ = {entry["name"]: entry.get("value", "postgresql+psycopg://u:p@h/d") for entry in container["env"]}
    loaded = config.load(tmp_path / "config.yaml", environ)
    command, option, path_ = container["args"]
    assert isinstance(cli.commands[command], Command)
    assert (option, path_) == ("--config", f"{mounts['configuration']}/config.yaml")
    assert all(port["containerPort"] == loaded.worker.port for port in container.get("ports", ()))
    assert specification["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
