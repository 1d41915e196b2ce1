"""Files, secrets and addresses in a configuration. Relative ones start in the directory of the configuration file."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

import sqlalchemy as sa
from pydantic import AfterValidator, SecretStr, ValidationInfo

BASE = "base"  # the key of that directory in pydantic's validation context

_LARGEST_FILE = 2**20
_EMBEDDED = ("sqlite", "duckdb")
_LARGEST_PORT = 65_535


def read_secret(path: Path) -> SecretStr:
    """The text of a file without the end of its line. Raises ValueError, without the text in it."""
    secret = _read(path).rstrip("\r\n")
    if not secret:
        raise ValueError("is an empty file; write the secret into it")
    return _on_one_line(SecretStr(secret))


def _on_one_line(value: SecretStr) -> SecretStr:
    # In the header of a request it would be refused by an error that shows it.
    if re.search(r"[\x00-\x1f\x7f]", value.get_secret_value()):
        raise ValueError("must not hold control characters or ends of lines")
    return value


def _file(value: Path, info: ValidationInfo) -> Path:
    path = _resolved(value, info)
    _read(path)
    return path


def _sql_file(value: Path, info: ValidationInfo) -> Path:
    path = _resolved(value, info)
    if info.context and not _read(path).strip():
        raise ValueError("is an empty file; write the SELECT into it")
    return path


def _secret_file(value: Path, info: ValidationInfo) -> Path:
    path = _resolved(value, info)
    read_secret(path)
    return path


def _resolved(path: Path, info: ValidationInfo) -> Path:
    return Path(info.context[BASE], path) if info.context else path


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE + 1)
            return _text(content)
    except FileNotFoundError as error:
        raise ValueError("is no file that is there; paths are relative to the configuration file") from error
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error


def _text(content: bytes) -> str:
    if len(content) > _LARGEST_FILE:
        raise ValueError("is a file of more than 1 MiB; name the right one")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError("is a file that is not UTF-8 text; save it as UTF-8") from error
    if "\0" in text:
        raise ValueError("is a file that holds NUL characters; save it as UTF-8 text")
    return text


def _database_url(value: SecretStr, info: ValidationInfo) -> SecretStr:
    try:
        url = sa.make_url(value.get_secret_value())
    except (sa.exc.ArgumentError, ValueError):
        message = "must be a SQLAlchemy URL, such as sqlite:///logs.db or postgresql+psycopg://user:password@host/name"
        # `from None`: the cause may quote the password.
        raise ValueError(f"{message}; write @ : / % in a password as %40 %3A %2F %25") from None
    if url.port is not None and url.port > _LARGEST_PORT:
        raise ValueError(f"has a port beyond {_LARGEST_PORT}")
    if url.get_backend_name() not in _EMBEDDED:
        return value
    if url.host is not None:
        raise ValueError(
            f"needs three slashes before a file, and four before an absolute one: {url.drivername}:///logs.db"
        )
    return _embedded(url, value, info)


def _embedded(url: sa.URL, value: SecretStr, info: ValidationInfo) -> SecretStr:
    """The URL with an absolute file. What has a scheme of its own (`file:`, `:memory:`, `md:`) is no file."""
    if not url.database or re.match(r"\w*:", url.database) or not info.context:
        return value
    resolved = url.set(database=str(Path(info.context[BASE], url.database)))
    return SecretStr(resolved.render_as_string(hide_password=False))


def _gateway_url(value: str) -> str:
    return _http(value, "of a Pushgateway, such as http://127.0.0.1:9091")


def _tracking_uri(value: str) -> str:
    return _http(value, "of an MLflow tracking server, such as http://127.0.0.1:5000")


def _http(value: str, what: str) -> str:
    url = _split(value, what)
    if url.username is not None:
        raise ValueError("must not hold a user or a password; write them under username and password")
    if url.query or url.fragment:
        raise ValueError("must not hold a ? or a #: paths are appended to it")
    return value


def _split(value: str, what: str) -> SplitResult:
    try:
        url = urlsplit(value)
        valid = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        valid = False
    if not valid or not re.fullmatch("[!-~]+", value):
        raise ValueError(f"must be the address {what}")
    return url


def _ascii(value: SecretStr) -> SecretStr:
    if not value.get_secret_value().isascii():
        raise ValueError("must not hold characters beyond ASCII")
    return value


File = Annotated[Path, AfterValidator(_file)]
SqlFile = Annotated[Path, AfterValidator(_sql_file)]
SecretFile = Annotated[Path, AfterValidator(_secret_file)]
Secret = Annotated[SecretStr, AfterValidator(_on_one_line)]
Token = Annotated[Secret, AfterValidator(_ascii)]
DatabaseUrl = Annotated[Secret, AfterValidator(_database_url)]
GatewayUrl = Annotated[str, AfterValidator(_gateway_url)]
TrackingUri = Annotated[str, AfterValidator(_tracking_uri)]
