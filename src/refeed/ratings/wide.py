"""Wide tables: a row for each user, a column for each item, a rating or nothing in each cell.

Like Jester's, which has no header and starts each row with the number of jokes rated; or like a
spreadsheet's, with
the items in the first row and the users in the first column.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from refeed.errors import DataError
from refeed.ratings.columns import NO_COLUMN, Chosen, is_number, names_all
from refeed.ratings.json_text import is_json
from refeed.ratings.open_table import Table, damaged, parquet, quoted
from refeed.ratings.options import ReadOptions
from refeed.ratings.source import Source, open_source
from refeed.ratings.text import Layout, Record, duckdb_path, find_delimiter, fitted_records, take_sample

__all__ = ["WideTable", "open_wide"]

_FIELDS = ("user", "item", "rating")


@dataclass(frozen=True)
class WideTable(Table):
    """A wide table, read as one with a row for each cell that is not empty.

    Args:
        user: the column of the users, from 0; None: users are numbered by row, from 1.
        items: the column of each item, from 0 → its id.
    """

    user: int | None = None
    items: Mapping[int, str] | None = None

    @property
    def fields(self) -> tuple[str, ...]:
        """Of each cell."""
        return _FIELDS

    @property
    def numbers(self) -> frozenset[str]:
        """Cells are read as text."""
        return frozenset()

    def query(self) -> str:
        """A query with user, item and rating, each as text; of Parquet with line."""
        items = self.items or {}
        cells = ", ".join(f"{self._cell(place)} AS c{place}" for place in items)
        user = "row_number() OVER ()" if self.user is None else self._cell(self.user)
        line = "file_row_number + 1 AS line, " if self.source.parquet else ""
        names = ", ".join(quoted(items.get(place, "")) for place in range(max(items) + 1))
        return f"""
            SELECT {"line, " if line else ""}"user", ([{names}])[substr(place, 2)::INTEGER + 1] AS item,
            rating
            FROM (UNPIVOT (SELECT {line}({user})::VARCHAR AS "user", {cells} FROM {self._from()})
                ON {", ".join(f"c{place}" for place in items)} INTO NAME place VALUE rating)
        """

    def records(self) -> Iterator[Record]:
        """A record for each cell that is not empty; its line is the row's."""
        items = self.items or {}
        layout = self.layout
        if layout is None:
            return
        for number, record in enumerate(fitted_records(self.source, layout, range(layout.width)), 1):
            if record.cause:
                yield self._decoded(record)
                continue
            user = str(number) if self.user is None else record.cells[self.user]
            for place, item in items.items():
                cell = record.cells[place]
                if cell and cell.strip():
                    yield self._decoded(Record(record.line, [user, item, cell]))

    def _cell(self, place: int) -> str:
        if self.layout is not None:
            return f"column{place}"
        name = '"' + (self.names or ())[place].replace('"', '""') + '"'
        return f"nullif({name}::VARCHAR, 'nan')"

    def _from(self) -> str:
        if self.layout is None:
            return parquet(self.source)
        layout, packed = self.layout, "gzip" if self.source.gzipped else "none"
        columns = ", ".join(f"'column{place}': 'VARCHAR'" for place in range(layout.width))
        return f"""read_csv({quoted(duckdb_path(self.source.path))}, delim = {quoted(layout.delimiter)},
            quote = '{layout.quote}', escape = '{layout.quote}', header = {layout.names is not None},
            skip = {int(layout.told)}, compression = '{packed}', auto_detect = false,
            columns = {{{columns}}})"""


def open_wide(db: duckdb.DuckDBPyConnection, path: Path, scratch: Path, options: ReadOptions) -> WideTable:
    """Recognise a wide table; arguments and errors as for `open_table`."""
    source = open_source(path, scratch, options.encoding)
    if source.parquet:
        try:
            names = [
                row[0] for row in db.execute(f"DESCRIBE SELECT * FROM {parquet(source)}").fetchall()[:-1]
            ]
        except duckdb.Error as error:
            raise damaged(source.name, error) from error
        return _with_columns(source, None, names, [], options, label="Parquet")
    if is_json(source):
        raise DataError(f"{path} is JSON, and --wide is for delimited text and Parquet")
    delimiter, told = find_delimiter(source, ("user", "item"))
    rows = [[str(cell) for cell in r.cells] for r in take_sample(source, delimiter, told=told) if not r.cause]
    width = len(rows[0])
    header = _has_header(rows[0], options.missing)
    named = [cell.strip() for cell in rows[0]] if header else None
    layout = Layout(delimiter, told, named, width, Chosen({}))
    rows = [row for row in rows[header:] if len(row) == width]
    return _with_columns(source, layout, named, rows, options, label=str(layout))


def _with_columns(
    source: Source,
    layout: Layout | None,
    names: Sequence[str] | None,
    rows: Sequence[Sequence[str]],
    options: ReadOptions,
    *,
    label: str,
) -> WideTable:
    """Tell the users' column from the items'."""
    width = layout.width if layout is not None else len(names or ())
    skipped: tuple[int, ...] = ()
    if "user" in options.mapping:
        user = _mapped(names, width, options.mapping["user"], source.name)
        note = ""
    elif names is not None:
        user, note = (
            0,
            "" if not names[0] or names_all(names[:1], ["user"]) else f"the user is column {names[0]!r}",
        )
    else:
        user, skipped, note = _users_without_header(rows, options.missing)
    places = [place for place in range(width) if place != user and place not in skipped]
    if names is None:
        items = {place: str(number) for number, place in enumerate(places, 1)}
    else:
        items = {place: names[place] for place in places}
        _check_items(source.name, items)
    if not items:
        raise DataError(f"{source.name} has one column; a wide table has a column for each item")
    notes = (f"{note}; --columns user=… or user=none says otherwise",) if note else ()
    format_ = f"{label}, a column for each of {len(items):,} items"
    return WideTable(source, format_, Chosen({}, notes), names, layout, user=user, items=items)


def _has_header(first: Sequence[str], missing: Sequence[str]) -> bool:
    """Whether the first row names the items: it starts with nothing or "user", or has text elsewhere."""
    texts = [cell for cell in first[1:] if cell.strip() and cell.strip() not in missing]
    return not first[0].strip() or names_all(first[:1], ["user"]) or not all(map(is_number, texts))


def _users_without_header(
    rows: Sequence[Sequence[str]], missing: Sequence[str]
) -> tuple[int | None, tuple[int, ...], str]:
    """The users' column, columns that are neither users nor items, and what to say of it."""
    codes = {float(code) for code in missing if is_number(code)}
    values = [
        [float(cell) for cell in row[1:] if is_number(cell) and float(cell) not in codes] for row in rows
    ]
    first = [row[0] for row in rows]
    if not all(map(is_number, first)):
        return 0, (), "the user is the first column"
    counts = [float(cell) for cell in first]
    if counts == [len(row) for row in values]:
        return None, (0,), "the first column is how many each user rated, and users are numbered by row"
    known = [value for row in values for value in row]
    distinct = len(set(counts)) == len(counts) and all(count == int(count) for count in counts)
    if distinct and known and not all(min(known) <= count <= max(known) for count in counts):
        return 0, (), "the user is the first column"
    return None, (), "all columns are items, and users are numbered by row"


def _mapped(names: Sequence[str] | None, width: int, column: str | int, where: str) -> int | None:
    if column == NO_COLUMN:
        return None
    if isinstance(column, int) and 1 <= column <= width:
        return column - 1
    if names is not None and str(column) in names:
        return list(names).index(str(column))
    raise DataError(
        f"{where}: there is no column {column!r} for the user; give a name, a number from 1, or none"
    )


def _check_items(where: str, items: Mapping[int, str]) -> None:
    seen: dict[str, int] = {}
    for place, item in items.items():
        if not item:
            raise DataError(
                f"{where}: column {place + 1} has no name; a wide table with a header names every item"
            )
        if item in seen:
            raise DataError(f"{where}: columns {seen[item] + 1} and {place + 1} are both called {item!r}")
        seen[item] = place
