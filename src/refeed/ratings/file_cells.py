"""Small tables as text, row by row: pairs to predict, histories, lists of users."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path

import duckdb

from refeed.errors import DataError
from refeed.ratings.columns import names_all
from refeed.ratings.open_table import Table, damaged, open_table
from refeed.ratings.options import ReadOptions
from refeed.ratings.parts import find_parts
from refeed.ratings.source import EmptyFileError, open_source
from refeed.ratings.text import DELIMITERS

__all__ = ["Cells", "read_cells", "read_lines"]

_SHOWN = 20
_TABLES = {".csv", ".tsv", ".json", ".jsonl", ".ndjson"}


@dataclass(frozen=True)
class Cells:
    """Some columns of a table.

    Args:
        fields: what each column is.
        rows: the cells of each row, "" where there is nothing; in the order of the file, none left out.
        notes: what the user should know about how it was read, a sentence each.
    """

    fields: tuple[str, ...]
    rows: list[tuple[str, ...]]
    notes: tuple[str, ...]


def read_cells(path: Path, fields: Sequence[str], options: ReadOptions | None = None) -> Cells:
    """Read some columns of a table, in whatever shape `prepare` reads.

    Args:
        path: a table, a pattern, or a folder with the parts of a table.
        fields: what to read; without a header the columns are taken in this order.
        options: what its looks don't say; only `columns` and `encoding` matter.

    Raises:
        DataError: it is missing, empty, damaged, its columns can't be told, or it has rows that can't be
            read;
            all of them are counted and the first 20 named.
    """
    parts = find_parts(path)
    if parts is None:
        raise DataError(f"{path} is a folder; expected a table with {' and '.join(fields)}")
    rows: list[tuple[str, ...]] = []
    notes: list[str] = []
    found: tuple[str, ...] | None = None
    with tempfile.TemporaryDirectory() as folder, duckdb.connect() as db:
        db.execute("SET enable_progress_bar = false")
        for file in parts.files:
            try:
                table = open_table(db, file, Path(folder), options or ReadOptions(), fields=fields)
            except EmptyFileError:
                if not parts.many:
                    raise
                continue
            if found not in (None, table.fields):
                raise DataError(
                    f"{file} has the columns {table.fields}, and the parts before it have {found}"
                )
            found = table.fields
            rows += _rows(db, table, Path(folder))
            notes += table.chosen.notes
    if found is None:
        raise DataError(f"{path}: all {len(parts.files)} parts are empty")
    return Cells(found, rows, tuple(dict.fromkeys(notes)))


def read_lines(path: Path, field: str, options: ReadOptions | None = None) -> list[str] | None:
    """The lines of a plain list, each verbatim; None if it is a table, as its name or its header says."""
    if path.is_dir() or has_magic(str(path)):
        return None
    with tempfile.TemporaryDirectory() as folder:
        source = open_source(path, Path(folder), (options or ReadOptions()).encoding)
        if source.parquet or source.suffixes & _TABLES:
            return None
        with source.open() as file:
            lines = file.read().removesuffix("\n").split("\n")
    first = lines[0].removesuffix("\r")
    if first.startswith("{") or any(
        names_all(first.strip().split(delimiter), [field]) for delimiter in DELIMITERS
    ):
        return None
    found = [source.decoded(line.removesuffix("\r")) for line in lines]
    if None in found:
        raise DataError(
            f"{path}:{found.index(None) + 1}: it is no text in UTF-8; --encoding reads latin-1 and cp1252"
        )
    return [line for line in found if line is not None] if lines != [""] else []


def _rows(db: duckdb.DuckDBPyConnection, table: Table, scratch: Path) -> list[tuple[str, ...]]:
    rows = _rows_by_duckdb(db, table)
    if rows is None:
        table = table.unescaped(scratch)
        rows = _rows_by_duckdb(db, table) if table.escaped else None
    return _rows_of_records(table) if rows is None else rows


def _rows_by_duckdb(db: duckdb.DuckDBPyConnection, table: Table) -> list[tuple[str, ...]] | None:
    """The rows, if nothing is wrong with them."""
    query = table.query()
    if query is None:
        return None
    cells = ", ".join(f"coalesce(\"{field}\"::VARCHAR, '')" for field in table.fields)
    try:
        return db.execute(f"SELECT {cells} FROM ({query})").fetchall()
    except duckdb.Error as error:
        if table.source.parquet:
            raise damaged(table.source.name, error) from error
        return None


def _rows_of_records(table: Table) -> list[tuple[str, ...]]:
    rows, bad = [], []
    for record in table.records():
        if record.cause:
            bad.append(f"  {table.source.name}:{record.line}: {record.cause}")
        else:
            rows.append(tuple(cell or "" for cell in record.cells))
    if bad:
        more = [f"  … and {len(bad) - _SHOWN:,} more"] if len(bad) > _SHOWN else []
        raise DataError(
            f"{len(bad):,} of {len(bad) + len(rows):,} rows can't be read:\n"
            + "\n".join(bad[:_SHOWN] + more)
            + "\nPut them right, or remove them"
        )
    return rows
