"""The statement in the dialects of warehouses: what their own projects compile is what the golden files hold."""

from pathlib import Path

import pytest

from tests import golden


@pytest.mark.parametrize("name", golden.DIALECTS)
def test_golden(name: str) -> None:
    """Where the statement is meant to differ, `python -m tests.golden` writes it anew, to be read before it is kept."""
    path = Path(golden.__file__).parent / f"{name}.sql"
    assert golden.golden(name) == path.read_text()
