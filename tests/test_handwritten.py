"""The hand-written contender of the benchmarks counts what evaljob counts: only then do their times compare."""

from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks import handwritten, logs


@pytest.mark.parametrize("form", ["tables", "Parquet"])
def test_the_cells_are_the_same(form: str, tmp_path: Path) -> None:
    """On tables and on files."""
    file = tmp_path / "logs.duckdb"
    url, parquet = logs.to_duckdb(file, logs.Size(100_000)), None
    if form == "Parquet":
        url, parquet = logs.to_parquet(tmp_path / "files", file), tmp_path / "files"
    assert handwritten.same(Namespace(url=url, parquet=parquet))
