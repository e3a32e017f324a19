"""Any table, recognised: the one reader of ratings, pairs to predict, histories, users and titles.

A table is read in one of two ways that give the same rows: by DuckDB (`Table.query`), or record by record
with exact
line numbers (`Table.records`). DuckDB stumbles over a single bad row, and knows no line numbers once a line
is
blank or a field has a line break; so what it stumbles over is read again as records.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb

from refeed.errors import DataError
from refeed.ratings.columns import RATING_FIELDS, Chosen, Sample, choose
from refeed.ratings.json_text import is_json, json_records, json_sample
from refeed.ratings.options import ReadOptions
from refeed.ratings.source import Source, open_source
from refeed.ratings.text import (
    Layout,
    Record,
    count_faults,
    duckdb_path,
    find_layout,
    fitted_records,
    what_columns_hold,
)

__all__ = ["Table", "damaged", "open_table", "parquet", "quoted"]

_NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"} | {
    f"U{name}" for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
}


@dataclass(frozen=True)
class Table:
    """A table, recognised.

    Args:
        source: the file.
        format: what it is, in words.
        chosen: which column is which.
        names: of all columns, or None for a delimited table without a header.
        layout: of a delimited table; None for JSON and Parquet.
        types: of Parquet's columns, as DuckDB calls them.
        further: how many of the fields, the last ones, are attributes: anything may be in them, or nothing.
        escaped: whether its quotation marks were escaped by backslashes.
    """

    source: Source
    format: str
    chosen: Chosen
    names: Sequence[str] | None
    layout: Layout | None = None
    types: tuple[str, ...] = ()
    further: int = 0
    escaped: bool = False

    def __str__(self) -> str:
        """What it is, in words."""
        return f"{self.format}, quotation marks escaped by backslashes" if self.escaped else self.format

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that there are: the order of a record's cells."""
        return tuple(self.chosen.fields)

    def query(self) -> str | None:
        """A query with a text column for each field, which DuckDB runs if nothing is wrong; None for JSON.

        Parquet's has numbers as numbers where a field is a rating, a count or a time, and the column line.
        """
        if self.source.parquet:
            return self._parquet_query()
        if (
            self.layout is None or self.layout.width == 1
        ):  # of one column, DuckDB would take a blank line for a row
            return None
        layout = self.layout
        cells = ", ".join(f'c{place} AS "{field}"' for field, place in self.chosen.fields.items())
        columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(layout.width))
        packed = "gzip" if self.source.gzipped else "none"
        return f"""
            SELECT {cells} FROM read_csv({quoted(duckdb_path(self.source.path))}, delim =
            {quoted(layout.delimiter)},
                quote = '{layout.quote}', escape = '{layout.quote}', header = {layout.names is not None},
                skip = {int(layout.told)}, compression = '{packed}', auto_detect = false,
                columns = {{{columns}}})
        """

    def unescaped(self, scratch: Path) -> "Table":
        """The same table with quotation marks escaped by backslashes, if that fits it better."""
        if self.layout is None or self.escaped or not self.layout.quote:
            return self
        doubled = self.source.with_doubled_quotes(scratch)
        if doubled is None or count_faults(doubled, self.layout) >= count_faults(self.source, self.layout):
            return self
        return replace(self, source=doubled, escaped=True)

    @property
    def numbers(self) -> frozenset[str]:
        """The fields that Parquet has as numbers."""
        kinds = {field: self.types[place] for field, place in self.chosen.fields.items() if self.types}
        return frozenset(field for field, kind in kinds.items() if kind in _NUMBERS)

    def records(self) -> Iterator[Record]:
        """The records; their cells are those of `fields`."""
        places = list(self.chosen.fields.values())
        if self.layout is not None:
            records = fitted_records(self.source, self.layout, places, further=self.further)
        else:
            names = self.names or ()
            records = json_records(self.source, [names[place] for place in places], further=self.further)
        for record in records:
            yield self._decoded(record)

    def _decoded(self, record: Record) -> Record:
        """A record whose bytes that are no UTF-8 have been read in another encoding, or are its cause."""
        if record.cause:
            return record._replace(cause=_escaped(record.cause))
        if "".join(cell for cell in record.cells if cell).isascii():
            return record
        cells = [cell and self.source.decoded(cell) for cell in record.cells]
        if not any(there and cell is None for cell, there in zip(cells, record.cells, strict=True)):
            return record._replace(cells=cells)
        shown = _escaped(" ".join(cell or "" for cell in record.cells))
        cause = f"it is not UTF-8, or damaged: {shown!r} (--encoding reads latin-1 and cp1252)"
        return Record(record.line, [], cause)

    def _parquet_query(self) -> str:
        cells = []
        for field, place in self.chosen.fields.items():
            name, kind = '"' + (self.names or ())[place].replace('"', '""') + '"', self.types[place]
            if field in ("rating", "count", "timestamp") and kind in _NUMBERS:
                cells.append(f'{name} AS "{field}"')
            elif field in ("user", "item") and kind in (
                "FLOAT",
                "DOUBLE",
            ):  # pandas's, of whole numbers with gaps
                whole = f"{name} = floor({name}) AND abs({name}) < 1e15"
                cells.append(
                    f'CASE WHEN {whole} THEN {name}::BIGINT::VARCHAR ELSE {name}::VARCHAR END AS "{field}"'
                )
            elif kind.endswith("[]"):
                cells.append(f"array_to_string({name}, '|') AS \"{field}\"")
            elif kind == "BLOB":  # text of old writers, which don't say so
                cells.append(f'decode({name}) AS "{field}"')
            else:
                cells.append(f'{name}::VARCHAR AS "{field}"')
        return f"SELECT file_row_number + 1 AS line, {', '.join(cells)} FROM {parquet(self.source)}"


def open_table(
    db: duckdb.DuckDBPyConnection,
    path: Path,
    scratch: Path,
    options: ReadOptions,
    *,
    fields: Sequence[str] = RATING_FIELDS,
) -> Table:
    """Recognise a table.

    Args:
        db: a connection.
        path: CSV, TSV, `::`-, `;`- or `|`-separated, JSON lines, a JSON array, or Parquet; each perhaps
            packed by
            gzip, bzip2, xz, zstd or zip.
        scratch: a folder for what is unpacked.
        options: what its looks don't say.
        fields: what is looked for.

    Raises:
        DataError: the file is missing, empty, damaged, no table, or its columns can't be told.
    """
    source = open_source(path, scratch, options.encoding)
    if source.parquet:
        return _open_parquet(db, source, options, fields)
    if is_json(source):
        return _open_json(source, options, fields)
    return _open_delimited(source, scratch, options, fields)


def _open_delimited(source: Source, scratch: Path, options: ReadOptions, fields: Sequence[str]) -> Table:
    def laid_out(source: Source) -> Table:
        layout = find_layout(source, options.mapping, fields, options.kind)
        return Table(source, str(layout), layout.chosen, layout.names, layout)

    try:
        return laid_out(source)
    except DataError:
        doubled = source.with_doubled_quotes(scratch)
        if doubled is None:
            raise
        return replace(laid_out(doubled), escaped=True)


def _open_json(source: Source, options: ReadOptions, fields: Sequence[str]) -> Table:
    objects = json_sample(source)
    names = list(dict.fromkeys(name for found in objects for name in found))
    rows = [[_plain_text(found.get(name)) for name in names] for found in objects]
    chosen = choose(
        names,
        len(names),
        options.mapping,
        where=source.name,
        fields=fields,
        sample=what_columns_hold(rows, len(names)),
        kind=options.kind,
    )
    return Table(source, "JSON", chosen, names)


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def _plain_text(cell: object) -> str:
    return "" if cell is None else str(cell)


def _open_parquet(
    db: duckdb.DuckDBPyConnection, source: Source, options: ReadOptions, fields: Sequence[str]
) -> Table:
    try:
        columns = db.execute(f"DESCRIBE SELECT * FROM {parquet(source)}").fetchall()[:-1]
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise damaged(source.name, error) from error
    names, types = [column[0] for column in columns], tuple(column[1] for column in columns)
    numbers = [place for place, kind in enumerate(types) if kind in _NUMBERS or kind.startswith("DECIMAL")]
    times = [place for place, kind in enumerate(types) if kind.startswith(("TIMESTAMP", "DATE"))]
    chosen = choose(
        names,
        len(names),
        options.mapping,
        where=source.name,
        fields=fields,
        sample=Sample(numbers, times),
        kind=options.kind,
    )
    return Table(source, "Parquet", chosen, names, types=types)


def parquet(source: Source) -> str:
    """How DuckDB reads a Parquet file: with the column file_row_number, the last."""
    place = quoted(duckdb_path(source.path))
    return f"read_parquet({place}, file_row_number = true, hive_partitioning = false)"


def damaged(name: str, error: duckdb.Error) -> DataError:
    """What to say of a Parquet file that DuckDB can't read."""
    return DataError(f"{name} can't be read as Parquet; it may be truncated or damaged: {error}")


def quoted(text: str) -> str:
    """A text as a SQL string."""
    return "'" + text.replace("'", "''") + "'"
