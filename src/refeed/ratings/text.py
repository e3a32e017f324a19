"""Delimited tables, record by record with exact line numbers: slower than DuckDB, used where that matters."""

import csv
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from refeed.errors import DataError
from refeed.ratings.columns import (
    Chosen,
    Kind,
    Sample,
    choose,
    is_number,
    is_time,
    looks_like_header,
    names_all,
)
from refeed.ratings.source import EmptyFileError, Source

__all__ = [
    "Layout",
    "Record",
    "count_faults",
    "delimited_records",
    "duckdb_path",
    "find_delimiter",
    "find_layout",
    "fitted_records",
    "shown",
    "take_sample",
]

DELIMITERS = (",", "\t", "::", ";", "|")
_ONE_COLUMN = "\x1f"
_SAMPLE = 20
_SEPARATOR = re.compile(r'"?sep=(.)"?', re.IGNORECASE)
_NAMES = {",": "comma-separated", "\t": "tab-separated", "::": "'::'-separated", _ONE_COLUMN: "one column"}
csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a review may be of any length


@dataclass(frozen=True)
class Layout:
    """How a delimited table is laid out.

    Args:
        delimiter: one of `,`, tab, `::`, `;`, `|`, or what the first line says (`sep=;`).
        told: whether the first line says it; it is no record then.
        names: the header's, or None without one.
        width: how many columns the first record has.
        chosen: which column is which.
        titles: whether it is one of items and their titles, where commas often are in titles unquoted.
    """

    delimiter: str
    told: bool
    names: list[str] | None
    width: int
    chosen: Chosen
    titles: bool = False

    @property
    def quote(self) -> str:
        """The quotation mark; the old `::` files have none, there it is a letter like any other."""
        return "" if self.delimiter == "::" else '"'

    def __str__(self) -> str:
        """In words."""
        delimiter = _NAMES.get(self.delimiter, f"{self.delimiter!r}-separated")
        return f"{delimiter}, {'without' if self.names is None else 'with'} header"


class Record(NamedTuple):
    """One record of a text file.

    Args:
        line: where it starts, from 1, as an editor counts.
        cells: its fields.
        cause: why it can't be split into fields, or None.
    """

    line: int
    cells: Sequence[str | None]
    cause: str | None = None


def delimited_records(
    file: Iterable[str], delimiter: str, where: str, *, told: bool = False
) -> Iterator[Record]:
    """The records of a delimited file; blank lines, and a first one such as `sep=;` (told), are passed over.

    Raises:
        DataError: a quotation mark opens and never closes properly, so that where records end is unknown.
    """
    if delimiter == "::":
        for line, text in enumerate(file, 1):
            if text.strip():
                yield Record(line, text.rstrip("\r\n").split("::"))
        return
    lines = iter(file)
    if told:
        next(lines)
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1 + told
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if reader.line_num + told > line or "unexpected end" in str(error):
                raise DataError(
                    f"{where}:{line}: a quotation mark opens a field that does not end properly before line "
                    f"{reader.line_num + 1 + told}; close it, or write it twice inside a quoted field"
                ) from error
            yield Record(line, [], f"it can't be split into fields ({error})")
            continue
        if len(cells) > 1 or (cells and cells[0].strip()):
            yield Record(line, cells)


def find_layout(
    source: Source,
    mapping: Mapping[str, str | int],
    fields: Sequence[str],
    kind: Kind = "auto",
) -> Layout:
    """Tell the layout of a delimited table from its first records.

    Args:
        source: the text.
        mapping: which column is which, as `parse_columns` gives it.
        fields: what is looked for.
        kind: as in `ReadOptions`.

    Raises:
        DataError: the file is empty, or its columns can't be told.
    """
    delimiter, told = find_delimiter(source, fields)
    sample = [record for record in take_sample(source, delimiter, told=told) if not record.cause]
    if not sample:
        raise DataError(
            f"{source.name}: none of the first records can be split into fields; is this a table?"
        )
    first = sample[0]
    cells = [str(cell) for cell in first.cells]
    # The delimiter may stand after the last field too.
    if len(cells) > 1 and not any(record.cells[len(cells) - 1 :] not in ([], [""]) for record in sample):
        cells.pop()
    if "title" in fields:  # MovieLens's, and whoever doesn't quote titles
        sample = [record for record in sample if len(record.cells) >= len(cells)]
    width = len(cells)
    rows = [[str(cell) for cell in record.cells[:width]] for record in sample]
    header = looks_like_header(rows, mapping, fields)
    if not header and width > 4 and not mapping and "rating" in fields:
        raise DataError(
            f"{source.name} has {width} columns and no header; say which is which by number, such as "
            "--columns user=1,item=2,rating=3,timestamp=4"
        )
    names = [cell.strip() for cell in cells] if header else None
    chosen = choose(
        names,
        width,
        mapping,
        where=f"{source.name}:{first.line}",
        fields=fields,
        sample=what_columns_hold(rows[1:] if header else rows, width),
        kind=kind,
    )
    return Layout(delimiter, told, names, width, chosen, titles="title" in fields)


def what_columns_hold(rows: Sequence[Sequence[str | None]], width: int) -> Sample:
    """Which columns hold numbers and times only, of those that hold anything."""
    columns = [[row[place] or "" for row in rows if place < len(row)] for place in range(width)]
    filled = [[cell for cell in column if cell.strip()] for column in columns]
    return Sample(
        numbers=[place for place, cells in enumerate(filled) if cells and all(map(is_number, cells))],
        times=[place for place, cells in enumerate(filled) if cells and all(map(is_time, cells))],
    )


def take_sample(source: Source, delimiter: str, *, told: bool, count: int = _SAMPLE) -> list[Record]:
    """The first records; those before an error, if there are any.

    Raises:
        DataError: the first is one, or the file is damaged.
    """
    found: list[Record] = []
    with source.open() as file:
        records = delimited_records(file, delimiter, source.name, told=told)
        try:
            for record in islice(records, count):
                found.append(record)  # noqa: PERF402 - what came before an error counts
        except DataError:
            if not found:
                raise
    return found


def find_delimiter(source: Source, fields: Sequence[str]) -> tuple[str, bool]:
    """The delimiter that splits the first records best, and whether the first line says it (`sep=;`).

    Raises:
        DataError: the file is empty, or none splits them.
    """
    with source.open() as file:
        first = next((line.strip() for line in file if line.strip()), "")
    if not first:
        raise EmptyFileError(
            f"{source.name} is empty; expected a table{' of ratings' * ('rating' in fields)}"
        )
    told = _SEPARATOR.fullmatch(first)
    if told:
        return told[1], True
    usual = "\t" if ".tsv" in source.suffixes else "," if ".csv" in source.suffixes else "::"
    best, score, errors = "", (0, 0, 0), []
    for delimiter in sorted(DELIMITERS, key=lambda candidate: candidate != usual):
        try:
            sample = take_sample(source, delimiter, told=False)
        except DataError as error:
            errors.append(error)
            continue
        widths = [len(record.cells) for record in sample]
        named = sum(names_all([str(cell) for cell in sample[0].cells], [field]) for field in fields)
        # Two columns may come of a decimal comma; three are a table of ratings.
        here = (named, min(widths[0], 3) if "rating" in fields else 2, widths.count(widths[0]))
        if widths[0] >= 2 and here > score:
            best, score = delimiter, here
    least = min(len([field for field in fields if field != "timestamp"]), 2)
    if best and (least > 1 or score[0]):
        return best, False
    if errors and not best:
        raise errors[0]
    if least == 1:
        return _ONE_COLUMN, False
    raise DataError(
        f"{source.name}: can't tell at least {least} columns in {shown(first)}; expected them to be "
        "separated by a comma, tab, '::', ';' or '|'"
    )


def count_faults(source: Source, layout: Layout) -> float:
    """How many records can't be split into as many fields as expected; infinite if a quotation never ends."""
    try:
        return float(sum(record.cause is not None for record in fitted_records(source, layout, [0])))
    except DataError:
        return float("inf")


def fitted_records(
    source: Source, layout: Layout, places: Sequence[int], *, further: int = 0
) -> Iterator[Record]:
    """The records after the header, of each the cells at some places; of a bad one, the cause.

    A record of titles may have another width, and has nothing in the `further` last places then.
    """
    strict = list(places)[: len(places) - further]
    with source.open() as file:
        records = delimited_records(file, layout.delimiter, source.name, told=layout.told)
        for record in islice(records, 0 if layout.names is None else 1, None):
            width = len(record.cells)
            # One empty field too many: the delimiter was written after the last field too.
            if record.cause:
                yield record
            elif width == layout.width or (width == layout.width + 1 and not record.cells[-1]):
                yield Record(record.line, [record.cells[place] for place in places])
            elif layout.titles and width > max(strict):
                yield Record(record.line, [*(record.cells[place] for place in strict), *[None] * further])
            else:
                text = layout.delimiter.join(str(cell) for cell in record.cells)
                cause = f"{width} fields where {layout.width} were expected: {text[:200]!r}"
                yield Record(record.line, [], cause)


def duckdb_path(path: Path) -> str:
    """A path for DuckDB, which would take `*`, `?` and `[` for a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def shown(text: str) -> str:
    """The start of a text, for a message."""
    return repr(text if len(text) <= 80 else text[:77] + "…")
