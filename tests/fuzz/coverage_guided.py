"""A coverage-guided fuzzer for whatever people write: configurations, their values, SQL, arguments.

    python -m venv fuzzing && fuzzing/bin/pip install -r requirements.lock && fuzzing/bin/pip install atheris
    fuzzing/bin/python -m tests.fuzz.coverage_guided -max_total_time=3600 -timeout=20 -rss_limit_mb=2048

It ends with exit code 0 when its time is over, and with a traceback and the input in a file when it has found one.
"""

import contextlib
import io
import logging
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import atheris  # in an environment of its own

with atheris.instrument_imports(include=["evaljob"]):
    import click
    import sqlalchemy as sa

    from evaljob import cli, opening
    from evaljob.config import load
    from evaljob.errors import EvaljobError

from tests.projects import CONFIG, SQL, TABLES

FOLDER = Path(tempfile.mkdtemp(prefix="evaljob-fuzz-"))
VALID = CONFIG.format(gateway="http://127.0.0.1:1")
LINES = VALID.splitlines()
SEEDS = (
    b"\0" + VALID.encode(),
    b"\1\3 1h30m",
    b'\1\5 "${X:-1}"',
    b"\2SELECT * FROM predictions -- all",
    b"\2SELECT request_id, predicted_at, 'v' AS model_version, 1 AS prediction, 'x' AS country FROM predictions;",
    b"\3run\0--as-of\0002024-06-01\0--no-push",
    b"\3backfill\0--from\0002024-06-01\0--to\0002024-06-02\0--every\0001h",
    b"\3history\0--slice\0country=DE\0--output\0csv",
)


def configuration(data: bytes) -> None:
    """Bytes as config.yaml."""
    (FOLDER / "config.yaml").write_bytes(data)
    load(FOLDER / "config.yaml", {"X": data[:9].decode(errors="surrogateescape")})


def value(data: bytes) -> None:
    """Bytes as the value of one key of a configuration that is valid otherwise."""
    number = data[0] % len(LINES) if data else 0
    key = LINES[number].partition(":")[0]
    lines = [*LINES[:number], f"{key}:{data[1:].decode(errors='replace')}", *LINES[number + 1 :]]
    configuration("\n".join(lines).encode())


def sql(data: bytes) -> None:
    """Bytes as predictions.sql."""
    (FOLDER / "config.yaml").write_text(VALID)
    (FOLDER / "predictions.sql").write_bytes(data)
    try:
        loaded = load(FOLDER / "config.yaml", {})
        with opening.logs(loaded) as engine, engine.connect() as connection:
            opening.plan_of(connection, loaded.evaluations[0])
    finally:
        (FOLDER / "predictions.sql").write_text(SQL["predictions.sql"])


def arguments(data: bytes) -> None:
    """Bytes as the arguments of the command line, where there is no configuration."""
    given = [os.fsdecode(part) for part in data.split(b"\0") if b"/" not in part]  # nothing outside the folder
    os.chdir(FOLDER / "empty")
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        cli.cli.main(given, prog_name="evaljob", standalone_mode=False)


TARGETS = (configuration, value, sql, arguments)


def one_input(data: bytes) -> None:
    """What the fuzzer calls: whatever is not told to the user in one message is a finding."""
    if data:
        with contextlib.suppress(EvaljobError, click.ClickException, click.exceptions.Exit, click.Abort, SystemExit):
            try:
                TARGETS[data[0] % len(TARGETS)](data[1:])
            except sa.exc.SQLAlchemyError:
                if TARGETS[data[0] % len(TARGETS)] is not sql:  # the command line tells these in one message, too
                    raise


def main() -> None:
    """Fuzz with the options of libFuzzer in sys.argv."""
    logging.disable()
    (FOLDER / "empty").mkdir()
    (FOLDER / "corpus").mkdir()
    for name, text in SQL.items():
        (FOLDER / name).write_text(text)
    with contextlib.closing(sqlite3.connect(FOLDER / "logs.db")) as connection:
        connection.executescript(TABLES)
    for number, seed in enumerate(SEEDS):
        (FOLDER / "corpus" / str(number)).write_bytes(seed)
    artifacts = f"-artifact_prefix={tempfile.mkdtemp(prefix='evaljob-findings-')}/"
    atheris.Setup([*sys.argv, artifacts, str(FOLDER / "corpus")], one_input)
    try:
        atheris.Fuzz()
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)


if __name__ == "__main__":
    main()
