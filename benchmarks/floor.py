"""The floor: DuckDB scans the columns that a full count needs and joins the logs by id, and does nothing else.

`python -m benchmarks.floor --url duckdb:///FILE` tells its measure.
"""

import sqlalchemy as sa

from benchmarks.logs import END
from benchmarks.measure import asked, repeated, sources, tell

STATEMENT = """
    SELECT count(*), count(l.label), max(p.predicted_at), max(l.labeled_at), count(p.model_version),
           count(p.prediction), sum(p.score), sum(p.latency_seconds), count(p.country), count(p.device)
    FROM {} p LEFT JOIN {} l ON p.request_id = l.request_id
    WHERE p.predicted_at < :end"""


def main() -> None:
    """Tell the measure."""
    given = asked(__doc__)
    statement = sa.text(STATEMENT.format(*sources(given.parquet)))
    arguments = {} if given.parquet else {"read_only": True}
    with sa.create_engine(given.url, connect_args=arguments).connect() as connection:
        tell(repeated(given.times, lambda: connection.execute(statement, {"end": END.replace(tzinfo=None)}).all()))


if __name__ == "__main__":
    main()
