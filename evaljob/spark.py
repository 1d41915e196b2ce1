"""Spark SQL through its Thrift server: PyHive's dialect, with what it leaves to others.

Reached at `hive://`, and at `hive+http://` and `hive+https://` where the server speaks Thrift over HTTP.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import sqlalchemy as sa
from pyhive import hive
from pyhive.sqlalchemy_hive import (
    HiveCompiler,
    HiveDialect,
    HiveHTTPDialect,
    HiveHTTPSDialect,
    HiveIdentifierPreparer,
)
from sqlalchemy.engine.interfaces import DBAPIConnection
from thrift.Thrift import TException

FETCHED = 10_000  # rows in one answer of the server

logging.getLogger("pyhive").setLevel(logging.WARNING)  # it logs every statement with its values


class Cursor(hive.Cursor):
    """A cursor whose errors are those of a database, also when the connection breaks."""

    def execute(self, operation: str, parameters: Any = None, **kw: Any) -> None:
        """Run a statement to its end."""
        with _as_database_errors():
            super().execute(operation, parameters, **kw)

    def _fetch_more(self) -> None:
        with _as_database_errors():
            super()._fetch_more()


class Connection(hive.Connection):
    """A connection with cursors of ours."""

    def cursor(self, *_: Any, **__: Any) -> Cursor:
        """A cursor that fetches many rows at once."""
        return Cursor(self, arraysize=FETCHED)


class SparkCompiler(HiveCompiler):
    """Literals as Spark reads them."""

    def render_literal_value(self, value: Any, type_: sa.types.TypeEngine[Any]) -> str:
        """A value as it stands in the text of `evaljob sql`."""
        if isinstance(value, str):
            escaped: str = hive.HiveParamEscaper().escape_string(value)
            return escaped.replace("%", "%%")
        return str(super().render_literal_value(value, type_))


class SparkIdentifierPreparer(HiveIdentifierPreparer):
    """Names with a backtick in them."""

    def __init__(self, dialect: sa.Dialect) -> None:
        super().__init__(dialect)
        self.escape_quote = self.final_quote
        self.escape_to_quote = self.escape_quote * 2


class SparkDialect(HiveDialect):
    """Thrift over TCP."""

    supports_statement_cache = True  # a worker compiles its statements once
    statement_compiler = SparkCompiler
    preparer = SparkIdentifierPreparer

    @classmethod
    def import_dbapi(cls) -> Any:
        """PyHive's driver."""
        return hive

    def connect(self, *arguments: Any, **keywords: Any) -> DBAPIConnection:
        """A session of its own on the server.

        Raises PyHive's OperationalError when there is none, ProgrammingError for parameters that do not go together.
        """
        try:
            with _as_database_errors():
                connection: DBAPIConnection = Connection(*arguments, **keywords)
        except (ValueError, NotImplementedError) as error:
            raise hive.ProgrammingError(str(error)) from error
        return connection

    def on_connect(self) -> Callable[[Any], None]:
        """A statement that is out of time takes its tasks with it."""

        def interrupt(connection: Any) -> None:
            with closing(connection.cursor()) as cursor:
                cursor.execute("SET spark.sql.thriftServer.interruptOnCancel = true")

        return interrupt

    def is_disconnect(self, e: Exception, *_: Any) -> bool:
        """Whether an error means that the session is gone."""
        return isinstance(e.__cause__, (TException, OSError))


class SparkHTTPDialect(SparkDialect, HiveHTTPDialect):
    """Thrift over HTTP."""


class SparkHTTPSDialect(SparkDialect, HiveHTTPSDialect):
    """Thrift over HTTPS."""


@contextmanager
def _as_database_errors() -> Iterator[None]:
    try:
        yield
    except (TException, OSError, EOFError) as error:
        raise hive.OperationalError(str(error) or type(error).__name__) from error
