"""The sections of a checked configuration that are not about models."""

from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from evaljob.config.places import DatabaseUrl, File, GatewayUrl, Secret, SecretFile, Token, read_secret
from evaljob.config.values import Cron, Duration, GroupingValue, Name, PositiveDuration, Timezone, Whole


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are refused, a key without a value counts as not given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if value is not None or key not in cls.model_fields}


class Database(Section):
    """The database that the logs live in. `statement_timeout` bounds one statement: one that waits for a lock ends."""

    url: DatabaseUrl = Field(examples=["sqlite:///logs.db"])
    statement_timeout: PositiveDuration = timedelta(hours=1)


class StateStore(Section):
    """Where evaljob keeps its own tables: by default a file beside the configuration.

    Results older than `history_retention` are removed.
    """

    url: DatabaseUrl = Field(
        default=SecretStr("sqlite:///evaljob-state.db"), validate_default=True, examples=["sqlite:///evaljob-state.db"]
    )
    history_retention: PositiveDuration = timedelta(days=90)


class Pushgateway(Section):
    """Where results go; `url` None: nowhere. `timeout` bounds a whole push, retries included.

    `password` and `bearer_token` hold the secret also when it was given by its file.
    """

    url: GatewayUrl | None = None
    job: GroupingValue = "evaljob"
    timeout: PositiveDuration = timedelta(seconds=10)
    bearer_token_file: SecretFile | None = None
    bearer_token: Token | None = Field(default=None, validate_default=True)
    password_file: SecretFile | None = None
    password: Secret | None = Field(default=None, validate_default=True)
    username: Name | None = Field(default=None, validate_default=True)
    ca_file: File | None = None
    cert_file: File | None = None
    key_file: File | None = None

    @field_validator("bearer_token", "password")
    @classmethod
    def _read_from_file(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        path = info.data.get(f"{info.field_name}_file")
        if path is not None and value is not None:
            raise ValueError(f"is given twice; keep it or {info.field_name}_file")
        return value if path is None else read_secret(path)

    @field_validator("username")
    @classmethod
    def _with_password(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("bearer_token") is not None:
            raise ValueError("cannot go with bearer_token; keep one of the two")
        if value is not None and ":" in value:
            raise ValueError("must not hold a colon, which ends the user's name in HTTP")
        if "password" in info.data and (value is None) != (info.data["password"] is None):
            raise ValueError("must go with a password; give both or none")
        return value

    @field_validator("key_file")
    @classmethod
    def _with_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("cert_file", value) is None:
            raise ValueError("must go with cert_file; give both or none")
        return value


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
