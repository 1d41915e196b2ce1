"""The reference pages of docs/, made from the code: configuration keys, metrics, command line.

python -m scripts.reference writes docs/reference/; a test holds them to what it would write.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import annotated_types
import click
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from evaljob import gauges
from evaljob.cli import cli
from evaljob.config import places, values
from evaljob.config.section import Login
from evaljob.config.shape import ConfigShape

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "reference"
MADE = "<!-- Made by `make docs` from the code: change it there. -->\n\n"
WIDTH = 110
_WORDS: Mapping[str, str] = {
    "Duration": "duration", "PositiveDuration": "duration, longer than zero", "Whole": "whole number",
    "Number": "number", "Name": "text", "GroupingValue": "text", "ValueColumn": "column of labels.sql",
    "Slice": "column of predictions.sql, or list of such columns", "Class": "class: text, whole number, true or false",
    "Label": "class, or number", "Cron": "cron expression", "Timezone": "IANA time zone",
    "RunReference": "run id, `models:/name/1` or `models:/name@alias`", "File": "file", "SqlFile": "file with a SELECT",
    "SecretFile": "file with a secret", "Secret": "secret", "Token": "secret", "DatabaseUrl": "SQLAlchemy URL",
    "GatewayUrl": "http(s) URL", "TrackingUri": "http(s) URL",
}  # fmt: skip
_PLAIN: Mapping[Any, str] = {bool: "true or false", int: "whole number", float: "number", str: "text", Path: "file"}
_BOUNDS: Mapping[type, tuple[str, str]] = {
    annotated_types.Ge: ("ge", "at least"),
    annotated_types.Gt: ("gt", "greater than"),
    annotated_types.Le: ("le", "at most"),
    annotated_types.Lt: ("lt", "less than"),
}
_OF_KEYS = """\
Unknown keys are refused. A key without a default has to be there. Durations are whole numbers with units: `30s`, `5m`,
`1h30m`, `7d`, `2w`. Files are relative to the configuration file. `${NAME}` and `${NAME:-default}` come from the
environment. `evaljob init` writes the commented file at the end of this page.
"""
_OF_RESULTS = """\
Every group in the Pushgateway has the labels `job` and `model`. An undefined value is NaN, never 0.

## Results

All have the labels `model_version` (`all` is the total), `window`, `slice` (`overall` is all rows) and `slice_value`.
Beside a metric with an interval stand `_lower` and `_upper`.
"""
_OF_RUNS = """\
## Of the results as a whole, and of the runs

The status of a run is in a group of its own, with `kind="status"`: a run that failed erases no results.
"""
_UNITS = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))


def main() -> None:
    """Write the pages."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / name).write_text(page(), encoding="utf-8")


def configuration() -> str:
    """Every key of the configuration file, section by section, and the template that explains them."""
    template = (files("evaljob") / "templates" / "config.yaml").read_text(encoding="utf-8")
    sections = "\n".join(_sections("", ConfigShape))
    return f"# Configuration\n\n{MADE}{_OF_KEYS}\n{sections}\n## With comments\n\n```yaml\n{template}```\n"


def metrics() -> str:
    """Every metric, of the results first."""
    table = gauges.metric_table()
    results = [row for row in table if set(gauges.SERIES) <= set(row[1])]
    others = [row for row in table if row not in results]
    return f"# Metrics\n\n{MADE}{_OF_RESULTS}\n{_metrics(results, gauges.SERIES)}\n{_OF_RUNS}\n{_metrics(others, ())}"


def command_line() -> str:
    """What each command says of itself."""
    context = click.Context(cli, info_name="evaljob", **_settings())
    helps = [_help("evaljob", cli.get_help(context))]
    for name in cli.list_commands(context):
        command = cli.commands[name]
        inner = click.Context(command, info_name=name, parent=context, **_settings())
        helps.append(_help(f"evaljob {name}", command.get_help(inner)))
    return f"# Command line\n\n{MADE}" + "\n".join(helps)


PAGES: Mapping[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "metrics.md": metrics,
    "cli.md": command_line,
}


def _settings() -> dict[str, Any]:
    return {**cli.context_settings, "terminal_width": WIDTH}


def _sections(path: str, section: type[BaseModel]) -> Iterator[str]:
    """A table of the section's keys, and then the sections inside it."""
    hints = get_type_hints(section, include_extras=True)
    # Those that sections share come last.
    names = sorted(section.model_fields, key=lambda name: issubclass(section, Login) and name in Login.model_fields)
    rows = [_key(name, section.model_fields[name], hints[name]) for name in names]
    heading = f"`{path}`" if path else "The whole file"
    yield f"## {heading}\n\n{_text(section)}\n\n{_table(['key', 'value', 'default'], rows)}"
    for name in section.model_fields:
        for inner in _inside(hints[name]):
            yield from _sections(f"{path}.{name}{'[]' if _is_list(hints[name]) else ''}".removeprefix("."), inner)


def _is_list(hint: Any) -> bool:
    return tuple in (get_origin(part) for part in (hint, *get_args(hint)))


def _key(name: str, field: FieldInfo, hint: Any) -> list[str]:
    bounds = [
        f"{word} {getattr(bound, attribute):g}"
        for bound in field.metadata
        for kind, (attribute, word) in _BOUNDS.items()
        if isinstance(bound, kind)
    ]
    return [f"`{name}`", ", ".join([_words(hint), *bounds]), "" if field.is_required() else _default(field.default)]


def _words(hint: Any) -> str:
    """A type in words."""
    known = (
        words for name, words in _WORDS.items() if hint in (getattr(values, name, None), getattr(places, name, None))
    )
    return next(known, None) or _of_parts(hint) or _PLAIN.get(hint, "section")


def _of_parts(hint: Any) -> str:
    """A type that is made of others in words, nothing for one that is not."""
    origin, inner = get_origin(hint), [part for part in get_args(hint) if part not in (NoneType, ...)]
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin is Annotated:
        return _words(inner[0])
    words = list(dict.fromkeys(map(_words, inner)))
    if origin is tuple:
        return f"list: {words[0]}"
    return f"mapping of {' to '.join(words)}" if origin is Mapping else " or ".join(words)


def _default(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, SecretStr):  # a default is no secret
        value = value.get_secret_value()
    if isinstance(value, timedelta):
        return f"`{_duration(value)}`"
    return "its own" if isinstance(value, BaseModel) or value == {} else f"`{_plain(value)}`"


def _plain(value: Any) -> str:
    return "[]" if value == () else str(value)


def _duration(value: timedelta) -> str:
    seconds = int(value.total_seconds())
    unit, size = next((found for found in _UNITS if seconds and seconds % found[1] == 0), _UNITS[-1])
    return f"{seconds // size}{unit}"


def _inside(hint: Any) -> Iterator[type[BaseModel]]:
    if isinstance(hint, type) and issubclass(hint, BaseModel):
        yield hint
    for part in get_args(hint):
        yield from _inside(part)


def _text(section: type[BaseModel]) -> str:
    """The docstring, as one paragraph a paragraph."""
    paragraphs = (section.__doc__ or "").strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _metrics(rows: list[tuple[str, tuple[str, ...], bool, str]], known: tuple[str, ...]) -> str:
    cells = [
        [f"`{name}`", _codes(label for label in labels if label not in known), "yes" if interval else "", about]
        for name, labels, interval, about in rows
    ]
    return _table(["metric", "labels", "interval", ""], cells)


def _codes(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _table(headings: list[str], rows: list[list[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


def _help(name: str, text: str) -> str:
    return f"## {name}\n\n```text\n{text}\n```\n"


if __name__ == "__main__":
    main()
