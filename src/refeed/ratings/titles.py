"""Titles of items, from a table of one's own or MovieLens's and Netflix's files."""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from pathlib import Path

import duckdb
import numpy as np

from refeed.errors import DataError
from refeed.ratings.columns import TITLE_FIELDS, names_all, resolve
from refeed.ratings.text import (
    Record,
    delimited_records,
    duckdb_path,
    json_names,
    json_records,
    open_text,
    sample_delimiter,
)

__all__ = ["load_titles"]

_NETFLIX = re.compile(r"[0-9]+,([0-9]{4}|NULL),.")


def load_titles(db: duckdb.DuckDBPyConnection, path: Path) -> str:
    """Read the titles of items into a table of DuckDB.

    Args:
        db: the connection.
        path: a table with item and title in any of the formats of ratings, as the first two columns where
            there is no header; MovieLens's movies.csv, movies.dat or u.item; Netflix's movie_titles.

    Returns:
        The table's name; its columns are item and title.

    Raises:
        DataError: the file is missing, empty, damaged, or its columns can't be told.
    """
    if path.suffix.lower() == ".parquet":
        return _load_parquet(db, path)
    db.execute("CREATE OR REPLACE TABLE item_titles (item VARCHAR, title VARCHAR)")
    pairs = _pairs(path)
    while chunk := list(islice(pairs, 50_000)):
        chunk_table = {name: np.empty(len(chunk), dtype=np.object_) for name in TITLE_FIELDS}
        chunk_table["item"][:] = [_decoded(item) for item, _ in chunk]
        chunk_table["title"][:] = [_decoded(title) for _, title in chunk]
        db.execute("INSERT INTO item_titles SELECT item, title FROM chunk_table")
    return "item_titles"


def _load_parquet(db: duckdb.DuckDBPyConnection, path: Path) -> str:
    place = {"path": duckdb_path(path)}
    try:
        names = [row[0] for row in db.execute("DESCRIBE SELECT * FROM read_parquet($path)", place).fetchall()]
        fields = resolve(names, len(names), {}, where=str(path), fields=TITLE_FIELDS)
        item, title = ('"' + names[fields[field]].replace('"', '""') + '"' for field in TITLE_FIELDS)
        db.execute(
            "CREATE OR REPLACE TABLE item_titles AS "
            f"SELECT {item}::VARCHAR AS item, {title}::VARCHAR AS title FROM read_parquet($path)",
            place,
        )
    except duckdb.Error as error:
        raise DataError(
            f"{path} can't be read as Parquet; it may be truncated or damaged: {error}"
        ) from error
    return "item_titles"


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    with open_text(path) as file:
        first = next((line for line in file if line.strip()), "")
        file.seek(0)
        if not first:
            raise DataError(f"{path} is empty; expected a table of items and their titles")
        if _NETFLIX.match(first):
            yield from _netflix_pairs(file)
        elif first.lstrip().startswith("{"):
            names = json_names(file, str(path))
            file.seek(0)
            yield from _chosen(
                json_records(file, names),
                resolve(names, len(names), {}, where=str(path), fields=TITLE_FIELDS),
                path,
            )
        else:
            delimiter = sample_delimiter(path, least=2)
            yield from _delimited_pairs(delimited_records(file, delimiter, str(path)), path)


def _netflix_pairs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """`id,year,title`, where a title may have commas and quotation marks in it."""
    for line in lines:
        if line.strip():
            item, _, rest = line.rstrip("\r\n").partition(",")
            yield item, rest.partition(",")[2]


def _delimited_pairs(records: Iterator[Record], path: Path) -> Iterator[tuple[str, str]]:
    first = next(records)
    names = [str(cell).strip() for cell in first.cells]
    if names_all(names, TITLE_FIELDS):
        fields = resolve(names, len(names), {}, where=str(path), fields=TITLE_FIELDS)
        yield from _chosen(records, fields, path)
    else:
        yield from _chosen(chain([first], records), {"item": 0, "title": 1}, path)


def _chosen(records: Iterable[Record], fields: Mapping[str, int], path: Path) -> Iterator[tuple[str, str]]:
    item, title = fields["item"], fields["title"]
    for record in records:
        if record.cause or len(record.cells) <= max(item, title):
            raise DataError(f"{path}:{record.line}: {record.cause or 'no title'}; expected item and title")
        yield record.cells[item] or "", record.cells[title] or ""


def _decoded(text: str) -> str:
    """Old files are latin-1: bytes that are no UTF-8 came as surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-8", "surrogateescape").decode("latin-1")
    return text
