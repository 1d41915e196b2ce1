"""Who is measured, on which database, and up to which size: what takes hours at a size says so instead."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

MILLION = 1_000_000
PEERS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Contender:
    """A module of benchmarks, what it is asked beside where the logs are, and how often.

    `logs` names the form of the logs; `peer` whose Python it needs; `note` is what its numbers do not hold.
    """

    name: str
    module: str
    logs: str
    arguments: tuple[str, ...] = ()
    times: int = 3
    largest: int = 10 * MILLION
    peer: str = ""
    note: str = ""

    @property
    def python(self) -> str:
        """The Python that runs it."""
        return str(peer_python(self.peer)) if self.peer else sys.executable

    def command(self, places: Mapping[str, list[str]]) -> list[str]:
        """Its arguments where the logs of each form are."""
        return [*self.arguments, *places[self.logs], "--times", str(self.times)]


def peer_python(peer: str) -> Path:
    """Where a peer's own environment is built."""
    return Path(__file__).parent.parent / "build" / "peers" / peer / "bin" / "python"


def _evaljob(
    logs: str, what: str, *more: str, name: str = "", times: int = 3, largest: int = 10 * MILLION, note: str = ""
) -> Contender:
    shown = f"evaljob {what}{name}, {DATABASES[logs]}"
    return Contender(shown, "benchmarks.evaluate", logs, (what, *more), times, largest, note=note)


def _backfill(logs: str, largest: int) -> Contender:
    hourly = ("--minutes", "60")
    return _evaljob(logs, "backfill", *hourly, name=" of 24 hours", times=24, largest=largest, note="all instants")


DATABASES = {
    "duckdb": "DuckDB", "parquet": "Parquet", "sqlite": "SQLite", "postgres": "PostgreSQL", "spark": "Spark"
}  # fmt: skip
ACCELERATED = ("--database", "accelerate=duckdb")
SERVER = "CPU and memory without the server's"
TEXTBOOK = "14 metrics, no intervals, no steps"
HANDWRITTEN = "the same cells of these logs alone, without metrics"
CONTENDERS = (
    Contender("floor: bare join, DuckDB", "benchmarks.floor", "duckdb", note="no resolution, no counting"),
    Contender("floor: bare join, Parquet", "benchmarks.floor", "parquet", note="no resolution, no counting"),
    Contender("hand-written full count, DuckDB", "benchmarks.handwritten", "duckdb", note=HANDWRITTEN),
    Contender("hand-written full count, Parquet", "benchmarks.handwritten", "parquet", note=HANDWRITTEN),
    _evaljob("duckdb", "full"),
    _evaljob("parquet", "full"),
    _evaljob("duckdb", "full", "--database", "memory_limit=512MB", name=" within 512 MB"),
    _evaljob("sqlite", "full", times=1, largest=MILLION),
    _evaljob("sqlite", "full", *ACCELERATED, name=" through DuckDB", times=1),
    _evaljob("postgres", "full", times=1, largest=MILLION, note=SERVER),
    _evaljob("postgres", "full", *ACCELERATED, name=" through DuckDB", times=1, largest=MILLION),
    _evaljob("sqlite", "step", *ACCELERATED, times=7),
    _evaljob("postgres", "step", times=7, largest=MILLION, note=SERVER),
    _evaljob("duckdb", "step", times=7),
    _evaljob("parquet", "step", times=3),
    _evaljob("spark", "full", times=1, note=SERVER),
    _evaljob("spark", "step", times=3, note=SERVER),
    _backfill("sqlite", MILLION),
    _backfill("postgres", MILLION),
    _backfill("duckdb", 10 * MILLION),
    Contender("textbook, DuckDB", "benchmarks.textbook", "duckdb", times=1, note=TEXTBOOK),
    Contender("textbook, SQLite", "benchmarks.textbook", "sqlite", times=1, largest=MILLION, note=TEXTBOOK),
    Contender("textbook, PostgreSQL", "benchmarks.textbook", "postgres", times=1, largest=MILLION, note=TEXTBOOK),
    Contender(
        "Evidently", "benchmarks.peers.evidently_report", "duckdb", times=1, largest=MILLION, peer="evidently",
        note="windows only: no versions, slices or steps",
    ),
    Contender(
        "NannyML", "benchmarks.peers.nannyml_performance", "duckdb", times=1, largest=MILLION, peer="nannyml",
        note="windows only: no versions, slices or steps",
    ),
)  # fmt: skip
