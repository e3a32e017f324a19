"""Tables of ratings: delimited text, JSON lines and Parquet, read into DuckDB.

DuckDB reads a spotless delimited file by itself. Whatever it stumbles over, one bad row even, and the file is
read again record by record (`text.py`): DuckDB knows no line numbers once a line is blank or a field has a
line break.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.ratings.bad_rows import checked
from refeed.ratings.build import Rows
from refeed.ratings.columns import looks_like_header, resolve
from refeed.ratings.parquet import damaged, view_parquet
from refeed.ratings.text import (
    Layout,
    Record,
    delimited_records,
    duckdb_path,
    json_names,
    json_records,
    open_text,
    sample_delimiter,
)

__all__ = ["table_rows"]

_TABLE = "read_rows"
_CHUNK = 50_000
_NAMES = {",": "comma-separated", "\t": "tab-separated", "::": "'::'-separated"}
_JSON = (".jsonl", ".ndjson", ".json")


def table_rows(
    db: duckdb.DuckDBPyConnection, paths: Sequence[Path], mapping: Mapping[str, str | int] | None = None
) -> Rows:
    """Read tables of ratings, one after the other.

    Args:
        db: a connection of one's own, with the time zone UTC; gets the tables `good_rows` and `bad_rows`.
        paths: CSV, TSV, `::`-, `;`- or `|`-separated, JSON lines (all of these gzipped too), or Parquet.
        mapping: which column is which, as `parse_columns` gives it.

    Raises:
        DataError: a file is missing, empty, damaged, or its columns can't be told.
    """
    db.execute("""
        CREATE TABLE read_rows (file INTEGER, line BIGINT, "user" VARCHAR, item VARCHAR, rating DOUBLE,
            time BIGINT, cause VARCHAR, value VARCHAR, milliseconds BOOLEAN)
    """)
    db.execute("""
        CREATE TABLE read_files (file INTEGER, path VARCHAR, read BIGINT, good BIGINT, timed BIGINT,
            milliseconds BIGINT)
    """)
    kinds, good, bad = [], [], []
    for number, path in enumerate(paths):
        kind, place = _read(db, number, path, mapping or {})
        kinds.append(kind)
        spotless = _count(db, number, path, place)
        # Rows lie in the order of reading; counting lines would keep DuckDB to one thread.
        order = "rowid" if place == _TABLE else "line"
        good.append(
            f'SELECT "user", item, rating, time, ({number}::BIGINT << 40) + {order} AS line FROM {place} '
            f"WHERE file = {number}" + ("" if spotless else " AND cause IS NULL")
        )
        if not spotless:
            bad.append(f"SELECT file, line, value, cause FROM {place} WHERE file = {number}")
    db.execute(f"CREATE VIEW good_rows AS {' UNION ALL '.join(good)}")
    db.execute(f"""
        CREATE VIEW bad_rows AS SELECT path AS file, line, value, cause
        FROM ({" UNION ALL ".join(bad or [f"SELECT file, line, value, cause FROM {_TABLE}"])})
        JOIN read_files USING (file) WHERE cause IS NOT NULL
    """)
    read, milliseconds = db.execute(
        "SELECT sum(read)::BIGINT, sum(milliseconds)::BIGINT FROM read_files"
    ).fetchall()[0]
    _times_in_all_or_none(db)
    note = f"{milliseconds:,} times are beyond 10^11 and were read as milliseconds"
    return Rows(
        rows="good_rows",
        titles=None,
        bad="bad_rows",
        read=read,
        format=", ".join(dict.fromkeys(kinds)),
        notes=(note,) if milliseconds else (),
    )


def _count(db: duckdb.DuckDBPyConnection, number: int, path: Path, place: str) -> bool:
    """Note how many rows of a file there are, and say whether all are good."""
    try:
        read, *others = db.execute(f"""
            SELECT count(*), count(*) FILTER (WHERE cause IS NULL), count(time) FILTER (WHERE cause IS NULL),
                count(*) FILTER (WHERE milliseconds)
            FROM {place} WHERE file = {number}
        """).fetchall()[0]
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise damaged(path, error) from error
    if not read:
        raise DataError(f"{path} has no ratings, at most a header; expected a row for each rating")
    db.execute("INSERT INTO read_files VALUES (?, ?, ?, ?, ?, ?)", [number, str(path), read, *others])
    return bool(others[0] == read)


def _times_in_all_or_none(db: duckdb.DuckDBPyConnection) -> None:
    per_file = db.execute("SELECT path, timed FROM read_files WHERE good > 0 ORDER BY file").fetchall()
    timed, untimed = [p for p, times in per_file if times], [p for p, times in per_file if not times]
    if timed and untimed:
        raise DataError(
            f"{timed[0]} has times and {untimed[0]} has none; name the column with --columns timestamp=…, or "
            "read none with --columns timestamp=none"
        )


def _read(
    db: duckdb.DuckDBPyConnection, number: int, path: Path, mapping: Mapping[str, str | int]
) -> tuple[str, str]:
    """Read one file; say what it is, and in which table or view its rows are."""
    with open_text(path) as file:
        start = file.read(4096).lstrip()
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if start.startswith("PAR1") or ".parquet" in suffixes:
        return "Parquet", view_parquet(db, number, path, mapping)
    if not start:
        raise DataError(f"{path} is empty; expected a table of ratings")
    if start.startswith("{") and (not suffixes or suffixes & {*_JSON, ".txt"}):
        _read_json(db, number, path, mapping)
        return "JSON lines", _TABLE
    layout = _layout(path, mapping)
    if not _read_by_duckdb(db, number, path, layout):
        with open_text(path) as file:
            records = delimited_records(file, layout.delimiter, str(path))
            _insert_records(db, number, _fitted(records, layout), layout.fields)
    header = "with" if layout.header else "without"
    delimiter = _NAMES.get(layout.delimiter, f"{layout.delimiter!r}-separated")
    return f"{delimiter}, {header} header", _TABLE


def _layout(path: Path, mapping: Mapping[str, str | int]) -> Layout:
    delimiter = sample_delimiter(path, least=3)
    with open_text(path) as file:
        sample = list(islice(delimited_records(file, delimiter, str(path)), 20))
    first = sample[0]
    cells = [str(cell) for cell in first.cells]
    # The delimiter may stand after the last field too.
    if not any(record.cells[len(cells) - 1 :] not in ([], [""]) for record in sample):
        cells.pop()
    header = looks_like_header(cells, mapping)
    if not header and len(cells) > 4 and not mapping:
        raise DataError(
            f"{path} has {len(cells)} columns and no header; say which is which by number, such as "
            "--columns user=1,item=2,rating=3,timestamp=4"
        )
    names = [cell.strip() for cell in cells] if header else None
    return Layout(
        delimiter, header, len(cells), resolve(names, len(cells), mapping, where=f"{path}:{first.line}")
    )


def _read_by_duckdb(db: duckdb.DuckDBPyConnection, number: int, path: Path, layout: Layout) -> bool:
    """Read a delimited file, if nothing is wrong with it."""
    columns = ", ".join(f"'c{place}': 'VARCHAR'" for place in range(layout.width))
    quote = layout.quote
    cells = {field: f"c{place}" for field, place in layout.fields.items()}
    time = f"coalesce({cells['timestamp']}, '')" if "timestamp" in cells else "NULL::VARCHAR"
    raw = f"""(
        SELECT 0 AS line, {cells["user"]} AS "user", {cells["item"]} AS item,
            {cells["rating"]} AS rating, {time} AS time, NULL::VARCHAR AS problem
        FROM read_csv($path, delim = '{layout.delimiter}', quote = '{quote}', escape = '{quote}',
            header = {layout.header}, auto_detect = false, columns = {{{columns}}})
    )"""
    db.execute("BEGIN")
    try:
        db.execute(f"INSERT INTO read_rows {_numbered(raw, number)}", {"path": duckdb_path(path)})
    except duckdb.Error:
        db.execute("ROLLBACK")
        return False
    bad = db.execute(
        "SELECT count(*) FROM read_rows WHERE file = ? AND cause IS NOT NULL", [number]
    ).fetchall()
    db.execute("ROLLBACK" if bad[0][0] else "COMMIT")
    return not bad[0][0]


def _numbered(raw: str, number: int) -> str:
    return f"SELECT {number}, * FROM ({checked(raw)})"


def _fitted(records: Iterator[Record], layout: Layout) -> Iterator[Record]:
    """The records after the header; those with too few or too many fields get a cause."""
    for record in islice(records, 1 if layout.header else 0, None):
        width = len(record.cells)
        # One empty field too many: the delimiter was written after the last field too.
        if record.cause or width == layout.width or (width == layout.width + 1 and not record.cells[-1]):
            yield record
        else:
            text = layout.delimiter.join(str(cell) for cell in record.cells)
            yield Record(
                record.line, [], f"{width} fields where {layout.width} were expected: {text[:200]!r}"
            )


def _read_json(
    db: duckdb.DuckDBPyConnection, number: int, path: Path, mapping: Mapping[str, str | int]
) -> None:
    with open_text(path) as file:
        names = json_names(file, str(path))
    fields = resolve(names, len(names), mapping, where=str(path))
    with open_text(path) as file:
        _insert_records(db, number, json_records(file, names), fields)


def _insert_records(
    db: duckdb.DuckDBPyConnection, number: int, records: Iterable[Record], fields: Mapping[str, int]
) -> None:
    iterator = iter(records)
    while chunk := list(islice(iterator, _CHUNK)):
        raw = _columns(chunk, fields)  # noqa: F841 - DuckDB reads it by its name
        db.execute(f"INSERT INTO read_rows {_numbered('raw', number)}")


def _columns(records: Sequence[Record], fields: Mapping[str, int]) -> dict[str, NDArray[np.generic]]:
    problems: list[str | None] = [record.cause or _undecodable(record) for record in records]
    columns: dict[str, NDArray[np.generic]] = {"line": np.array([record.line for record in records])}
    for column, field in (("user", "user"), ("item", "item"), ("rating", "rating"), ("time", "timestamp")):
        place = fields.get(field)
        columns[column] = _strings(
            None if problem or place is None else (record.cells[place] or "")
            for record, problem in zip(records, problems, strict=True)
        )
    columns["problem"] = _strings(problem and _readable(problem) for problem in problems)
    return columns


def _strings(values: Iterable[str | None]) -> NDArray[np.object_]:
    cells = list(values)
    array = np.empty(len(cells), dtype=np.object_)
    array[:] = cells
    return array


def _undecodable(record: Record) -> str | None:
    text = "".join(cell for cell in record.cells if cell)
    if text.isascii() or not re.search("[\ud800-\udfff]", text):
        return None
    return f"it is not UTF-8, or damaged: {' '.join(cell or '' for cell in record.cells)!r}"


def _readable(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()
