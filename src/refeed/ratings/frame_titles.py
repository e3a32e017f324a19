"""Titles of items, and what else is known of them, from a mapping, a table in memory or a file."""

from collections.abc import Collection, Mapping
from os import PathLike
from pathlib import Path

import duckdb
import numpy as np

from refeed.errors import DataError
from refeed.ratings.columns import TITLE_FIELDS, resolve
from refeed.ratings.frame_sql import id_cell, registered
from refeed.ratings.in_memory import open_frame
from refeed.ratings.titles import load_titles

__all__ = ["load_given_titles"]


def load_given_titles(db: duckdb.DuckDBPyConnection, titles: object) -> str | None:
    """Read titles into a table of DuckDB, with the columns item and title, and any further ones of a file.

    Args:
        db: the connection.
        titles: a mapping from ids to titles, or a pandas Series; a table in memory with the columns item and
            title; a file that `prepare` takes; or None.

    Returns:
        The table's name, None without titles.

    Raises:
        DataError: it is none of these, or its columns can't be told.
    """
    if titles is None:
        return None
    if isinstance(titles, str | PathLike):
        return load_titles(db, Path(titles))
    frame = open_frame(_as_columns(titles))
    places = resolve(frame.names, frame.width, {}, where="titles", fields=TITLE_FIELDS)
    db.execute("CREATE TABLE given_titles (item VARCHAR, title VARCHAR, problem VARCHAR)")
    for chunk in frame.chunks(places):
        with registered(db, chunk, frame.kind) as types:
            item, problem = id_cell("item", *types["item"])
            title = f"{types['title'][0]}::VARCHAR"
            db.execute(f"INSERT INTO given_titles SELECT {item}, {title}, {problem} FROM chunk")
    (wrong,) = db.execute("SELECT any_value(problem) FROM given_titles").fetchall()[0]
    if wrong:
        raise DataError(f"titles: {wrong}")
    db.execute("CREATE VIEW item_titles AS SELECT item, title FROM given_titles")
    return "item_titles"


def _as_columns(titles: object) -> object:
    """A mapping from items to titles, or pandas' Series, as two columns; any other table as it is."""
    if getattr(titles, "ndim", None) == 1 and hasattr(titles, "items"):
        titles = dict(titles.items())
    if isinstance(titles, Mapping) and not any(_is_column(value) for value in titles.values()):
        return {"item": list(titles), "title": list(titles.values())}
    return titles


def _is_column(value: object) -> bool:
    return not isinstance(value, str) and isinstance(value, Collection | np.ndarray)
