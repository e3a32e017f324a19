"""A small table of columns: how predictions and lists leave refeed, for whatever library comes next."""

from collections import namedtuple
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, overload

import duckdb
import numpy as np
from numpy.typing import ArrayLike, NDArray

from refeed.errors import DataError, UserError
from refeed.files import atomic_file, given_path

__all__ = ["Column", "Table", "writer"]

Column = NDArray[Any] | tuple[str | None, ...]

_WRITERS = {
    ".csv": "FORMAT csv, HEADER",
    ".tsv": "FORMAT csv, HEADER, DELIMITER '\t'",
    ".parquet": "FORMAT parquet",
}
_SHOWN_ROWS = 7
_WIDEST = 32


class Table:
    """Named columns of the same length: numbers as read-only arrays, text as tuples. Nothing in it changes.

    A NaN is an empty cell: null in frames of Arrow and in Parquet, nothing in CSV, None in rows. So is a None
    in a column of text.

    `table["item"]` is a column, `table[0]` a row (a named tuple), `table[:10]` a table of the first ten;
    iterating gives the rows. polars, pyarrow, DuckDB and others read it as it is, by `__arrow_c_stream__`:
    `polars.DataFrame(table)`.

    Args:
        columns: name → `[rows]`, numbers or text.

    Raises:
        DataError: columns are of different lengths, of other types, or there is none.
    """

    __slots__ = ("_columns", "_row")

    def __init__(self, columns: Mapping[str, ArrayLike | Sequence[str | None]]) -> None:
        self._columns = {str(name): _column(str(name), values) for name, values in columns.items()}
        lengths = {name: len(column) for name, column in self._columns.items()}
        if not lengths:
            raise DataError("a table needs a column")
        if len(set(lengths.values())) > 1:
            given = ", ".join(f"{name!r} has {length:,}" for name, length in lengths.items())
            raise DataError(f"the columns of a table must be equally long: {given}")
        self._row: Any = namedtuple("Row", self._columns, rename=True)  # type: ignore[misc]  # noqa: PYI024 - names vary

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(self._columns)

    def __len__(self) -> int:
        """The number of rows."""
        return len(next(iter(self._columns.values())))

    def __iter__(self) -> Iterator[Any]:
        """The rows, as named tuples of Python's own text and numbers."""
        return map(self._row._make, zip(*map(_cells, self._columns.values()), strict=True))

    @overload
    def __getitem__(self, key: str) -> Column: ...
    @overload
    def __getitem__(self, key: slice) -> "Table": ...
    @overload
    def __getitem__(self, key: int) -> Any: ...
    def __getitem__(self, key: str | int | slice) -> Any:
        """A column by name, a row by place, or a table of some rows by slice."""
        if isinstance(key, slice):
            return Table({name: column[key] for name, column in self._columns.items()})
        if isinstance(key, str):
            if key not in self._columns:
                there = ", ".join(map(repr, self._columns))
                raise DataError(f"there is no column {key!r}; there are {there}")
            return self._columns[key]
        if not -len(self) <= key < len(self):
            raise IndexError(f"there is no row {key}; there are {len(self):,}")
        return next(iter(self[key : key + 1 or None]))

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows as dicts, None where a cell is empty."""
        return [dict(zip(self._columns, row, strict=True)) for row in self]

    def to_pandas(self) -> Any:
        """A DataFrame of pandas.

        Raises:
            UserError: pandas is not installed.
        """
        pandas = _library("pandas", "to_pandas")
        return pandas.DataFrame({name: _array(column) for name, column in self._columns.items()})

    def to_polars(self) -> Any:
        """A DataFrame of polars.

        Raises:
            UserError: polars is not installed.
        """
        return _library("polars", "to_polars").DataFrame(self)

    def to_arrow(self) -> Any:
        """A table of pyarrow.

        Raises:
            UserError: pyarrow is not installed.
        """
        return _library("pyarrow", "to_arrow").table(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The rows as a stream of Arrow's; its maker is DuckDB, so no other library is needed."""
        db = duckdb.connect()
        db.register("cells", self._arrays())
        return db.sql(self._query()).__arrow_c_stream__(requested_schema)

    def save(self, path: str | PathLike[str]) -> None:
        """Write a file, atomically; one that is there is replaced.

        Args:
            path: a name that ends in .csv, .tsv or .parquet.

        Raises:
            DataError: another suffix, or a folder.
        """
        out = given_path(path)
        options = writer(out)
        with atomic_file(out) as beside, duckdb.connect() as db:
            db.register("cells", self._arrays())
            place = str(beside).replace("'", "''")
            db.execute(f"COPY ({self._query()}) TO '{place}' ({options})")

    def _arrays(self) -> dict[str, NDArray[Any]]:
        # DuckDB takes names that differ in case alone for the same, so they go by number.
        return {f"c{place}": _array(column) for place, column in enumerate(self._columns.values())}

    def _query(self) -> str:
        """The columns by name, with their types: of objects alone DuckDB would guess them."""
        parts = []
        for place, (name, column) in enumerate(self._columns.items()):
            cell = f"c{place}::VARCHAR" if isinstance(column, tuple) else f"c{place}"
            if not isinstance(column, tuple) and column.dtype.kind == "f":
                cell = f"CASE WHEN NOT isnan(c{place}) THEN c{place} END"
            parts.append(f'{cell} AS "{name.replace(chr(34), chr(34) * 2)}"')
        return f"SELECT {', '.join(parts)} FROM cells"

    def __repr__(self) -> str:
        rows = [[_shown(cell) for cell in row] for row in self[:_SHOWN_ROWS]]
        table = [[_shown(name) for name in self._columns], *rows]
        widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
        right = [not isinstance(column, tuple) for column in self._columns.values()]
        lines = [
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(cells, widths, right, strict=True)
            ).rstrip()
            for cells in table
        ]
        more = [f"… {len(self) - _SHOWN_ROWS:,} more"] if len(self) > _SHOWN_ROWS else []
        return "\n".join([f"Table: {len(self):,} rows × {len(self._columns)} columns", *lines, *more])


def writer(out: Path) -> str:
    """How DuckDB's COPY writes a table to this name, by its suffix.

    Raises:
        DataError: another suffix than .csv, .tsv and .parquet, or a folder.
    """
    if out.suffix not in _WRITERS:
        raise DataError(f"{out}: predictions are written as one of {', '.join(_WRITERS)}; choose such a name")
    if out.is_dir():
        raise DataError(f"{out} is a folder; give the name of a file")
    return _WRITERS[out.suffix]


def _column(name: str, values: Any) -> Column:
    if isinstance(values, np.ndarray) and values.ndim == 1 and values.dtype.kind in "iufb":
        column: NDArray[Any] = values.view()
    else:
        cells = list(values)
        if all(cell is None or isinstance(cell, str) for cell in cells) and (cells or _is_text(values)):
            return tuple(None if cell is None else str(cell) for cell in cells)
        column = np.array([np.nan if cell is None else cell for cell in cells])
        if column.ndim != 1 or column.dtype.kind not in "iufb":
            raise DataError(f"the column {name!r} is neither all text nor all numbers")
    column.setflags(write=False)
    return column


def _is_text(values: Any) -> bool:
    return not isinstance(values, np.ndarray) or values.dtype.kind not in "iufb"


def _array(column: Column) -> NDArray[Any]:
    if not isinstance(column, tuple):
        return column
    array = np.empty(len(column), dtype=np.object_)
    array[:] = column
    return array


def _cells(column: Column) -> Sequence[Any]:
    if isinstance(column, tuple):
        return column
    cells: list[Any] = column.tolist()
    return [None if cell != cell else cell for cell in cells] if column.dtype.kind == "f" else cells  # noqa: PLR0124 - NaN


def _shown(cell: object) -> str:
    if cell is None:
        return ""
    text = f"{cell:.4g}" if isinstance(cell, float) else str(cell)
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _library(name: str, method: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        raise UserError(f"{method}() needs {name}, which is not installed: pip install {name}") from error
