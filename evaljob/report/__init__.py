"""`evaljob report`: one HTML page for a manager and an engineer, from the states and the history.

The page is one file without scripts that fetches nothing. It needs the extra `report`.
"""

from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from evaljob.config import Config
from evaljob.errors import ConfigError

NEEDED = ("jinja2", "matplotlib")


def missing_extra() -> str | None:
    """What to do where the libraries of the report are not installed, None where they are."""
    if all(find_spec(name) is not None for name in NEEDED):
        return None
    return "the report needs libraries that are not installed; pip install 'evaljob[report]'"


def write(file: Path, page: str) -> None:
    """Write the page at once: whoever opens the file sees all of it or the one before. Raises ConfigError."""
    draft = file.with_name(f"{file.name}.part")
    try:
        draft.write_text(page, encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise ConfigError(f"--output: {file}: cannot be written: {error.strerror}; choose another place") from error


def report(config: Config, now: datetime, days: int) -> str:
    """The page, with `days` of history. Raises ConfigError without the extra, and EvaluationError where state fails."""
    problem = missing_extra()
    if problem is not None:
        raise ConfigError(problem)
    from evaljob.report import gather, page  # noqa: PLC0415  (an extra, and slow to import)

    return page.render(config, *gather.gather(config, days), now, days)
