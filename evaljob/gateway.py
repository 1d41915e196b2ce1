"""The Pushgateway's address, credentials and certificates, none of which a message shows."""

import base64
import ssl
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr

from evaljob.config import Pushgateway
from evaljob.config.places import read_secret
from evaljob.errors import ConfigError, PushError
from evaljob.transport import Endpoint

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"  # of the Prometheus text format


def endpoint(gateway: Pushgateway) -> Endpoint:
    """Where and as whom to push.

    Raises ConfigError when there is no URL, PushError for a secret or a certificate that cannot be used.
    """
    if gateway.url is None:
        raise ConfigError("pushgateway.url is missing: there is nowhere to push to")
    parts = urlsplit(gateway.url)
    tls = _tls(gateway) if parts.scheme == "https" else None
    authorization, secrets = _credentials(gateway)
    headers = {"Content-Type": CONTENT_TYPE, "User-Agent": "evaljob"} | authorization
    return Endpoint(
        parts.hostname or "", parts.port or (443 if tls else 80), parts.path.rstrip("/"), tls, headers, secrets
    )


def _credentials(gateway: Pushgateway) -> tuple[dict[str, str], tuple[str, ...]]:
    """The Authorization header, and what of it is secret."""
    token = _secret("bearer_token", gateway.bearer_token, gateway.bearer_token_file)
    if token is not None:
        return {"Authorization": f"Bearer {token}"}, (token,)
    password = _secret("password", gateway.password, gateway.password_file)
    if password is None:
        return {}, ()
    basic = base64.b64encode(f"{gateway.username}:{password}".encode()).decode()
    return {"Authorization": f"Basic {basic}"}, (basic, password)


def _secret(key: str, value: SecretStr | None, file: Path | None) -> str | None:
    """The value, or what its file holds now: mounted secrets are renewed while a worker runs."""
    try:
        secret = value if file is None else read_secret(file)
    except ValueError as error:
        raise PushError(f"pushgateway.{key}_file: {file}: {error}") from error
    if secret is not None and key == "bearer_token" and not secret.get_secret_value().isascii():
        raise PushError(f"pushgateway.{key}_file: {file}: must not hold characters beyond ASCII")
    return None if secret is None else secret.get_secret_value()


def _tls(gateway: Pushgateway) -> ssl.SSLContext:
    """The system's authorities, or only those of `ca_file`; a client certificate where there is one."""
    try:
        context = ssl.create_default_context(cafile=gateway.ca_file)
        if gateway.cert_file is not None:
            context.load_cert_chain(gateway.cert_file, gateway.key_file, password=_no_passphrase)
    except (OSError, ValueError) as error:
        files = ", ".join(str(f) for f in (gateway.ca_file, gateway.cert_file, gateway.key_file) if f is not None)
        raise PushError(f"pushgateway: cannot use the certificates {files}: {error}") from error
    return context


def _no_passphrase() -> str:
    raise ValueError("the key is encrypted; give it without a passphrase")  # else OpenSSL would ask the terminal
