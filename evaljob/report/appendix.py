"""The configuration as it was understood, without its secrets, and the user's SQL."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import yaml
from pydantic import BaseModel, SecretStr

from evaljob.config import Config, Evaluation
from evaljob.database import shown
from evaljob.window import Window

HIDDEN = "***"
_SECRET = ("pass", "secret", "token", "key", "credential", "pwd")


def configuration(config: Config) -> str:
    """The checked configuration as YAML. Secrets are hidden, defaults are written out, keys not given are left out."""
    told = {name: _plain(value, name, config.path.parent) for name, value in config if name != "path"}
    return yaml.safe_dump(told, sort_keys=False, allow_unicode=True, width=110, default_flow_style=None)


def sources(evaluation: Evaluation) -> tuple[tuple[str, str], ...]:
    """The user's SELECTs: the name of the file and its text."""
    return tuple((path.name, path.read_text(encoding="utf-8")) for path in (evaluation.predictions, evaluation.labels))


def _plain(value: Any, key: str, base: Path) -> Any:
    match value:
        case SecretStr():
            told: Any = without_secrets(value.get_secret_value()) if key == "url" else HIDDEN
        case BaseModel():
            told = _mapping(dict(value), base)
        case Window():
            told = _mapping(vars(value), base)
        case tuple() | list():
            told = [_plain(item, key, base) for item in value]
        case timedelta():
            told = length(value)
        case Path():
            told = str(value.relative_to(base)) if value.is_relative_to(base) else str(value)
        case _:
            told = value
    return told


def _mapping(values: Mapping[str, Any], base: Path) -> dict[str, Any]:
    return {name: _plain(value, name, base) for name, value in values.items() if value is not None}


def length(value: timedelta) -> str:
    """A duration as configurations write it: 1h30m."""
    rest, text = int(value.total_seconds()), ""
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        number, rest = divmod(rest, size)
        text += f"{number}{unit}" if number else ""
    return text or "0s"


def without_secrets(url: str) -> str:
    """A database's URL without its password, and without what its options hold under a telling name."""
    parsed = sa.make_url(shown(url))
    hidden = {name: HIDDEN for name in parsed.query if any(part in name.lower() for part in _SECRET)}
    return parsed.update_query_dict(hidden).render_as_string(hide_password=False).replace("%2A", "*")
