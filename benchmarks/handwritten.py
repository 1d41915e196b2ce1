"""The hand-written contender: what an expert would write for DuckDB and for these logs alone, to get the same cells.

`python -m benchmarks.handwritten --url duckdb:///FILE` tells the measure of handwritten.sql; with `--check` also
whether its cells are those of evaljob's full count.
"""

import math
import re
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import duckdb
import pandas as pd
import sqlalchemy as sa

from benchmarks.evaluations import configure
from benchmarks.logs import END
from benchmarks.measure import asked, repeated, sources, tell
from evaljob.advance import advance
from evaljob.cells import collect
from evaljob.join.measure import score_bin
from evaljob.opening import logs, plan_of
from evaljob.statistics.bins import DURATION_GAMMA

SQL = Path(__file__).with_suffix(".sql")


def statements(parquet: Path | None) -> list[str]:
    """The statements, over the tables or the files of a folder."""
    predictions, labels = sources(parquet)
    text = re.sub(r"^--.*\n", "", SQL.read_text(), flags=re.MULTILINE)
    ladder = score_bin(sa.literal_column("points")).compile(dialect=sa.create_engine("duckdb://").dialect)
    filled = text.format(
        predictions=predictions,
        labels=labels,
        end=END.replace(tzinfo=None),
        bin=ladder,
        gamma=repr(math.log(DURATION_GAMMA)),
    )
    return [statement for statement in filled.split(";") if statement.strip()]


def rows(connection: duckdb.DuckDBPyConnection, parquet: Path | None) -> Iterator[pd.DataFrame]:
    """The rows that evaljob's statement would return, but for their order."""
    for statement in statements(parquet):
        result = connection.execute(statement)
        if statement.lstrip().startswith(("SELECT", "WITH")):
            yield result.df()


def opened(given: Namespace) -> duckdb.DuckDBPyConnection:
    """The database that was asked for, which is only read."""
    database = str(sa.make_url(given.url).database)
    return duckdb.connect(database, read_only=given.parquet is None)


def same(given: Namespace) -> bool:
    """Whether the cells are evaljob's."""
    with tempfile.TemporaryDirectory() as folder:
        config = configure(Path(folder), given.url, parquet=given.parquet)
        with logs(config) as engine, engine.connect() as connection:
            plan = plan_of(connection, config.evaluations[0])
            counted = advance(connection, plan, None, END, "").state.cells
    with opened(given) as database:
        frames = list(rows(database, given.parquet))
    batches = [list(frame.itertuples(index=False, name=None)) for frame in frames]
    return collect(plan, list(frames[0].columns), batches).identical(counted)


def main() -> None:
    """Tell the measure."""
    given = asked(__doc__, "--check")
    with opened(given) as connection:
        measure = repeated(given.times, lambda: list(rows(connection, given.parquet)))
    tell(replace(measure, notes={"same": same(given)}) if given.check else measure)


if __name__ == "__main__":
    main()
