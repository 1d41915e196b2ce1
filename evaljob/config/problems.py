"""What is wrong with a configuration, each problem with its place in the file."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

KeyPath = tuple[str | int, ...]

_LONGEST_SHOWN = 60
_PLAIN_KEY = re.compile(r"[\w-]{1,60}")


@dataclass(frozen=True)
class Problem:
    """`message` says what is wrong at `path` and how to mend it. It never holds a value that may be a secret."""

    path: KeyPath
    message: str


def dotted(path: KeyPath) -> str:
    """A path as a person writes it: `evaluations[0].windows[1].name`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in path)
    return "".join(parts).removeprefix(".")


def shown(value: str) -> str:
    """A text for a message: quoted, on one line, not longer than a line."""
    return repr(value if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]}...")


def nearest(word: str, words: Iterable[str]) -> str | None:
    """The one of `words` that was probably meant, None when none is like `word`."""
    folded = {known.casefold(): known for known in words}
    found = get_close_matches(word.casefold().replace("-", "_"), folded, n=1)
    return folded[found[0]] if found else None


def within(path: KeyPath, places: Iterable[KeyPath]) -> bool:
    """Whether the path is one of the places or lies inside one."""
    return any(path[: len(place)] == place for place in places)


def report(file: str, problems: Iterable[Problem], lines: Mapping[KeyPath, int]) -> str:
    """One line a problem, in the file's order: `config.yaml:12: evaluations[0].task: what is wrong; how to mend it`."""
    placed = sorted((_line(problem.path, lines), i, problem) for i, problem in enumerate(problems))
    return "\n".join(f"{file}:{line}: {_told(problem)}" for line, _, problem in placed)


def _told(problem: Problem) -> str:
    return f"{dotted(problem.path)}: {problem.message}" if problem.path else problem.message


def _line(path: KeyPath, lines: Mapping[KeyPath, int]) -> int:
    """The line of the path's key, or of the nearest key around it that the file has."""
    return next((lines[path[:n]] for n in range(len(path), -1, -1) if path[:n] in lines), 1)


def _key(key: str) -> str:
    # Without its space `password:secret` is a key: what follows the colon stays out of messages.
    key, colon, _ = key.partition(":")
    return (key if _PLAIN_KEY.fullmatch(key) else shown(key)) + colon
