"""Pydantic's errors as problems of the file: the path that it has, what it says there, and the nearest valid key."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from evaljob.config.problems import KeyPath, Problem, nearest, shown
from evaljob.config.shape import ConfigShape

_MESSAGES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a mapping",
    "finite_number": "must be a finite number",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "greater_than": "must be greater than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of 64 bits",
    "int_type": "must be a whole number",
    "less_than": "must be less than {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "model_type": "must be a mapping",
    "path_type": "must be a path, which is text",
    "string_type": "must be text; put it in quotes",
    "too_short": "must have at least one item",
    "tuple_type": "must be a list",
    "value_error": "{error}",
}
_TELLING = ("schedule", "worker", "evaluations")  # no secrets belong there


def problems(error: ValidationError, written: Any) -> Iterator[Problem]:
    """The problems behind an error of ConfigShape; `written` is the tree as the file has it, variables not replaced."""
    details = error.errors(include_url=False, include_input=False)
    meant = {_meant(detail["loc"]) for detail in details if detail["type"] == "extra_forbidden"}
    for detail in details:
        if not _follows(detail, meant, written):
            yield Problem(_as_written(detail["loc"], written), _message(detail, written))


def _follows(detail: Mapping[str, Any], meant: set[KeyPath | None], written: Any) -> bool:
    """Whether the problem is there only because of another: a key that is misspelt, items that are wrong."""
    if detail["type"] == "too_short":
        return bool(_at(detail["loc"], written))
    return detail["type"] == "missing" and detail["loc"] in meant


def _message(detail: Mapping[str, Any], written: Any) -> str:
    kind, path = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        return _unknown_key(path)
    if kind == "missing":
        return f"is missing; add `{path[-1]}: {_example(path)}`"
    template = _MESSAGES.get(kind, detail["msg"].replace("Input should", "must").replace("{", "{{").replace("}", "}}"))
    example = f", such as {_example(path)}" if kind in ("model_type", "tuple_type") and _example(path) else ""
    return f"{_quoted(path, written)}{template.format_map(detail.get('ctx', {}))}{example}"


def _unknown_key(path: KeyPath) -> str:
    if ":" in str(path[-1]):
        return "is no key; write a space after the colon"
    if (meant := _meant(path)) is not None:
        return f"is no key of this section; did you mean `{meant[-1]}`?"
    return f"is no key of this section; its keys are {', '.join(_section(path[:-1]).model_fields)}"


def _meant(path: KeyPath) -> KeyPath | None:
    word = nearest(str(path[-1]), _section(path[:-1]).model_fields)
    return None if word is None else (*path[:-1], word)


def _quoted(path: KeyPath, written: Any) -> str:
    """The value as the file has it, where neither it nor a variable's value can be a secret."""
    value = _at(path, written)
    if path[:1] and path[0] in _TELLING and isinstance(value, str | int | float) and "://" not in str(value):
        return f"{shown(value) if isinstance(value, str) else str(value).lower()} "
    return ""


def _as_written(path: KeyPath, written: Any) -> KeyPath:
    """The path without the steps that a short form leaves out: the length of a window `1h` is the window itself."""
    return tuple(part for _, part in takewhile(lambda step: _is_open(step[0], written), _steps(path)))


def _steps(path: KeyPath) -> Sequence[tuple[KeyPath, str | int]]:
    return [(path[:i], part) for i, part in enumerate(path)]


def _is_open(path: KeyPath, written: Any) -> bool:
    return isinstance(_at(path, written), dict | list)


def _at(path: KeyPath, written: Any) -> Any:
    for part in path:
        if isinstance(written, dict):
            written = written.get(part)
        elif isinstance(written, list) and isinstance(part, int):
            written = written[part]
        else:
            break
    return written


def _example(path: KeyPath) -> str:
    field = _field(path)
    return "" if field is None or not field.examples else str(field.examples[0])


def _field(path: KeyPath) -> FieldInfo | None:
    return _section(path[:-1]).model_fields.get(str(path[-1])) if path else None


def _section(path: KeyPath) -> type[BaseModel]:
    """The section that a path leads to."""
    section: type[BaseModel] = ConfigShape
    for key in path:
        if isinstance(key, str):
            field = section.model_fields.get(key)  # a mapping's own key, such as a version, is no field
            section = (_section_in(field.annotation) if field else None) or section
    return section


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """The one section among a type's parts."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _section_in(part)) is not None), None)
