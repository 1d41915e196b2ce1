"""The newest report for the worker's `/`: made when somebody asks, kept until there are newer results.

It is made by a process of its own at a lower priority, so that neither runs nor the answers to others wait for it.
"""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

import sqlalchemy as sa

from evaljob.config import Config
from evaljob.database import connect
from evaljob.errors import ConfigError
from evaljob.report import missing_extra
from evaljob.schema import HISTORY, STATE

TIMEOUT = 240.0  # seconds in which a report has to be made
_NICER = 5
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What `/` answers."""

    status: HTTPStatus
    kind: str
    body: bytes


class Page:
    """The report of a worker's models. Several threads may ask at once: one report is made for all of them."""

    def __init__(self, config: Config, command: Sequence[str] | None = None) -> None:
        self._config = config
        made_by = [sys.executable, "-m", "evaljob.cli", "report", "--config", str(config.path), "--output", "-"]
        self._command = list(command or made_by)
        self._making = threading.Lock()
        self._newest: tuple[object, Answer] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def answer(self) -> Answer:
        """The report; or in plain words why there is none."""
        problem = missing_extra() or _locked(self._config)
        if problem is not None:
            return told(HTTPStatus.NOT_IMPLEMENTED, problem)
        with self._making:
            known = self._instants()
            if self._newest is None or known is None or self._newest[0] != known:
                made = self._made()
                if made.status != HTTPStatus.OK:
                    return made
                self._newest = known, made
            return self._newest[1]

    def _instants(self) -> object:
        """What a report is of, None where that cannot be told: the states' revisions and the history's last instant."""
        url = self._config.state.url.get_secret_value()
        try:
            with connect(url, read_only=True, key="state.url").connect() as connection:
                states = connection.execute(sa.select(STATE.c.model, STATE.c.revision, STATE.c.as_of)).all()
                last = connection.execute(sa.select(sa.func.max(HISTORY.c.as_of))).scalar()
        except (ConfigError, sa.exc.SQLAlchemyError):
            return None
        return sorted(tuple(row) for row in states), last

    @property
    def busy(self) -> bool:
        """Whether a report is being made."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """End a report that is being made."""
        if self._process is not None:
            self._process.kill()

    def _made(self) -> Answer:
        with subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:  # noqa: S603
            self._process = process
            os.setpriority(os.PRIO_PROCESS, process.pid, _NICER)
            try:
                page, said = process.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()
                return told(HTTPStatus.SERVICE_UNAVAILABLE, f"the report was not made within {TIMEOUT:.0f} s")
        if process.returncode == 0:
            return Answer(HTTPStatus.OK, "text/html; charset=utf-8", page)
        why = said.decode(errors="replace").strip()
        _log.error("the report could not be made: %s", why)
        return told(HTTPStatus.SERVICE_UNAVAILABLE, why.splitlines()[-1] if why else "the report could not be made")


def told(status: HTTPStatus, problem: str) -> Answer:
    """An answer in plain words."""
    return Answer(status, "text/plain; charset=utf-8", f"{problem}\n".encode())


def _locked(config: Config) -> str | None:
    """Why a process of its own could not read the state."""
    if sa.make_url(config.state.url.get_secret_value()).get_backend_name() != "duckdb":
        return None
    return (
        "the state is a DuckDB file, which the worker has to itself; `evaljob report` makes the page while no run does"
    )
