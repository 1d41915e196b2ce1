"""Asks the process that speaks to MLflow, and ends it when the time is over."""

import base64
import json
import math
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from evaljob.config import Mlflow
from evaljob.config.places import read_secret
from evaljob.errors import ConfigError, TrackingError

_SHOWN = 500
_COMMAND = [sys.executable, "-P", "-m", "evaljob.tracking.client"]  # -P: nothing of the working directory is imported
_OURS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")


def ask(mlflow: Mlflow, models: Iterable[Mapping[str, Any]]) -> tuple[list[dict[str, Any]], TrackingError | None]:
    """The answers of evaljob.tracking.client within `mlflow.timeout`, and why there are no more, if that is so.

    Raises ConfigError when mlflow is not installed, TrackingError for a secret that cannot be read.
    """
    if find_spec("mlflow") is None:
        raise ConfigError("mlflow: its client is not installed; pip install 'evaljob[mlflow]', or remove tracking_uri")
    seconds, given = mlflow.timeout.total_seconds(), _credentials(mlflow)
    secrets = _spellings(given)
    request = {"tracking_uri": mlflow.tracking_uri, "seconds": seconds, "models": list(models)}
    out, err, code = _ended(json.dumps(request), _environment(mlflow, given), seconds)
    answers = [_shown(answer, secrets) for line in out.splitlines() if (answer := _parsed(line)) is not None]
    if code is None:
        return answers, TrackingError(f"{mlflow.tracking_uri}: no complete answer within {seconds:g} s")
    last = (err.strip().splitlines() or ["it said nothing"])[-1]
    return answers, TrackingError(f"its client failed: {_masked(last, secrets)}") if code else None


def _ended(request: str, environment: Mapping[str, str], seconds: float) -> tuple[str, str, int | None]:
    """Standard output, standard error and exit code, None where it had to be ended for the time."""
    pipe = subprocess.PIPE
    # A session of its own: what ends a worker lets the current run finish.
    with subprocess.Popen(  # noqa: S603  (our own program)
        _COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, encoding="utf-8", start_new_session=True
    ) as process:
        try:
            out, err = process.communicate(request, timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            return out, err, None
    return out, err, process.returncode


def _environment(mlflow: Mlflow, secrets: Mapping[str, str]) -> dict[str, str]:
    """Ours, with what the client needs to know: by its own means it would try for minutes, and tell its makers."""
    set_ = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": str(max(1, math.ceil(mlflow.timeout.total_seconds() / 3))),
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "PYTHONWARNINGS": "ignore",
    }
    if mlflow.ca_file is not None:
        set_["MLFLOW_TRACKING_SERVER_CERT_PATH"] = str(mlflow.ca_file)
    kept = {name: value for name, value in os.environ.items() if not secrets or name not in _OURS}
    return {**kept, **set_, **secrets}


def _credentials(mlflow: Mlflow) -> dict[str, str]:
    """The variables that the client takes them from, as they are now: mounted secrets are renewed."""
    given = {
        "MLFLOW_TRACKING_TOKEN": _secret("bearer_token", mlflow.bearer_token, mlflow.bearer_token_file),
        "MLFLOW_TRACKING_USERNAME": mlflow.username,
        "MLFLOW_TRACKING_PASSWORD": _secret("password", mlflow.password, mlflow.password_file),
    }
    return {name: value for name, value in given.items() if value is not None}


def _secret(key: str, value: SecretStr | None, file: Path | None) -> str | None:
    try:
        secret = value if file is None else read_secret(file)
    except ValueError as error:
        raise TrackingError(f"mlflow.{key}_file: {file}: {error}") from error
    return None if secret is None else secret.get_secret_value()


def _spellings(credentials: Mapping[str, str]) -> list[str]:
    """The credentials as a server may echo them: as they are, and as basic authentication encodes them."""
    user, password = (credentials.get(f"MLFLOW_TRACKING_{name}", "") for name in ("USERNAME", "PASSWORD"))
    encoded = [base64.b64encode(f"{user}:{password}".encode()).decode()] if password else []
    return [*encoded, *(value for name, value in credentials.items() if name != "MLFLOW_TRACKING_USERNAME")]


def _parsed(line: str) -> dict[str, Any] | None:
    """An answer; None for one that was cut off."""
    try:
        answer = json.loads(line)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None


def _shown(answer: dict[str, Any], secrets: Iterable[str]) -> dict[str, Any]:
    return answer | {"error": _masked(answer["error"], secrets)} if "error" in answer else answer


def _masked(text: str, secrets: Iterable[str]) -> str:
    """On one line of readable length, without a credential that the server may have echoed."""
    for secret in secrets:
        text = text.replace(secret, "***")
    return " ".join(text.split())[:_SHOWN]
