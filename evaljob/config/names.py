"""Names that must not be shared: of models, of an evaluation's windows, slices and values.

They are looked for in the plain tree, so that they are found whatever else is wrong with it.
"""

from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from evaljob.config.problems import KeyPath, Problem, dotted


def shared(tree: Any) -> Iterator[Problem]:
    """A problem for each name that is there already."""
    evaluations = list(_items(tree, (), "evaluations"))
    yield from _repeated(_member(path, item, "model") for path, item in evaluations)
    for path, evaluation in evaluations:
        yield from _repeated(_member(place, window, "name") for place, window in _items(evaluation, path, "windows"))
        yield from _repeated((place, _columns(item)) for place, item in _items(evaluation, path, "slices"))
        yield from _repeated(_items(evaluation, path, "values"))


def _repeated(named: Iterable[tuple[KeyPath, Any]]) -> Iterator[Problem]:
    first: dict[Hashable, KeyPath] = {}
    for path, name in named:
        if not isinstance(name, str | frozenset):
            continue
        if name in first:
            yield Problem(path, f"is the same as {dotted(first[name])}; change or remove one of the two")
        first.setdefault(name, path)


def _items(tree: Any, path: KeyPath, key: str) -> Iterator[tuple[KeyPath, Any]]:
    items = tree.get(key) if isinstance(tree, dict) else None
    for i, item in enumerate(items if isinstance(items, list) else ()):
        yield (*path, key, i), item


def _member(path: KeyPath, item: Any, key: str) -> tuple[KeyPath, Any]:
    return ((*path, key), item.get(key)) if isinstance(item, dict) else (path, item)


def _columns(item: Any) -> Any:
    """The order of the columns makes no other slice."""
    columns = item if isinstance(item, list) else [item]
    return frozenset(columns) if all(isinstance(column, str) for column in columns) else None
