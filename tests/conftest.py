"""What every test may use: real servers, empty at the start of each test, and the same environment everywhere."""

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from hypothesis import settings

from tests import servers, shared
from tests.processes import LOOPBACK

SESSION = "EVALJOB_TEST_SESSION"
_STACK = pytest.StashKey[ExitStack]()

settings.register_profile("evaljob", settings(), deadline=None)  # a shared machine's pauses are no failures
settings.load_profile("evaljob")


def pytest_configure(config: pytest.Config) -> None:
    """Make the environment the same everywhere, and in the session's first process open the shared servers."""
    stack = config.stash[_STACK] = ExitStack()
    # Far from UTC: where local time slips in, a test shows it.
    os.environ |= {"TZ": "Asia/Kathmandu", "no_proxy": LOOPBACK, "NO_PROXY": LOOPBACK}
    time.tzset()
    if not hasattr(config, "workerinput"):
        for name in [name for name in os.environ if name.startswith("EVALJOB_")]:
            del os.environ[name]  # a developer's own databases and gateways are not for tests
        os.environ[SESSION] = str(stack.enter_context(shared.session()))


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers that the session shared."""
    config.stash[_STACK].close()


@pytest.fixture(scope="session")
def pushgateway_url() -> str:
    """URL of this worker's Pushgateway, whatever tests left in it: `pushgateway` gives it empty."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "")
    return shared.url(Path(os.environ[SESSION]), "pushgateway", worker)  # its groups are global: a worker, a gateway


@pytest.fixture
def pushgateway(pushgateway_url: str) -> str:
    """URL of a Pushgateway, empty at the start of the test."""
    servers.wipe(pushgateway_url)
    return pushgateway_url


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """SQLAlchemy URL of the session's PostgreSQL, as its superuser."""
    return shared.url(Path(os.environ[SESSION]), "postgres")


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[str]:
    """SQLAlchemy URL of an empty PostgreSQL database that goes when the test ends."""
    with _database(postgres_url, "DROP DATABASE {} WITH (FORCE)") as url:
        yield url


@pytest.fixture(scope="session")
def mariadb_url() -> str:
    """SQLAlchemy URL of the session's MariaDB, as its root."""
    return shared.url(Path(os.environ[SESSION]), "mariadb")


@pytest.fixture
def mariadb_database(mariadb_url: str) -> Iterator[str]:
    """SQLAlchemy URL of an empty MariaDB database that goes when the test ends."""
    with _database(mariadb_url, "DROP DATABASE {}") as url:
        yield url


@pytest.fixture(scope="session")
def mlflow_url() -> str:
    """URL of the session's MLflow tracking server. What tests leave there stays: each takes names of its own."""
    return shared.url(Path(os.environ[SESSION]), "mlflow")


@pytest.fixture(scope="session")
def spark_url() -> str:
    """SQLAlchemy URL of the session's Spark Thrift server. Parquet files are read by their path."""
    return shared.url(Path(os.environ[SESSION]), "spark")


@contextmanager
def _database(server: str, drop: str) -> Iterator[str]:
    name = f"test_{uuid4().hex}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    yield sa.make_url(server).set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(drop.format(name)))
