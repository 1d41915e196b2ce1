"""Evaljob's own tables: their layout, its version, the way forward from earlier ones, the refusal of later ones."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from evaljob.dialect import MYSQL
from evaljob.errors import ConfigError

VERSION = 2
METADATA = sa.MetaData()
BLOB = sa.LargeBinary(length=2**32 - 1)
# Models are told apart byte for byte, also where the database's own collation would fold them.
MODEL = sa.String(200).with_variant(sa.String(200, collation="utf8mb4_bin"), *MYSQL)
STATE = sa.Table(
    "evaljob_state",
    METADATA,
    sa.Column("model", MODEL, primary_key=True),
    sa.Column("revision", sa.BigInteger, nullable=False),
    sa.Column("fingerprint", sa.String(64), nullable=False),
    sa.Column("as_of", sa.BigInteger, nullable=False),  # microseconds since 1970, UTC
    sa.Column("full_recounts", sa.BigInteger, nullable=False),
    sa.Column("drift_cells", sa.BigInteger, nullable=False),
    sa.Column("cells", BLOB, nullable=False),
)
HISTORY = sa.Table(
    "evaljob_history",
    METADATA,
    # The instant first: what retention removes lies together, whichever models are still configured.
    sa.Column("as_of", sa.BigInteger, primary_key=True, autoincrement=False),  # microseconds since 1970, UTC
    sa.Column("model", MODEL, primary_key=True),
    sa.Column("names", BLOB, nullable=False),
    sa.Column("numbers", BLOB, nullable=False),
)
TRACKING = sa.Table(
    "evaljob_mlflow",
    METADATA,
    sa.Column("model", MODEL, primary_key=True),
    sa.Column("as_of", sa.BigInteger, nullable=True),  # microseconds since 1970, UTC
    sa.Column("failures", sa.BigInteger, nullable=False),
    sa.Column("offline", BLOB, nullable=False),
)
# A row for each version that the tables have reached; without any they are of version 1, which kept none.
_VERSIONS = sa.Table(
    "evaljob_schema", sa.MetaData(), sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
)
_OPENINGS = 8  # there are fewer tables that another worker can have made first


def opened(engine: sa.Engine) -> sa.Engine:
    """The database with all tables there and in this layout. Raises ConfigError when they are a later evaljob's."""
    # Under READ COMMITTED an UPDATE that waited for another one looks again: it finds the revision gone, instead of
    # failing because its snapshot is old.
    settled = engine.dialect.name in ("postgresql", *MYSQL)
    engine = engine.execution_options(isolation_level="READ COMMITTED") if settled else engine
    for attempt in range(_OPENINGS):
        try:
            _bring_up(engine)
            break
        except (sa.exc.ProgrammingError, sa.exc.OperationalError, sa.exc.IntegrityError):
            if attempt == _OPENINGS - 1:  # else another worker has made some of the tables meanwhile
                raise
    return engine


def upsert(connection: sa.Connection, table: sa.Table, row: Mapping[str, Any]) -> None:
    """Insert a row, or put it in the place of the one with its primary key."""
    keys = [column.name for column in table.primary_key]
    others = {name: value for name, value in row.items() if name not in keys}
    statement: sa.Insert
    if connection.dialect.name in MYSQL:
        from sqlalchemy.dialects import mysql  # noqa: PLC0415  (like the others, only where it is used)

        statement = mysql.insert(table).values(row).on_duplicate_key_update(others)
    elif connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415

        statement = sqlite.insert(table).values(row).on_conflict_do_update(index_elements=keys, set_=others)
    else:
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415

        statement = postgresql.insert(table).values(row).on_conflict_do_update(index_elements=keys, set_=others)
    connection.execute(statement)


def _bring_up(engine: sa.Engine) -> None:
    """Make the tables that are missing, and bring those of an earlier evaljob to this one's layout.

    Raises ConfigError, before anything is changed, when they are a later one's.
    """
    _VERSIONS.create(engine, checkfirst=True)
    with engine.begin() as connection:
        found = _version(connection)
        if found > VERSION:
            where = engine.url.render_as_string(hide_password=True)
            raise ConfigError(
                f"state.url: {where} is of a later evaljob (its layout is version {found}, this one knows {VERSION}); "
                "upgrade evaljob, or name another database"
            )
        for version in range(found + 1, VERSION + 1):
            MIGRATIONS[version](connection)
    METADATA.create_all(engine)
    if found < VERSION:
        with suppress(sa.exc.IntegrityError), engine.begin() as connection:  # another worker has noted it meanwhile
            connection.execute(sa.insert(_VERSIONS).values(version=VERSION))


def _version(connection: sa.Connection) -> int:
    """The layout's version; 1 where no version is noted, for a migration of what is not there does nothing."""
    noted: int | None = connection.execute(sa.select(sa.func.max(_VERSIONS.c.version))).scalar()
    return 1 if noted is None else noted


def _tell_models_apart(connection: sa.Connection) -> None:
    """Version 2: models are told apart byte for byte, where the database's own collation took `A` for `a`."""
    if connection.dialect.name in MYSQL:
        for table in ("evaljob_state", "evaljob_history", "evaljob_backfill"):
            if sa.inspect(connection).has_table(table):
                kind = "VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL"
                connection.execute(sa.text(f"ALTER TABLE {table} MODIFY model {kind}"))


MIGRATIONS: Mapping[int, Callable[[sa.Connection], None]] = {2: _tell_models_apart}
