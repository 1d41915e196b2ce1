"""The sections of a checked configuration that are not about models."""

from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator

from evaljob.config.places import DatabaseUrl, File, GatewayUrl, TrackingUri
from evaljob.config.section import Login, Section
from evaljob.config.values import Cron, Duration, GroupingValue, MemorySize, Name, PositiveDuration, Timezone, Whole


class Database(Section):
    """The database that the logs live in. `statement_timeout` bounds one statement: one that waits for a lock ends.

    `accelerate`: full counts of a row store are done in DuckDB. `memory_limit` is how much DuckDB may take, None: 80%
    of the machine's; the rest goes to files.
    """

    url: DatabaseUrl = Field(examples=["sqlite:///logs.db"])
    statement_timeout: PositiveDuration = timedelta(hours=1)
    accelerate: Literal["none", "duckdb"] = "none"
    memory_limit: MemorySize | None = None


class StateStore(Section):
    """Where evaljob keeps its own tables: by default a file beside the configuration.

    Results older than `history_retention` are removed.
    """

    url: DatabaseUrl = Field(
        default=SecretStr("sqlite:///evaljob-state.db"), validate_default=True, examples=["sqlite:///evaljob-state.db"]
    )
    history_retention: PositiveDuration = timedelta(days=90)


class Pushgateway(Login):
    """Where results go; `url` None: nowhere. `timeout` bounds a whole push, retries included."""

    url: GatewayUrl | None = None
    job: GroupingValue = "evaljob"
    timeout: PositiveDuration = timedelta(seconds=10)
    cert_file: File | None = None
    key_file: File | None = None

    @field_validator("key_file")
    @classmethod
    def _with_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("cert_file", value) is None:
            raise ValueError("must go with cert_file; give both or none")
        return value


class Mlflow(Login):
    """The MLflow tracking server that versions are followed on; `tracking_uri` None: none.

    Runs of versions that have none are made in `experiment`, which has to be there; None: in `evaljob`, which is made.
    A point is logged at most once in `every`; `timeout` bounds all of it, after each push. Metrics of a run whose names
    begin with `offline_prefix` are its offline ones.
    """

    tracking_uri: TrackingUri | None = None
    experiment: Name | None = None
    every: PositiveDuration = timedelta(hours=1)
    timeout: PositiveDuration = timedelta(seconds=10)
    offline_prefix: Name = "offline_"


class Schedule(Section):
    """When the worker evaluates: `every` interval or by `cron` in `timezone`, one of them None.

    `settle` is how far `as_of` stays behind the clock; `reconcile` is a cron expression of its own.
    """

    cron: Cron | None = None
    every: PositiveDuration | None = Field(default=None, validate_default=True)
    timezone: Timezone = "UTC"
    settle: Duration = timedelta(seconds=10)
    reconcile: Cron | None = None

    @field_validator("every")
    @classmethod
    def _or_cron(cls, value: timedelta | None, info: ValidationInfo) -> timedelta | None:
        cron = info.data.get("cron", "wrong")
        if value is not None and cron is not None:
            raise ValueError("cannot go with cron; keep one of the two")
        return timedelta(minutes=5) if value is None and cron is None else value


class Worker(Section):
    """Where the worker answers /healthz and /metrics; port 0: any that is free."""

    host: Name = "127.0.0.1"
    port: Whole = Field(default=9108, ge=0, le=65_535)


class Sections(Section):
    """The sections of a configuration that mean the same in the file and when checked."""

    database: Database = Field(examples=["{url: sqlite:///logs.db}"])
    state: StateStore = Field(default={}, validate_default=True, examples=["{url: sqlite:///evaljob-state.db}"])
    pushgateway: Pushgateway = Pushgateway()
    schedule: Schedule = Schedule()
    worker: Worker = Worker()
    mlflow: Mlflow = Mlflow()
