"""Titles of items and what else is known of them, from any table or MovieLens's and Netflix's files."""

import re
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import duckdb
import numpy as np

from refeed.errors import DataError
from refeed.ratings.columns import TITLE_FIELDS
from refeed.ratings.open_table import Table, damaged, open_table
from refeed.ratings.options import ReadOptions
from refeed.ratings.source import open_source
from refeed.ratings.text import count_faults

__all__ = ["load_titles"]

_NETFLIX = re.compile(r"[0-9]+,([0-9]{4}|NULL),.")
_CHUNK = 50_000


def load_titles(
    db: duckdb.DuckDBPyConnection,
    path: Path,
    scratch: Path | None = None,
    options: ReadOptions | None = None,
    *,
    names: Sequence[str] | None = None,
) -> str:
    """Read the titles of items, and what else is known of them, into a table of DuckDB.

    Args:
        db: the connection.
        path: a table with item and title in any of the formats of ratings, as the first two columns where
            there is no header; MovieLens's movies.csv, movies.dat or u.item; Netflix's movie_titles. The
            further columns of a table that names them are attributes of the items.
        scratch: a folder for what is unpacked; None: one of its own.
        names: of its columns, where it has no header and they are known.
        options: its encoding; text that is no UTF-8 is taken for cp1252 anyway, as old files are.

    Returns:
        The table's name; its columns are item and title, and the attributes: DOUBLE where all are numbers.

    Raises:
        DataError: the file is missing, empty, damaged, or its columns can't be told.
    """
    if scratch is None:
        with tempfile.TemporaryDirectory() as folder:
            return load_titles(db, path, Path(folder), options, names=names)
    encoding = (options or ReadOptions()).encoding
    encoding = "auto" if encoding == "utf-8" else encoding
    source = open_source(path, scratch, encoding)
    if not source.parquet:
        with source.open() as file:
            first = next((line for line in file if line.strip()), "")
        if not first:
            raise DataError(f"{path} is empty; expected a table of items and their titles")
        if _NETFLIX.match(first):
            with source.open() as file:
                _insert(db, TITLE_FIELDS, _netflix_pairs(file))
            return "item_titles"
    table = open_table(db, path, scratch, ReadOptions(encoding=encoding), fields=TITLE_FIELDS)
    if table.layout is not None and count_faults(table.source, table.layout):
        table = table.unescaped(scratch)
    if table.names is None and table.layout is not None and len(names or ()) == table.layout.width:
        table = replace(table, names=names)
    return _load(db, *_with_attributes(table))


def _with_attributes(table: Table) -> tuple[Table, list[str]]:
    """The table with all columns that have names, and these names."""
    fields, names = dict(table.chosen.fields), list(TITLE_FIELDS)
    taken = {"item", "title", ""}
    for place, name in enumerate(table.names or ()):
        attribute = re.sub(r":(token|float)(_seq)?$", "", name.replace('"', "").strip())
        if place not in fields.values() and attribute.lower() not in taken:
            fields[f"attribute_{place}"] = place
            names.append(attribute)
            taken.add(attribute.lower())
    chosen = replace(table.chosen, fields=fields)
    return replace(table, chosen=chosen, further=len(names) - len(TITLE_FIELDS)), names


def _load(db: duckdb.DuckDBPyConnection, table: Table, names: Sequence[str]) -> str:
    if table.source.parquet:
        cells = ", ".join(
            f'"{field}"::VARCHAR AS "{name}"' for field, name in zip(table.fields, names, strict=True)
        )
        try:
            db.execute(f"CREATE OR REPLACE TABLE item_titles AS SELECT {cells} FROM ({table.query()})")
        except duckdb.Error as error:
            raise damaged(table.source.name, error) from error
    else:
        _insert(db, names, _rows(table))
    for name in names[2:]:
        _make_numbers(db, f'"{name}"')
    return "item_titles"


def _rows(table: Table) -> Iterator[Sequence[str | None]]:
    for record in table.records():
        if record.cause:
            raise DataError(f"{table.source.name}:{record.line}: {record.cause}; expected item and title")
        yield record.cells


def _netflix_pairs(lines: Iterable[str]) -> Iterator[Sequence[str]]:
    """`id,year,title`, where a title may have commas and quotation marks in it."""
    for line in lines:
        if line.strip():
            item, _, rest = line.rstrip("\r\n").partition(",")
            yield item, _decoded(rest.partition(",")[2])


def _decoded(text: str) -> str:
    """Netflix's titles are latin-1: bytes that are no UTF-8 came as surrogates."""
    return (
        text.encode("utf-8", "surrogateescape").decode("latin-1")
        if re.search("[\ud800-\udfff]", text)
        else text
    )


def _insert(
    db: duckdb.DuckDBPyConnection, names: Sequence[str], rows: Iterator[Sequence[str | None]]
) -> None:
    columns = ", ".join(f'"{name}" VARCHAR' for name in names)
    db.execute(f"CREATE OR REPLACE TABLE item_titles ({columns})")
    cells = ", ".join(f"c{place}::VARCHAR" for place in range(len(names)))
    while rows_of_chunk := list(islice(rows, _CHUNK)):
        chunk = {f"c{place}": np.empty(len(rows_of_chunk), dtype=np.object_) for place in range(len(names))}
        for place in range(len(names)):
            chunk[f"c{place}"][:] = [row[place] for row in rows_of_chunk]
        db.execute(f"INSERT INTO item_titles SELECT {cells} FROM chunk")


def _make_numbers(db: duckdb.DuckDBPyConnection, name: str) -> None:
    """Make a column DOUBLE if it holds numbers only; 007 is none."""
    number = f"TRY_CAST({name} AS DOUBLE)"
    strange = f"{number} IS NULL OR NOT isfinite({number}) OR regexp_matches({name}, '_|^\\s*0[0-9]')"
    filled, texts = db.execute(f"""
        SELECT count(*), count(*) FILTER (WHERE {strange}) FROM item_titles WHERE trim({name}) <> ''
    """).fetchall()[0]
    empty = f"nullif(trim({name}), '')"
    if filled and not texts:
        db.execute(f"ALTER TABLE item_titles ALTER {name} TYPE DOUBLE USING {empty}::DOUBLE")
    else:
        db.execute(f"UPDATE item_titles SET {name} = NULL WHERE {empty} IS NULL")
