"""`${NAME}` and `${NAME:-default}` in the text values of a configuration."""

import re
from collections.abc import Mapping
from typing import Any

from evaljob.config.problems import KeyPath, Problem

_REFERENCE = re.compile(r"\$(?P<escaped>\$\{)|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>[^{}]*))?\})?")


def interpolate(tree: Any, environ: Mapping[str, str]) -> tuple[Any, list[Problem]]:
    """The tree with its references replaced, once, and what was wrong with them: such values stay as they are.

    `:-` takes the default for a variable that is not set or empty, as a shell does. `$${` stands for `${`.
    """
    problems: list[Problem] = []
    return _walk(tree, (), environ, problems), problems


def _walk(node: Any, path: KeyPath, environ: Mapping[str, str], problems: list[Problem]) -> Any:
    if isinstance(node, dict):
        return {key: _walk(value, (*path, key), environ, problems) for key, value in node.items()}
    if isinstance(node, list):
        return [_walk(value, (*path, i), environ, problems) for i, value in enumerate(node)]
    if not isinstance(node, str):
        return node
    wrong = [_wrong(reference, environ) for reference in _REFERENCE.finditer(node)]
    text = node if any(wrong) else _REFERENCE.sub(lambda reference: _value(reference, environ), node)
    wrong.append(_unprintable(text))
    problems += [Problem(path, message) for message in dict.fromkeys(wrong) if message]
    return text


def _wrong(reference: re.Match[str], environ: Mapping[str, str]) -> str | None:
    name = reference["name"]
    if reference["escaped"]:
        return None
    if name is None:
        return "has a ${ that begins no ${NAME} or ${NAME:-default}; for the characters themselves write $${"
    if name not in environ and reference["default"] is None:
        return f"the environment variable {name} is not set; set it, or give a default: ${{{name}:-default}}"
    return None


def _value(reference: re.Match[str], environ: Mapping[str, str]) -> str:
    if reference["escaped"]:
        return "${"
    return environ.get(reference["name"], "") or reference["default"] or ""


def _unprintable(text: str) -> str | None:
    """Nothing takes NUL, or half a surrogate pair, which is how Python reads variables that are not UTF-8."""
    if re.search("[\0\ud800-\udfff]", text):
        return "holds a NUL character or bytes that are not UTF-8; remove them"
    return None
