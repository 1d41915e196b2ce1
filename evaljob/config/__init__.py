"""The configuration: a YAML file with short forms, variables and secret files in, a frozen checked `Config` out.

`document` reads the YAML, `environment` puts the variables in, `shape` checks it by way of the kinds of values in
`values` and `places`, `names` finds what is named twice, and `explain` tells what was found wrong.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from evaljob.config.change import Change
from evaljob.config.document import parse
from evaljob.config.environment import interpolate
from evaljob.config.explain import problems
from evaljob.config.model import Calibration, Config, Deployment, Evaluation, LabelsDefault, Metrics, Partition
from evaljob.config.names import shared
from evaljob.config.places import BASE
from evaljob.config.prices import Costs, Outcomes, Pair, Price
from evaljob.config.problems import Problem, report, within
from evaljob.config.sections import Database, Mlflow, Pushgateway, Schedule, StateStore, Worker
from evaljob.config.shape import ConfigShape
from evaljob.errors import ConfigError

__all__ = [
    "Calibration",
    "Change",
    "Config",
    "Costs",
    "Database",
    "Deployment",
    "Evaluation",
    "LabelsDefault",
    "Metrics",
    "Mlflow",
    "Outcomes",
    "Pair",
    "Partition",
    "Price",
    "Pushgateway",
    "Schedule",
    "StateStore",
    "Worker",
    "load",
]

_LARGEST = 2**20


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Config:
    """The checked configuration of a file. `${NAME}` comes from `environ`; relative paths start where the file is.

    Raises ConfigError with everything that is wrong, one line each: file, line, the key's path, what, and the mend.
    """
    document = parse(str(path), _text(path))
    tree, unset = interpolate(document.tree, environ)
    unreadable = [*document.problems, *unset]
    shape, wrong = _shape(tree, document.tree, path.absolute())
    places = [problem.path for problem in unreadable]
    found = [*unreadable, *(problem for problem in (*wrong, *shared(tree)) if not within(problem.path, places))]
    if found or shape is None:
        raise ConfigError(report(str(path), found, document.lines))
    return shape.checked(path.absolute())


def _shape(tree: Any, written: Any, path: Path) -> tuple[ConfigShape | None, list[Problem]]:
    if tree is None:
        return None, [Problem((), "is empty; `evaljob init` writes a configuration to start from")]
    try:
        return ConfigShape.model_validate(tree, context={BASE: path.parent}), []
    except ValidationError as error:
        return None, list(problems(error, written))


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError as error:
        raise ConfigError(f"{path}: there is no such file; `evaljob init` writes one to start from") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(content) > _LARGEST:
        raise ConfigError(f"{path}: is no configuration: it is larger than 1 MiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{path}:{line}: is not UTF-8 text; save it as UTF-8") from error
