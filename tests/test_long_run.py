"""The long run of `benchmarks/long_run.py`, for a while."""

from pathlib import Path
from random import Random

import pytest

from benchmarks import long_run


@pytest.mark.parametrize("model", long_run.MODELS)
def test_no_cell_drifts_in_a_long_run(model: str, tmp_path: Path) -> None:
    """After 100 steps from microseconds to days nothing has been lost or counted twice, nor after any tenth of them."""
    chance = Random(3)  # noqa: S311  (nothing secret)
    instants = long_run.instants(chance, 100)
    long_run.write(tmp_path, chance, 600, instants[-1])
    record = long_run.run(tmp_path, model, instants, every=10)
    assert record.drift == 0
    assert record.recounted == 2  # the first one, and after four days
    assert record.cells > 1000
