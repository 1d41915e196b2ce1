"""The layout of evaljob's own tables: its version, the way forward from earlier ones, the refusal of later ones."""

from collections.abc import Callable, Mapping
from contextlib import suppress

import sqlalchemy as sa

from evaljob.dialect import MYSQL
from evaljob.errors import ConfigError

VERSION = 2
# A row for each version that the tables have reached; without any they are of version 1, which kept none.
_VERSIONS = sa.Table(
    "evaljob_schema", sa.MetaData(), sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
)


def bring_up(engine: sa.Engine, tables: sa.MetaData) -> None:
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
    tables.create_all(engine)
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
