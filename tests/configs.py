"""Texts of configurations for tests, and what becomes of them."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from evaljob.config import Config, load
from evaljob.errors import ConfigError

DATABASES = """\
database: {url: "sqlite:///logs.db"}
state: {url: "sqlite:///state.db"}
"""
EVALUATIONS = """\
evaluations:
  - model: fraud
    task: binary
    positive_label: 1
    predictions: p.sql
    labels: l.sql
    windows: [1h]
"""
MINIMAL = DATABASES + EVALUATIONS  # model is on line 4, task 5, ..., windows 9


def read(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> Config:
    """What a text means in a folder where `p.sql` and `l.sql` are files that say something; `empty.sql` does not."""
    for name, sql in {"p.sql": "SELECT 1", "l.sql": "SELECT 1", "empty.sql": "\n"}.items():
        (folder / name).write_text(sql)
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(path, environ or {})


def refusal(folder: Path, text: str | bytes, environ: Mapping[str, str] | None = None) -> list[str]:
    """The lines of the error that a text gives, without the name of the file."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text, environ)
    return [line.removeprefix(f"{folder / 'config.yaml'}:") for line in str(caught.value).split("\n")]


def instead(line: str, text: str = MINIMAL) -> str:
    """A text with one key of the evaluation written otherwise, on the same line."""
    key = line.partition(":")[0]
    return re.sub(f"(?m)^(  - |    ){key}: .*", lambda found: found[1] + line, text)


def without(key: str) -> str:
    """MINIMAL without one key of the evaluation."""
    return re.sub(f"(?m)^    {key}: .*\n", "", MINIMAL)


def further(line: str) -> str:
    """MINIMAL with a further key of the evaluation, on line 10."""
    return f"{MINIMAL}    {line}\n"
