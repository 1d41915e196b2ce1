"""A YAML text as plain data, and the line of each key: YAML 1.2's idea of a scalar, no duplicate keys, no tags.

YAML 1.1, which PyYAML speaks by itself, takes the key `on` for a boolean, `010` for 8 and `1:30` for 90.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from evaljob.config.problems import KeyPath, Problem
from evaljob.errors import ConfigError

MOST_NODES = 100_000
_TAG = "tag:yaml.org,2002:"
_KINDS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.")),
)


@dataclass
class Document:
    """`tree` is made of dict, list, str, int, float, bool and None; `lines` tells where (from 1) a path begins."""

    tree: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    nodes: int = 0


def parse(file: str, text: str) -> Document:
    """The document of a YAML text. Raises ConfigError with line and column where it is not YAML.

    Duplicate keys, keys that are no text and values that are no plain data are among its `problems`.
    """
    document = Document(lines={(): 1})
    root = _compose(file, text)
    if root is not None:
        document.tree = _Builder(file, document).value(root, (), ())
    return document


class _Loader(yaml.SafeLoader):
    """PyYAML's parser without its own idea of what is a boolean, a number or a date."""


_Loader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in _KINDS:
    _Loader.add_implicit_resolver(f"{_TAG}{_name}", re.compile(f"^(?:{_pattern})$"), _first)


def _compose(file: str, text: str) -> yaml.Node | None:
    # `from None`: the causes quote the text around the error, and there may be a password in it.
    try:
        return _Loader(text).get_single_node()
    except yaml.MarkedYAMLError as error:
        raise ConfigError(f"{file}:{_position(error)}: is not YAML: {_reason(error)}") from None
    except yaml.reader.ReaderError as error:
        line, column = text.count("\n", 0, error.position) + 1, error.position - text.rfind("\n", 0, error.position)
        raise ConfigError(f"{file}:{line}:{column}: is not YAML: it holds a control character; remove it") from None
    except RecursionError:
        raise ConfigError(f"{file}: is not a configuration: its values are nested too deeply") from None
    except (ValueError, OverflowError):  # escapes and versions with numbers that are out of all bounds
        raise ConfigError(f"{file}: is not YAML: an escape such as \\U stands for no character") from None


def _position(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    return f"{mark.line + 1}:{mark.column + 1}" if mark else "1:1"


def _reason(error: yaml.MarkedYAMLError) -> str:
    """The parser's words without those of the file: a password that begins with * or & looks like an alias to it."""
    problem = re.sub(r"(alias|anchor|handle) .*", r"\1", error.problem or str(error.context), flags=re.DOTALL)
    if problem.startswith("but "):
        problem = f"{error.context}, {problem}"
    return f"{problem}; a value with special characters needs quotes, and a colon a space after it"


class _Builder:
    """Turns nodes into data, and notes lines and problems in the document."""

    def __init__(self, file: str, document: Document) -> None:
        self.file, self.document = file, document

    def value(self, node: yaml.Node, path: KeyPath, around: tuple[yaml.Node, ...]) -> Any:
        self._count()
        if any(node is other for other in around):
            return self._problem(path, "the anchor is inside itself; write the value out")
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_TAG}map":
            return self._mapping(node, path, (*around, node))
        if isinstance(node, yaml.SequenceNode) and node.tag == f"{_TAG}seq":
            return [self._item(item, (*path, i), (*around, node)) for i, item in enumerate(node.value)]
        return self._scalar(node, path)

    def _item(self, node: yaml.Node, path: KeyPath, around: tuple[yaml.Node, ...]) -> Any:
        self.document.lines[path] = node.start_mark.line + 1
        return self.value(node, path, around)

    def _mapping(self, node: yaml.MappingNode, path: KeyPath, around: tuple[yaml.Node, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in node.value:
            name, line = key.value if isinstance(key, yaml.ScalarNode) else "?", key.start_mark.line + 1
            if name in found:
                self._problem((*path, name), f"is given again on line {line}; keep one of the two")
            elif key.tag != f"{_TAG}str":
                self._problem((*path, name), f"on line {line} is a key that is no text; put it in quotes")
            else:
                self.document.lines[*path, name] = line
                found[name] = self.value(value, (*path, name), around)
        return found

    def _scalar(self, node: yaml.Node, path: KeyPath) -> Any:
        kind = node.tag.removeprefix(_TAG)
        if kind not in _SCALARS or not isinstance(node, yaml.ScalarNode):
            return self._problem(path, "has a tag (!) that has no meaning here; remove it, or put the value in quotes")
        try:
            return _SCALARS[kind](node.value)
        except ValueError:
            return self._problem(path, f"is no {kind}, or one with too many digits; put it in quotes if it is text")

    def _problem(self, path: KeyPath, message: str) -> None:
        self.document.problems.append(Problem(path, message))

    def _count(self) -> None:
        self.document.nodes += 1
        if self.document.nodes > MOST_NODES:
            raise ConfigError(f"{self.file}: is not a configuration: it has more than {MOST_NODES} values")


def _boolean(text: str) -> bool:
    return bool(["false", "true"].index(text.lower()))


def _integer(text: str) -> int:
    return int(text, 0) if text[:2] in ("0o", "0x") else int(text)


def _float(text: str) -> float:
    return float(re.sub(r"\.(inf|nan)$", r"\1", text.lower()))


_SCALARS: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": _integer,
    "float": _float,
    "bool": _boolean,
    "null": lambda _: None,
}
