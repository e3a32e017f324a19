"""Opens the database of live ratings, SQLite or PostgreSQL, and puts its drivers' errors into our words."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, insert, inspect, select
from sqlalchemy import event as events
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from refeed.errors import StoreError
from refeed.serve import schema

__all__ = ["StoreFullError", "StoreUnavailableError", "open_database", "translated", "url_of"]


class StoreUnavailableError(StoreError):
    """The database does not answer, or refuses; what was asked for was not done."""


class StoreFullError(StoreUnavailableError):
    """There is no room for another rating; it was not taken."""


def url_of(database: str) -> str:
    """SQLAlchemy's URL of a database given as a path, `sqlite:///PATH` or `postgresql://…`.

    Raises:
        StoreError: another kind of database.
    """
    if database.startswith(("postgresql://", "postgres://", "postgresql+psycopg://")):
        return "postgresql+psycopg://" + database.partition("://")[2]
    if database.startswith("sqlite:///"):
        return database
    if "://" in database:
        raise StoreError(
            f"a database {database.partition('://')[0]}:// can't be used; give a file for SQLite, or "
            "postgresql://USER:PASSWORD@HOST/NAME"
        )
    return f"sqlite:///{database}"


def open_database(database: str) -> Engine:
    """Open a database, and make the tables in an empty one (see `RatingsStore.open`).

    Raises:
        StoreError: it can't be reached or used, or its schema is of another version.
    """
    try:
        engine = create_engine(url_of(database), pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError, ImportError) as error:
        raise StoreError(f"the database can't be used: {_first_line(error)}") from None
    if engine.dialect.name == "sqlite":
        _check_place(engine)
        events.listen(engine, "connect", _set_up_sqlite)
        events.listen(engine, "begin", _begin_sqlite)
    try:
        with translated():
            _check_schema(engine)
    except StoreUnavailableError as error:
        # The URL may hold a password: only the part that names the database is repeated.
        raise StoreError(f"the database {_named(engine)} can't be used: {error}") from None
    return engine


@contextmanager
def translated() -> Iterator[None]:
    """The drivers' errors as ours, without what they say of files, hosts and statements."""
    try:
        yield
    except UnicodeEncodeError as error:
        raise StoreError("an id can't be stored as text; leave out lone surrogates") from error
    except PoolTimeoutError as error:
        raise StoreUnavailableError("the ratings' database is busy; nothing of this was taken") from error
    except DBAPIError as error:
        text = str(error.orig).lower()
        if "full" in text or "no space" in text or getattr(error.orig, "sqlstate", "") == "53100":
            raise StoreFullError(
                "the disk of the ratings' database is full; nothing of this was taken, make room and repeat"
            ) from error
        if getattr(error.orig, "sqlstate", "") in _NO_TEXT:
            raise StoreError("an id can't be stored as text; leave out characters of code 0") from error
        raise StoreUnavailableError(
            f"the ratings' database does not do what it should ({type(error.orig).__name__}); "
            "nothing of this was taken, try again later"
        ) from error


_NO_TEXT = {"22021", "22P05"}  # PostgreSQL: a character that its text can't hold


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _named(engine: Engine) -> str:
    return repr(make_url(engine.url).database or "")


_SQLITE = b"SQLite format 3\x00"
"""How a file of SQLite begins."""


def _check_place(engine: Engine) -> None:
    """Refuse a file that SQLite could not open, with the reason, which SQLite does not tell.

    Raises:
        StoreError: its folder is not there or may not be written, or it is no file of SQLite.
    """
    name = make_url(engine.url).database or ""
    if name in ("", ":memory:"):
        return
    path = Path(name)
    if path.is_dir():
        raise StoreError(f"the database {name!r} can't be used: it is a folder; give a file")
    if not path.parent.is_dir():
        raise StoreError(
            f"the database {name!r} can't be used: there is no folder {str(path.parent)!r}; make it, or "
            "give another file"
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise StoreError(f"the database {name!r} can't be used: it may not be written; check its permissions")
    if path.exists():
        with path.open("rb") as file:
            begins = file.read(len(_SQLITE))
        if begins and begins != _SQLITE:  # an empty file is an empty database
            raise StoreError(f"the database {name!r} can't be used: it is no SQLite file; give another one")


def _check_schema(engine: Engine) -> None:
    """Make the tables, or refuse those of another version."""
    with engine.connect() as db:
        there = set(inspect(db).get_table_names())
        if "refeed_meta" in there:
            row = select(schema.meta.c.value).where(schema.meta.c.key == "version")
            version = db.execute(row).scalar()
            if version != schema.VERSION:
                raise StoreError(
                    f"the database {_named(engine)} has schema version {version}, this refeed reads version "
                    f"{schema.VERSION}; use the version of refeed that made it"
                )
            return
        if there & set(schema.metadata.tables):
            raise StoreError(
                f"the database {_named(engine)} has tables of these names that refeed did not make; "
                "give a database of its own"
            )
    with engine.connect().execution_options(refeed_writes=True) as db, db.begin():
        schema.metadata.create_all(db)
        rows = [
            {"key": "version", "value": schema.VERSION},
            {"key": "salt", "value": secrets.token_hex(32)},
        ]
        db.execute(insert(schema.meta), rows)


def _set_up_sqlite(connection: Any, _: object) -> None:
    connection.isolation_level = None  # the module would begin transactions at moments of its own
    for setting in (
        "journal_mode = WAL",
        "synchronous = FULL",  # a commit is on disk, also after a power cut
        "secure_delete = ON",  # what is deleted is overwritten
        "busy_timeout = 10000",
    ):
        connection.execute(f"PRAGMA {setting}")


def _begin_sqlite(db: Connection) -> None:
    writes = db.get_execution_options().get("refeed_writes")
    db.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
