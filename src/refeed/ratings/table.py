"""Tables of ratings, one after the other, read into DuckDB.

DuckDB reads a spotless delimited file by itself, and Parquet where it lies: a view checks each row in the
column's
own type, and a spotless file is never copied. All else goes through Python, record by record.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.ratings.bad_rows import NOT_RATED, checked
from refeed.ratings.build import Rows
from refeed.ratings.open_table import Table, damaged, open_table
from refeed.ratings.options import ReadOptions
from refeed.ratings.parts import Parts
from refeed.ratings.source import EmptyFileError
from refeed.ratings.store_meta import DataKind
from refeed.ratings.text import Record
from refeed.ratings.wide import open_wide

__all__ = ["table_rows"]

_TABLE = "read_rows"
_CHUNK = 50_000
_COLUMNS = {"user": "user", "item": "item", "rating": "rating", "count": "rating", "timestamp": "time"}


def table_rows(
    db: duckdb.DuckDBPyConnection, sources: Sequence[Parts], scratch: Path, options: ReadOptions | None = None
) -> Rows:
    """Read tables of ratings, one after the other.

    Args:
        db: a connection of one's own, with the time zone UTC; gets the tables `good_rows` and `bad_rows`.
        sources: the files; of several parts of one table some may be empty.
        scratch: a folder for what is unpacked.
        options: what their looks don't say.

    Raises:
        DataError: a file is missing, empty, damaged, its columns can't be told, or it is of another kind
            than the
            first: ratings, counts, or interactions without a value.
    """
    options = options or ReadOptions()
    db.execute("""
        CREATE TABLE read_rows (file INTEGER, line BIGINT, "user" VARCHAR, item VARCHAR, rating DOUBLE,
            time BIGINT, cause VARCHAR, value VARCHAR, milliseconds BOOLEAN)
    """)
    db.execute("""
        CREATE TABLE read_files (file INTEGER, path VARCHAR, read BIGINT, good BIGINT, timed BIGINT,
            milliseconds BIGINT, missing BIGINT)
    """)
    reader = _Reader(db, scratch, options)
    for parts in sources:
        before = reader.number
        for path in parts.files:
            reader.read(path, may_be_empty=parts.many)
        if parts.many and not reader.has_rows(before):
            raise DataError(
                f"{parts.files[0].parent}: all {len(parts.files)} files are empty; expected ratings"
            )
    reader.make_views()
    read, milliseconds, missing = db.execute(
        "SELECT sum(read)::BIGINT, sum(milliseconds)::BIGINT, sum(missing)::BIGINT FROM read_files"
    ).fetchall()[0]
    _times_in_all_or_none(db)
    return Rows(
        rows="good_rows",
        titles=None,
        bad="bad_rows",
        read=read,
        format="; ".join(dict.fromkeys(str(table) for table in reader.tables)),
        notes=reader.notes(milliseconds),
        missing=missing,
        kind=reader.kind,
        certain=reader.valued is None or "rating" in options.mapping or options.kind != "auto",
    )


class _Reader:
    """Reads table after table, and knows what those before it were."""

    def __init__(self, db: duckdb.DuckDBPyConnection, scratch: Path, options: ReadOptions) -> None:
        self.tables: list[Table] = []
        self.valued: str | None = None
        """The field of the values: rating, count, or None for interactions without."""
        self._db, self._scratch, self._options = db, scratch, options
        self._views: list[str] = []
        self.number = 0
        """Files so far."""
        self._empty = 0

    @property
    def kind(self) -> DataKind:
        """What the tables hold."""
        return "ratings" if self.valued == "rating" else "interactions"

    def has_rows(self, since: int) -> bool:
        """Whether there is a row in any file from one on."""
        query = "SELECT coalesce(sum(read), 0) > 0 FROM read_files WHERE file >= ?"
        return bool(self._db.execute(query, [since]).fetchall()[0][0])

    def read(self, path: Path, *, may_be_empty: bool) -> None:
        """Read one file."""
        number, self.number = self.number, self.number + 1
        try:
            opened = open_wide if self._options.wide else open_table
            table = opened(self._db, path, self._scratch, self._options)
        except EmptyFileError:
            if not may_be_empty:
                raise
            self._empty += 1
            return
        valued = next((field for field in ("rating", "count") if field in table.fields), None)
        if self.tables and valued != self.valued:
            raise DataError(
                f"{path} has {_CALLED[valued]}, and {self.tables[0].source.name} has "
                f"{_CALLED[self.valued]}; give tables of one kind, or name the columns with --columns"
            )
        place, table = self._place(number, table)
        self._count(number, path, place, may_be_empty=may_be_empty)
        self.tables.append(table)
        self.valued = valued

    def _place(self, number: int, table: Table) -> tuple[str, Table]:
        """Read a table's rows, or make a view of them; say where they are, and what the table is."""
        if table.source.parquet:
            view = f"parquet_{number}"
            try:
                self._db.execute(f"CREATE VIEW {view} AS {self._numbered(number, table)}")
            except duckdb.OutOfMemoryException:
                raise
            except duckdb.Error as error:
                raise damaged(table.source.name, error) from error
            self._views.append(view)
            return view, table
        if self._is_read_by_duckdb(number, table):
            return _TABLE, table
        better = table.unescaped(self._scratch)
        if better is table or not self._is_read_by_duckdb(number, better):
            self._insert_records(number, better)
        return _TABLE, better

    def _is_read_by_duckdb(self, number: int, table: Table) -> bool:
        """Read a file, if nothing is wrong with it."""
        if table.query() is None:
            return False
        self._db.execute("BEGIN")
        try:
            self._db.execute(f"INSERT INTO read_rows {self._numbered(number, table)}")
        except duckdb.OutOfMemoryException:
            self._db.execute("ROLLBACK")
            raise
        except duckdb.Error:
            self._db.execute("ROLLBACK")
            return False
        bad = self._db.execute(
            f"SELECT count(*) FROM read_rows WHERE file = ? AND cause <> '{NOT_RATED}'", [number]
        ).fetchall()[0][0]
        self._db.execute("ROLLBACK" if bad else "COMMIT")
        return not bad

    def _numbered(self, number: int, table: Table) -> str:
        """A query of a table's rows by DuckDB, each checked."""
        of = {_COLUMNS[field]: field for field in table.fields}
        times = of.get("time")
        # An empty cell of text is NULL, and stands for a missing time only if there are times.
        time = "NULL::VARCHAR" if times is None else '"timestamp"'
        if times is not None and "timestamp" not in table.numbers:
            time = "coalesce(\"timestamp\", '')"
        rating = f'"{of["rating"]}"' if "rating" in of else "1::DOUBLE"
        line = "line" if table.source.parquet else "0 AS line"
        raw = f"""(SELECT {line}, "user", item, {rating} AS rating, {time} AS time, NULL::VARCHAR AS problem
            FROM ({table.query()}))"""
        numbers = {_COLUMNS[field] for field in table.numbers} | ({"rating"} if "rating" not in of else set())
        return self._select(raw, number, numbers, counts="count" in table.fields)

    def _select(self, raw: str, number: int, numbers: Iterable[str], *, counts: bool) -> str:
        query = checked(raw, numbers=frozenset(numbers), missing=self._options.missing, counts=counts)
        return f"SELECT {number} AS file, * FROM ({query})"

    def _insert_records(self, number: int, table: Table) -> None:
        records = table.records()
        while chunk := list(islice(records, _CHUNK)):
            raw = _columns(chunk, table.fields)  # noqa: F841 - DuckDB reads it by its name
            query = self._select("raw", number, (), counts="count" in table.fields)
            self._db.execute(f"INSERT INTO read_rows {query}")

    def _count(self, number: int, path: Path, place: str, *, may_be_empty: bool) -> None:
        """Note how many rows of a file there are, and of what sort."""
        try:
            counts = self._db.execute(f"""
                SELECT count(*), count(*) FILTER (WHERE cause IS NULL), count(time) FILTER (WHERE cause IS
                NULL),
                    count(*) FILTER (WHERE milliseconds), count(*) FILTER (WHERE cause = '{NOT_RATED}')
                FROM {place} WHERE file = {number}
            """).fetchall()[0]
        except duckdb.OutOfMemoryException:
            raise
        except duckdb.Error as error:
            raise damaged(str(path), error) from error
        if not counts[0] and not may_be_empty:
            raise DataError(f"{path} has no ratings, at most a header; expected a row for each rating")
        self._empty += not counts[0]
        self._db.execute("INSERT INTO read_files VALUES (?, ?, ?, ?, ?, ?, ?)", [number, str(path), *counts])

    def make_views(self) -> None:
        """Make the views of all good rows and of all bad ones."""
        every = (f"SELECT file, line, value, cause FROM {place}" for place in (_TABLE, *self._views))
        self._db.execute(f"CREATE VIEW all_rows AS {' UNION ALL '.join(every)}")
        spoilt = {
            row[0] for row in self._db.execute("SELECT file FROM read_files WHERE good < read").fetchall()
        }
        of_views = {f"parquet_{number}": number for number in range(self.number)}
        good = []
        # Rows lie in the order of reading; counting lines would keep DuckDB to one thread.
        for place, order in ((_TABLE, "rowid"), *((view, "line") for view in self._views)):
            query = f'SELECT "user", item, rating, time, (file::BIGINT << 40) + {order} AS line FROM {place}'
            bad = spoilt if place == _TABLE else spoilt & {of_views[place]}
            good.append(query + " WHERE cause IS NULL" * bool(bad))
        self._db.execute(f"CREATE VIEW good_rows AS {' UNION ALL '.join(good)}")
        self._db.execute(f"""
            CREATE VIEW bad_rows AS SELECT path AS file, line, value, cause
            FROM all_rows JOIN read_files USING (file) WHERE cause <> '{NOT_RATED}'
        """)

    def notes(self, milliseconds: int) -> tuple[str, ...]:
        """What the user should know."""
        found = list(dict.fromkeys(note for table in self.tables for note in table.chosen.notes))
        if "rating" in self._options.mapping or "count" in self._options.mapping:
            pass  # that is what was asked for
        elif self.valued is None:
            found.append(
                "there is no column of ratings, so each row is an interaction; --columns rating=… names one"
            )
        elif self.valued == "count":
            found.append(
                "the values are counts of interactions; --columns rating=… takes a column as the rating"
            )
        if milliseconds:
            found.append(f"{milliseconds:,} times are beyond 10^11 and were read as milliseconds")
        if self._empty:
            found.append(f"{self._empty:,} of {self.number:,} files are empty")
        return tuple(found)


_CALLED = {"rating": "ratings", "count": "counts", None: "no column of ratings"}


def _times_in_all_or_none(db: duckdb.DuckDBPyConnection) -> None:
    per_file = db.execute("SELECT path, timed FROM read_files WHERE good > 0 ORDER BY file").fetchall()
    timed, untimed = [p for p, times in per_file if times], [p for p, times in per_file if not times]
    if timed and untimed:
        raise DataError(
            f"{timed[0]} has times and {untimed[0]} has none; name the column with --columns timestamp=…, or "
            "read none with --columns timestamp=none"
        )


def _columns(records: Sequence[Record], fields: Sequence[str]) -> dict[str, NDArray[np.generic]]:
    columns: dict[str, NDArray[np.generic]] = {"line": np.array([record.line for record in records])}
    places = {_COLUMNS[field]: place for place, field in enumerate(fields)}
    for column in ("user", "item", "rating", "time"):
        columns[column] = _strings(_cells(records, column, places.get(column)))
    columns["problem"] = _strings(record.cause for record in records)
    return columns


def _cells(records: Sequence[Record], column: str, place: int | None) -> Iterator[str | None]:
    """A column of records; where there is none, interactions have a rating of 1 and no time."""
    for record in records:
        if record.cause:
            yield None
        elif place is None:
            yield "1" if column == "rating" else None
        else:
            yield record.cells[place] or ""


def _strings(values: Iterable[str | None]) -> NDArray[np.object_]:
    cells = list(values)
    array = np.empty(len(cells), dtype=np.object_)
    array[:] = cells
    return array
