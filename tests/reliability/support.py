"""A PostgreSQL that dies and lives again, evaljob in processes that can be met at a stage, and what a gateway shows."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.processes import LOOPBACK, account, directory, free_port, program, run, text_of, wait_until
from tests.projects import LABELS, PREDICTIONS, Ended, Project, pushed

TABLES = {
    "predictions": "request_id varchar(99), predicted_at timestamp(6), model_version varchar(99), prediction "
    "integer, score double precision, latency_seconds double precision, country text",
    "labels": "request_id varchar(99), label integer, labeled_at timestamp(6)",
}
# Sleeps once where the rows are read, and not where only the columns are looked at.
SLOW = "SELECT p.* FROM predictions p CROSS JOIN (SELECT pg_sleep({seconds})) AS slow\n"


@dataclass
class Database:
    """A PostgreSQL on a port of its own, whose processes can be killed."""

    folder: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @classmethod
    @contextmanager
    def made(cls) -> Iterator["Database"]:
        """A new one, which does not live yet."""
        user = account("postgres", "nobody")
        with directory("mortal", user) as folder:
            initdb = [program("initdb"), "-D", f"{folder}/data", "-A", "trust", "-U", "postgres", "--no-sync"]
            run(initdb, folder, user)
            yield cls(folder)

    @property
    def url(self) -> str:
        """SQLAlchemy URL of its superuser."""
        return f"postgresql+psycopg://postgres@{LOOPBACK}:{self.port}/postgres"

    def live(self) -> None:
        """Start it where it does not run, and wait until it is ready."""
        if self.process is not None and self.process.poll() is None:
            return
        user, data = account("postgres", "nobody"), self.folder / "data"
        (data / "postmaster.pid").unlink(missing_ok=True)  # of the one that was killed
        network = [f"--port={self.port}", f"--listen_addresses={LOOPBACK}", "--unix_socket_directories="]
        command = [program("postgres"), "-D", str(data), *network, "--fsync=off"]
        identity: dict[str, Any] = {"user": user, "group": user, "extra_groups": ()} if user else {}
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, stdout=log, stderr=log, start_new_session=True, **identity
            )
        wait_until(lambda: "ready" in text_of(data / "postmaster.pid"), "PostgreSQL")

    def die(self) -> None:
        """Kill it and all the processes it has made, as an oom killer or a power cut would."""
        if self.process is None or self.process.poll() is not None:
            return
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *map(int, children)):
            with suppress(ProcessLookupError):
                os.kill(each, signal.SIGKILL)
        self.process.wait()


def on_postgres(project: Project, url: str) -> None:
    """Put the project's logs and its state into a database that speaks PostgreSQL's or MySQL's SQL."""
    put_logs(url)
    project.replace("sqlite:///logs.db", url)
    project.replace("sqlite:///state.db", url)


def put_logs(url: str) -> None:
    """Make the logs anew in a database, without a state."""
    with connected(url) as connection:
        for table in (
            "predictions",
            "labels",
            "evaljob_state",
            "evaljob_history",
            "evaljob_schema",
            "evaljob_backfill",
        ):
            connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))
        for table, columns in TABLES.items():
            if connection.dialect.name == "mysql":  # whose timestamps are of the session's time zone
                columns = columns.replace("timestamp", "datetime")  # noqa: PLW2901
            connection.execute(sa.text(f"CREATE TABLE {table} ({columns})"))
        for table, given in (("predictions", PREDICTIONS), ("labels", LABELS)):
            for row in given:
                connection.exec_driver_sql(f"INSERT INTO {table} VALUES {row!r}")


@contextmanager
def connected(url: str) -> Iterator[sa.Connection]:
    """A transaction on a database."""
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        yield connection


# A process that, when it first comes to a function of evaljob, says so by a file and waits for another file.
MEET = """
import importlib, os, signal, time
def meet(module, name, stop):
    module = importlib.import_module(module)
    original = getattr(module, name)
    def met(*arguments, **named):
        setattr(module, name, original)
        open("met", "w").close()
        if stop:
            os.kill(os.getpid(), signal.SIGSTOP)
        while not stop and not os.path.exists("go"):
            time.sleep(0.01)
        return original(*arguments, **named)
    setattr(module, name, met)
"""


@dataclass
class Running:
    """An `evaljob` process."""

    folder: Path
    process: subprocess.Popen[str]
    began: float = field(default_factory=time.monotonic)

    def met(self) -> None:
        """Wait until it has come to the function."""
        wait_until(lambda: (self.folder / "met").exists() or self.process.poll() is not None, "the process to arrive")
        assert self.process.poll() is None, self.process.communicate()

    def go(self) -> None:
        """Let it go on."""
        (self.folder / "go").touch()
        self.process.send_signal(signal.SIGCONT)

    def ended(self) -> Ended:
        """How it ended."""
        out, err = self.process.communicate(timeout=60)
        return Ended(self.process.returncode, out, err)


@contextmanager
def started(
    project: Project, *arguments: object, start: str = "", wrapper: tuple[str, ...] = (), environ: Any = None
) -> Iterator[Running]:
    """`evaljob` with these arguments in the project's folder, in a process that runs the statements `start` first."""
    code = f"import sys\nsys.argv[0] = 'evaljob'\n{MEET}\n{start}\nfrom evaljob.cli import main\nmain()"
    # psycopg's cursors on a server that died cannot be closed, of which it warns.
    strict = ["-W", "error", "-W", "ignore::ResourceWarning"]
    command = [*wrapper, sys.executable, *strict, "-c", code, *map(str, arguments)]
    for file in ("met", "go"):
        (project.folder / file).unlink(missing_ok=True)
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, cwd=project.folder, stdout=pipe, stderr=pipe, text=True, env=environ)
    try:
        yield Running(project.folder, process)
    finally:
        process.kill()
        process.communicate()


SECOND = """\
  - model: second
    task: binary
    positive_label: 1
    predictions: second.sql
    labels: labels.sql
    windows: [1h]
    min_support: 1
"""


def add_second(project: Project, sql: str) -> None:
    """A second evaluation, whose predictions come from this SELECT."""
    with (project.folder / "config.yaml").open("a") as config:
        config.write(SECOND)
    (project.folder / "second.sql").write_text(sql)


def stopping(module: str, name: str) -> str:
    """Statements that have the process stop itself (SIGSTOP) when it comes to a function."""
    return f"meet({module!r}, {name!r}, True)"


def waiting(module: str, name: str) -> str:
    """Statements that have the process wait when it comes to a function."""
    return f"meet({module!r}, {name!r}, False)"


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"


@dataclass(frozen=True)
class Shown:
    """What a gateway shows of one model."""

    groups: tuple[Mapping[str, Any], ...]

    @classmethod
    def of(cls, gateway: str, model: str = "m") -> "Shown":
        """What it shows now."""
        return cls(tuple(group for group in pushed(gateway) if group["labels"].get("model") == model))

    def value(self, name: str, **labels: str) -> float:
        """The one sample of a metric with these labels; of results that of the total where nothing else is said."""
        total = {"model_version": "all", "slice": "overall"}
        found = [
            float(sample["value"])
            for group in self.groups
            for sample in group.get(f"evaljob_{name}", {"metrics": []})["metrics"]
            if all(sample["labels"].get(key, wanted) == wanted for key, wanted in (total | labels).items())
        ]
        assert len(found) == 1, (name, found)
        return found[0]

    @property
    def results(self) -> list[tuple[str, str, str]]:
        """Everything that the group of the results holds."""
        return [
            (name, str(sorted(sample["labels"].items())), sample["value"])
            for group in self.groups
            for name, family in sorted(group.items())
            for sample in (family["metrics"] if name.startswith("evaljob_") else ())
            if group["labels"].get("kind") is None
        ]

    @property
    def status(self) -> tuple[float, float, float]:
        """Whether the last run succeeded, when one last succeeded, when one last ended."""
        names = ("last_run_success", "last_success_timestamp_seconds", "last_completion_timestamp_seconds")
        success, succeeded, completed = (self.value(name) for name in names)
        return success, succeeded, completed


def timed(call: Callable[[], Ended]) -> tuple[Ended, float]:
    """How it ended, and after how many seconds."""
    began = time.monotonic()
    return call(), time.monotonic() - began
