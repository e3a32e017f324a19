"""Reading the ratings that a server has taken: a SQLite file, or PostgreSQL by its URL.

Any table or view called `ratings` with the columns user_id, item, rating and at (Unix seconds) will do, so
nothing here knows of the server.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from os import PathLike
from pathlib import Path
from urllib.parse import urlsplit

import duckdb
import numpy as np

from refeed.errors import DataError
from refeed.ratings.build import Rows

__all__ = ["is_live", "live_name", "live_rows", "the_database"]

_QUERY = "SELECT user_id, item, rating, at FROM ratings ORDER BY id"
_BLOCK = 200_000
_MAGIC = b"SQLite format 3\x00"

_Row = tuple[str, str, float, int]


def is_live(source: str | PathLike[str]) -> bool:
    """Whether a source is a database: a URL of PostgreSQL, or a file of SQLite."""
    if str(source).startswith(("postgresql:", "postgres:")):
        return True
    path = Path(source)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def the_database(sources: str | PathLike[str] | Sequence[str | PathLike[str]]) -> str | Path | None:
    """The database among sources, if it is the only one; else None."""
    each = [sources] if isinstance(sources, str | PathLike) else list(sources)
    if len(each) != 1 or not is_live(each[0]):
        return None
    return each[0] if isinstance(each[0], str) else Path(each[0])


def live_name(source: str | Path) -> str:
    """What to call a database, without user and password."""
    if not str(source).startswith(("postgresql:", "postgres:")):
        return Path(source).name
    parts = urlsplit(str(source))
    return f"postgresql://{parts.hostname or ''}{parts.path}"


def live_rows(db: duckdb.DuckDBPyConnection, source: str | Path) -> Rows:
    """Copy a database's ratings into DuckDB.

    Raises:
        DataError: it can't be reached, or has no such table.
    """
    db.execute('CREATE TABLE live ("user" VARCHAR, item VARCHAR, rating DOUBLE, time BIGINT, line BIGINT)')
    read = 0
    blocks = _postgres(str(source)) if str(source).startswith("postgres") else _sqlite(Path(source))
    for block in blocks:
        users, items, ratings, times = zip(*block, strict=True)
        columns = {  # noqa: F841 - DuckDB reads it by its name
            "user": _texts(users),
            "item": _texts(items),
            "rating": np.array(ratings, dtype=np.float64),
            "time": np.array(times, dtype=np.int64),
            "line": np.arange(read + 1, read + 1 + len(block)),
        }
        db.execute("INSERT INTO live FROM columns")
        read += len(block)
    return Rows(rows="live", titles=None, bad=None, read=read, format="a server's ratings")


def _texts(values: tuple[str, ...]) -> np.ndarray[tuple[int], np.dtype[np.object_]]:
    array = np.empty(len(values), dtype=np.object_)
    array[:] = values
    return array


def _sqlite(path: Path) -> Iterator[list[_Row]]:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            rows = db.execute(_QUERY)
            while block := rows.fetchmany(_BLOCK):
                yield block
    except sqlite3.Error as error:
        raise DataError(
            f"{path} is a SQLite database, but no server's: {error}; give one that `refeed serve` wrote"
        ) from error


def _postgres(url: str) -> Iterator[list[_Row]]:
    try:
        import psycopg  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise DataError(
            "reading PostgreSQL needs psycopg, which is not installed; install: pip install 'refeed[serve]'"
        ) from error
    try:
        with psycopg.connect(url) as db, db.cursor("ratings") as rows:
            rows.itersize = _BLOCK
            rows.execute(_QUERY)
            while block := rows.fetchmany(_BLOCK):
                yield block
    except psycopg.Error as error:  # its text may hold the URL
        raise DataError(
            f"{live_name(url)} can't be read ({type(error).__name__}); expected one that a server writes"
        ) from None
