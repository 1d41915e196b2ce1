"""What a database's error says about trying again."""

import sqlite3

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

_SQLITE = {
    sqlite3.SQLITE_BUSY: True,
    sqlite3.SQLITE_LOCKED: True,
    sqlite3.SQLITE_NOMEM: True,
    sqlite3.SQLITE_INTERRUPT: True,
    sqlite3.SQLITE_IOERR: True,
    sqlite3.SQLITE_FULL: True,
    sqlite3.SQLITE_PROTOCOL: True,
    sqlite3.SQLITE_PERM: False,
    sqlite3.SQLITE_READONLY: False,
    sqlite3.SQLITE_CANTOPEN: False,
    sqlite3.SQLITE_AUTH: False,
    sqlite3.SQLITE_NOTADB: False,
}
# PostgreSQL, by class: https://www.postgresql.org/docs/current/errcodes-appendix.html
_SQLSTATE = {"08": True, "40": True, "53": True, "55": True, "57": True, "58": True, "28": False, "3D": False}
# MySQL and MariaDB: too many connections, shutdown, lock timeout, deadlock, interrupted, out of time (twice);
# no access to the database, wrong password (twice), no such database
_MYSQL = dict.fromkeys((1040, 1053, 1205, 1213, 1317, 1969, 3024), True) | dict.fromkeys(
    (1044, 1045, 1698, 1049), False
)
_SQLITE_CONFLICTS = (
    sqlite3.SQLITE_BUSY_SNAPSHOT,
    sqlite3.SQLITE_BUSY_RECOVERY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_PROTOCOL,
)
# too many connections, lock not available, shutdown (twice), starting up
_SQLSTATE_CONFLICTS = ("53300", "55P03", "57P01", "57P02", "57P03")
# Of connections that were not made there is only libpq's text.
_LIBPQ = (
    "Connection refused",
    "Connection reset",
    "starting up",
    "shutting down",
    "too many",
    "remaining connection slots",
    "closed the connection",
    "Temporary failure in name resolution",
)
# too many connections, shutdown, lock timeout, deadlock, killed; no connection (twice), connection lost (twice)
_MYSQL_CONFLICTS = (1040, 1053, 1205, 1213, 1927, 2002, 2003, 2006, 2013)


def passes(error: SQLAlchemyError) -> bool | None:
    """Whether another try may succeed where nothing was mended; None where the error does not tell."""
    if not isinstance(error, DBAPIError):
        return None
    if error.connection_invalidated:
        return True
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return _SQLITE.get(getattr(cause, "sqlite_errorcode", 0) & 0xFF)  # the low byte: an extended code has more
    if (number := _mysql_number(cause)) is not None:
        return _MYSQL.get(number)
    if state := getattr(cause, "sqlstate", None):
        return _SQLSTATE.get(state[:2])
    of_driver = _BY_DRIVER.get(type(cause).__module__.partition(".")[0])
    return None if of_driver is None else of_driver(cause)


def transient(error: SQLAlchemyError) -> bool:
    """Whether another try at once may succeed: conflicts with others, a server that restarts or is full.

    A statement that was out of time is none of them, nor is an SQLite file that stayed busy: its driver has waited.
    """
    if not isinstance(error, DBAPIError):
        return False
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", 0) in _SQLITE_CONFLICTS
    if (number := _mysql_number(cause)) is not None:
        return number in _MYSQL_CONFLICTS
    if state := getattr(cause, "sqlstate", None):
        return state[:2] in ("08", "40") or state in _SQLSTATE_CONFLICTS
    if type(cause).__module__.startswith("psycopg"):
        return any(words in str(cause) for words in _LIBPQ)
    return error.connection_invalidated or (type(cause).__name__ == "IOException" and bool(_duckdb(cause)))


def _mysql_number(cause: BaseException | None) -> int | None:
    """MySQL's own number of an error, which tells more than its SQLSTATE."""
    number = cause.args[0] if cause is not None and cause.args else None
    return number if isinstance(number, int) else None


def _spark(cause: BaseException | None) -> bool | None:
    status = getattr(cause.args[0], "status", None) if cause is not None and cause.args else None
    if status is None:  # the server did not answer, or was not asked
        return type(cause).__name__ == "OperationalError" or None
    if "TIMEDOUT" in (status.errorMessage or ""):
        return True
    return _SQLSTATE.get((status.sqlState or "")[:2])


def _duckdb(cause: BaseException | None) -> bool | None:
    kind = type(cause).__name__
    if kind == "IOException":  # of a file that another process writes, or of one that is no database
        return "lock" in str(cause)
    return True if kind in ("InterruptException", "OutOfMemoryException") else None


_BY_DRIVER = {"duckdb": _duckdb, "_duckdb": _duckdb, "pyhive": _spark}
