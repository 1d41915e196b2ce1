"""What `evaljob init` writes to start from."""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from evaljob.errors import ConfigError

FILES = ("config.yaml", "sql/predictions.sql", "sql/labels.sql")


def write(directory: Path) -> Iterator[Path]:
    """Write the files that do not exist yet; yields those written. Raises ConfigError where they cannot be."""
    for name in FILES:
        target = directory / name
        if not target.exists():
            _write(target, _content(files(__name__), name))
            yield target


def _write(target: Path, text: str) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror}; choose another directory") from error


def _content(root: Traversable, name: str) -> str:
    return root.joinpath(*name.split("/")).read_text(encoding="utf-8")
