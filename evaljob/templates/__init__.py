"""What `evaljob init` writes to start from."""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

FILES = ("config.yaml", "sql/predictions.sql", "sql/labels.sql")


def write(directory: Path) -> Iterator[Path]:
    """Write the files that do not exist yet; yields those written."""
    for name in FILES:
        target = directory / name
        if not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(_content(files(__name__), name), encoding="utf-8")
            yield target


def _content(root: Traversable, name: str) -> str:
    return root.joinpath(*name.split("/")).read_text(encoding="utf-8")
