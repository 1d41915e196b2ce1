"""What sections of a configuration have in common."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from evaljob.config.places import File, Secret, SecretFile, Token, read_secret
from evaljob.config.values import Name


class Section(BaseModel):
    """A mapping of the configuration: unknown keys are refused, a key without a value counts as not given."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: Any) -> Any:
        if not isinstance(given, dict):
            return given
        return {key: value for key, value in given.items() if value is not None or key not in cls.model_fields}


class Login(Section):
    """Who to be for a server: a bearer token, a user with a password, or nobody; and whose certificates to trust.

    `password` and `bearer_token` hold the secret also when it was given by its file.
    """

    bearer_token_file: SecretFile | None = None
    bearer_token: Token | None = Field(default=None, validate_default=True)
    password_file: SecretFile | None = None
    password: Secret | None = Field(default=None, validate_default=True)
    username: Name | None = Field(default=None, validate_default=True)
    ca_file: File | None = None

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
