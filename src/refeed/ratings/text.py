"""Text tables read record by record with exact line numbers: slower than DuckDB, used where that matters."""

import csv
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import islice
from pathlib import Path

from refeed.errors import DataError

__all__ = [
    "Layout",
    "Record",
    "delimited_records",
    "json_names",
    "json_records",
    "open_text",
    "sample_delimiter",
]

DELIMITERS = (",", "\t", "::", ";", "|")


@dataclass(frozen=True)
class Layout:
    """How a delimited table is laid out.

    Args:
        delimiter: one of `,`, tab, `::`, `;`, `|`.
        header: whether the first record names the columns.
        width: how many columns the first record has.
        fields: field ("user", "item", "rating", "timestamp") → position from 0.
    """

    delimiter: str
    header: bool
    width: int
    fields: dict[str, int]

    @property
    def quote(self) -> str:
        """The quotation mark; the old `::` files have none, there it is a letter like any other."""
        return "" if self.delimiter == "::" else '"'


@dataclass(frozen=True, slots=True)
class Record:
    """One record of a text file.

    Args:
        line: where it starts, from 1, as an editor counts.
        cells: its fields.
        cause: why it can't be split into fields, or None.
    """

    line: int
    cells: Sequence[str | None]
    cause: str | None = None


@contextmanager
def open_text(path: Path) -> Iterator[TextIOWrapper]:
    """Open a text file, gzipped or not. Bytes that are not UTF-8 become surrogates, line ends are kept.

    Raises:
        DataError: there is no such file, it can't be read, is damaged, or is UTF-16.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as binary:
            start = binary.read(2)
        if start in (b"\xff\xfe", b"\xfe\xff"):
            raise DataError(f"{path} is UTF-16 text; save it as UTF-8")
        with (
            gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as binary,
            TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="") as file,
        ):
            yield file
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is truncated or damaged ({error}); fetch it again") from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error


def delimited_records(file: Iterable[str], delimiter: str, where: str) -> Iterator[Record]:
    """The records of a delimited file; blank lines are passed over.

    Raises:
        DataError: a quotation mark opens and never closes properly, so that where records end is unknown.
    """
    if delimiter == "::":
        for line, text in enumerate(file, 1):
            if text.strip():
                yield Record(line, text.rstrip("\r\n").split("::"))
        return
    reader = csv.reader(file, delimiter=delimiter, strict=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if reader.line_num > line or "unexpected end" in str(error):
                raise DataError(
                    f"{where}:{line}: a quotation mark opens a field that does not end properly before line "
                    f"{reader.line_num + 1}; close it, or write it twice inside a quoted field"
                ) from error
            yield Record(line, [], f"it can't be split into fields ({error})")
            continue
        if len(cells) > 1 or (cells and cells[0].strip()):
            yield Record(line, cells)


def sample_delimiter(path: Path, least: int) -> str:
    """The delimiter that splits the first records into the same number of at least `least` fields.

    Raises:
        DataError: the file is empty, or none does.
    """
    usual = {".tsv": "\t", ".csv": ","}.get(Path(path.name.removesuffix(".gz")).suffix.lower(), "::")
    best, most, errors = "", 0, []
    for delimiter in sorted(DELIMITERS, key=lambda candidate: candidate != usual):
        widths, error = _widths(path, delimiter)
        errors += [error] if error else []
        alike = widths.count(widths[0]) if widths else 0
        if alike > most and widths[0] >= least:
            best, most = delimiter, alike
    if best:
        return best
    if errors:
        raise errors[0]
    with open_text(path) as file:
        first = next((line.strip() for line in file if line.strip()), "")
    if not first:
        raise DataError(f"{path} is empty; expected a table")
    raise DataError(
        f"{path}: can't tell at least {least} columns in {_shown(first)}; expected them to be separated by a "
        "comma, tab, '::', ';' or '|'"
    )


def _widths(path: Path, delimiter: str) -> tuple[list[int], DataError | None]:
    """How many fields each of the first records has, and what stopped the count if something did."""
    widths = []
    try:
        with open_text(path) as file:
            for record in islice(delimited_records(file, delimiter, str(path)), 20):
                widths.append(len(record.cells))  # noqa: PERF401 - what came before an error counts
    except DataError as error:
        return widths, error
    return widths, None


def json_names(file: Iterable[str], where: str) -> list[str]:
    """The names that the first JSON objects of a file have.

    Raises:
        DataError: there is none.
    """
    names: dict[str, None] = {}
    for text in islice(file, 100):
        try:
            found = json.loads(text)
        except ValueError:
            continue
        if isinstance(found, dict):
            names |= dict.fromkeys(found)
    if not names:
        raise DataError(f"{where}: expected a JSON object on each line")
    return list(names)


def json_records(file: Iterable[str], names: Sequence[str]) -> Iterator[Record]:
    """The records of a file with one JSON object a line, as the columns `names`; numbers stay verbatim."""
    for line, text in enumerate(file, 1):
        if not text.strip():
            continue
        try:
            found = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
        except ValueError:
            yield Record(line, [], f"it is no JSON: {_shown(text.strip())}")
            continue
        if not isinstance(found, dict):
            yield Record(line, [], f"it is no JSON object: {_shown(text.strip())}")
            continue
        cells = [found.get(name) for name in names]
        if any(isinstance(cell, dict | list | bool) for cell in cells):
            yield Record(line, [], f"a field is neither text nor a number: {_shown(text.strip())}")
        else:
            yield Record(line, cells)


def duckdb_path(path: Path) -> str:
    """A path for DuckDB, which would take `*`, `?` and `[` for a pattern."""
    return re.sub(r"([*?\[])", r"[\1]", str(path))


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:77] + "…")
