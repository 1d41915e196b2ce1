"""The statement in the dialects of warehouses: what their own projects compile is what the golden files hold."""

from pathlib import Path

import pytest

from evaljob.types import kind_of
from tests import golden


@pytest.mark.parametrize("name", golden.DIALECTS)
def test_golden(name: str) -> None:
    """Where the statement is meant to differ, `python -m tests.golden` writes it anew, to be read before it is kept."""
    path = Path(golden.__file__).parent / f"{name}.sql"
    assert golden.golden(name) == path.read_text()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Nullable(DateTime64(6))", "timestamp"),
        ("LowCardinality(Nullable(String))", "text"),
        ("FixedString(16)", "text"),
        ("UInt8", "integer"),
        ("timestamp(6) with time zone", "timestamptz"),
        ("timestamp_ntz", "timestamp"),
        ("TIMESTAMP_TYPE", "timestamp"),
        ("varbinary", "bytes"),
        ("BYTES", "bytes"),
        ("Array(String)", "other"),
    ],
)
def test_types_of_columns(name: str, kind: str) -> None:
    """The names that ClickHouse, Trino, Databricks, Spark and BigQuery give to types."""
    assert kind_of(name) == kind
