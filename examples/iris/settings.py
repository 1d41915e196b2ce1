"""What the environment sets."""

import os
from dataclasses import dataclass, field
from pathlib import Path

_DATA = Path(__file__).parent / "data"
_SPOOL_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Settings:
    """`database_url` may carry a password, so it is not shown.

    64 MiB of spool hold some 250,000 requests. `spool` must be a local directory, the service's own on its host.
    """

    database_url: str = field(repr=False)
    spool: Path
    spool_bytes: int
    canary_share: float


def from_environment() -> Settings:
    """IRIS_DATABASE_URL, IRIS_SPOOL, IRIS_SPOOL_BYTES and IRIS_CANARY_SHARE, each with a default."""
    share = float(os.environ.get("IRIS_CANARY_SHARE", "0.3"))
    if not 0 <= share <= 1:
        raise ValueError(f"IRIS_CANARY_SHARE is {share}, it must be from 0 to 1")
    return Settings(
        os.environ.get("IRIS_DATABASE_URL") or f"sqlite:///{_DATA / 'iris.db'}",
        Path(os.environ.get("IRIS_SPOOL") or _DATA / "spool"),
        int(os.environ.get("IRIS_SPOOL_BYTES") or _SPOOL_BYTES),
        share,
    )
