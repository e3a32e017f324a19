"""Tables in memory, of any library: which columns they have, and the wanted ones as DuckDB scans them.

Nothing here imports pandas, polars, pyarrow or scipy: whoever hands over such a table has it.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import chain, islice
from os import PathLike
from typing import Any

import duckdb
import numpy as np
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.ratings.cells import numpy_column, object_column
from refeed.ratings.columns import is_time
from refeed.ratings.ids import id_text

__all__ = ["Chunk", "Frame", "open_frame", "unreadable"]

_CHUNK = 50_000
"""Rows of Python's that are turned into columns at a time."""

_PANDAS_NUMBERS = ("int", "uint", "float", "double", "datetime64", "timestamp", "date32")
_EXPECTED = (
    "expected a frame of polars, pandas or pyarrow, anything else with __arrow_c_stream__, a numpy array, a "
    "scipy.sparse matrix, or tuples or dicts, a row each"
)


@dataclass(frozen=True)
class Chunk:
    """Some rows, as DuckDB can scan them, once.

    Args:
        table: what `DuckDBPyConnection.register` takes.
        columns: field → the column's name in it; "problem" says why a row can't be read, None where it can.
    """

    table: Any
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Frame:
    """A table in memory.

    Args:
        kind: what it is, in words.
        names: of its columns; None if they go by position.
        width: how many columns there are.
        chunks: from field → column's position to the rows with these columns alone.
        times: of columns without names, the positions of those whose first cell is a time.
    """

    kind: str
    names: tuple[str, ...] | None
    width: int
    chunks: Callable[[Mapping[str, int]], Iterator[Chunk]] = field(repr=False)
    times: tuple[int, ...] = ()


def open_frame(data: object, *, user_ids: Any = None, item_ids: Any = None) -> Frame:
    """Look at a table in memory: anything that `Ratings.from_frame` takes, or a `Frame` itself.

    Args:
        data: the table.
        user_ids: of a sparse matrix, the ids of its rows; None: their numbers, from 0.
        item_ids: likewise of its columns.

    Raises:
        DataError: it is no table, or one that isn't computed yet; ids for something else than a sparse
            matrix, or another number of them.
    """
    if hasattr(data, "tocoo"):
        return _sparse_frame(data, user_ids, item_ids)
    if user_ids is not None or item_ids is not None:
        raise DataError("user_ids and item_ids name the rows and columns of a scipy.sparse matrix alone")
    _refuse_others(data)
    opened: tuple[tuple[bool, Callable[[Any], Frame]], ...] = (
        (isinstance(data, Frame), lambda frame: frame),
        (_is_from(data, "pandas") and hasattr(data, "iloc"), _pandas_frame),
        (hasattr(data, "__arrow_c_stream__"), _arrow_frame),
        (hasattr(data, "__array__"), _numpy_frame),
        (isinstance(data, Mapping), _columns_frame),
        (isinstance(data, Iterable), _rows_frame),
    )
    for fits, open_it in opened:
        if fits:
            return open_it(data)
    raise DataError(f"{type(data).__name__} is no table; {_EXPECTED}")


def _is_from(data: object, library: str) -> bool:
    return type(data).__module__.partition(".")[0] == library


def _refuse_others(data: object) -> None:
    name = type(data).__name__
    if isinstance(data, str | bytes | PathLike):
        raise DataError(f"{data!r} is no table in memory; a file is read by refeed.read")
    if name == "LazyFrame":
        raise DataError("a LazyFrame holds no rows yet; collect it first: frame.collect()")
    if hasattr(data, "toPandas") or hasattr(data, "compute"):
        how = "toPandas()" if hasattr(data, "toPandas") else "compute()"
        raise DataError(f"this {name} holds no rows in this process; bring them here first: frame.{how}")
    if hasattr(data, "__arrow_c_array__") and not hasattr(data, "__arrow_c_stream__"):
        raise DataError(f"{name} is one Arrow array; give a table, made from it by Table.from_batches say")


def _pandas_frame(data: Any) -> Frame:
    if data.ndim != 2:
        raise DataError("a pandas Series is no table; make one of it: series.reset_index()")
    if any(name is not None and name not in data.columns for name in data.index.names):
        data = data.reset_index()

    def chunks(fields: Mapping[str, int]) -> Iterator[Chunk]:
        columns = {name: _pandas_column(name, data.iloc[:, place]) for name, place in fields.items()}
        yield Chunk(type(data)(columns), {name: name for name in fields})

    names = tuple(map(str, data.columns))
    return Frame("pandas DataFrame", names, len(names), chunks)


def _pandas_column(name: str, series: Any) -> Any:
    """A column that DuckDB scans rightly: it misreads slices, and guesses what objects are."""
    dtype = series.dtype
    if isinstance(dtype, np.dtype):
        return numpy_column(name, series.to_numpy(), "the pandas DataFrame")
    text = str(dtype).lower()
    if text.startswith(_PANDAS_NUMBERS):
        return series.reset_index(drop=True).copy()
    if text.startswith(("str", "large_string")):
        return series.to_numpy(dtype=object, na_value=None)
    return object_column(name, series.astype(object).tolist(), "the pandas DataFrame")


def _sparse_frame(data: Any, user_ids: Any, item_ids: Any) -> Frame:
    """Users × items; what is stored is a rating, a stored 0 too."""
    matrix = data.tocoo()
    values = matrix.data.astype(np.float64) if matrix.data.dtype.kind == "b" else matrix.data
    columns = {
        "user": _ids_at("user_ids", matrix.row, user_ids, matrix.shape[0]),
        "item": _ids_at("item_ids", matrix.col, item_ids, matrix.shape[1]),
        "rating": values,
    }
    return _named_columns("scipy.sparse matrix", columns)


def _ids_at(name: str, places: NDArray[Any], ids: Any, count: int) -> NDArray[Any]:
    if ids is None:
        return places
    column = _as_column(name, ids)
    if len(column) != count:
        raise DataError(f"{name}: {len(column):,} ids for {count:,} rows or columns of the matrix")
    if len(set(map(id_text, column.tolist()))) < count:
        raise DataError(f"{name}: an id is there twice; each must be there once")
    taken: NDArray[Any] = column[places]
    return taken


def _arrow_frame(data: Any) -> Frame:
    library = type(data).__module__.partition(".")[0].lstrip("_")
    kind = f"{library} {type(data).__name__}"
    names = getattr(data, "columns" if library == "polars" else "column_names", None)
    if not (isinstance(names, list) and hasattr(data, "select")):
        return _stream_frame(kind, data)

    def chunks(fields: Mapping[str, int]) -> Iterator[Chunk]:
        # Other columns may be of types that DuckDB doesn't know.
        few = data.select([names[place] for place in dict.fromkeys(fields.values())])
        if library == "polars":  # DuckDB can't read its columns of nothing
            polars = sys.modules["polars"]
            few = few.cast({polars.Null: polars.String})
        yield Chunk(_capsule(few), {name: names[place] for name, place in fields.items()})

    return Frame(kind, tuple(names), len(names), chunks)


def _stream_frame(kind: str, data: Any) -> Frame:
    """A stream of Arrow's, which may be read only once."""
    capsule = _capsule(data)
    try:
        with duckdb.connect() as db:
            db.register("stream", capsule)
            names = tuple(str(name) for name, *_ in db.execute("DESCRIBE FROM stream").fetchall())
    except duckdb.Error as error:
        raise unreadable(kind, error) from error

    def chunks(fields: Mapping[str, int]) -> Iterator[Chunk]:
        yield Chunk(capsule, {name: names[place] for name, place in fields.items()})

    return Frame(kind, names, len(names), chunks)


def unreadable(kind: str, error: Exception) -> DataError:
    """What to say of a table that DuckDB can't scan."""
    said = str(error).partition("\n")[0]
    return DataError(
        f"the {kind} can't be read as a table with columns of text, numbers and times: {said}; convert the "
        "columns that are of other types first"
    )


def _capsule(data: Any) -> Any:
    """The stream itself: given the object, DuckDB would ask for pyarrow."""
    try:
        return data.__arrow_c_stream__()
    except Exception as error:
        raise unreadable(type(data).__name__, error) from error


def _numpy_frame(data: Any) -> Frame:
    array = data if isinstance(data, np.ndarray) else np.asarray(data)
    if array.dtype.names:
        return _named_columns("numpy array", {name: array[name] for name in array.dtype.names})
    if array.ndim == 1 and array.dtype.kind == "O":
        return _rows_frame(array.tolist())
    if array.ndim != 2:
        raise DataError(
            f"a numpy array of shape {array.shape} is no table of ratings; expected [rows, 3] or [rows, 4] "
            "(user, item, rating, time), or a structured array"
        )

    def chunks(fields: Mapping[str, int]) -> Iterator[Chunk]:
        yield _numpy_chunk("numpy array", {name: array[:, place] for name, place in fields.items()})

    return Frame("numpy array", None, array.shape[1], chunks, _times(array[0] if len(array) else ()))


def _numpy_chunk(kind: str, columns: Mapping[str, NDArray[Any]]) -> Chunk:
    table = {name: numpy_column(name, column, f"the {kind}") for name, column in columns.items()}
    return Chunk(table, {name: name for name in columns})


def _named_columns(kind: str, columns: Mapping[str, NDArray[Any]]) -> Frame:
    names = tuple(columns)

    def chunks(fields: Mapping[str, int]) -> Iterator[Chunk]:
        yield _numpy_chunk(kind, {name: columns[names[place]] for name, place in fields.items()})

    return Frame(kind, names, len(names), chunks)


def _columns_frame(data: Mapping[Any, Any]) -> Frame:
    """A mapping from names to columns."""
    columns = {str(name): _as_column(str(name), column) for name, column in data.items()}
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{name!r} has {length:,}" for name, length in lengths.items())
        raise DataError(f"the columns of a mapping must be equally long: {given}")
    return _named_columns("mapping of columns", columns)


def _as_column(name: str, column: Any) -> NDArray[Any]:
    if isinstance(column, np.ndarray) and column.ndim == 1:
        return column
    if isinstance(column, str | bytes) or not isinstance(column, Iterable):
        raise DataError(f"a mapping is read as columns by name, but {name!r} holds {column!r}")
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    array = np.empty(len(values), dtype=np.object_)
    array[:] = values
    return array


def _rows_frame(data: Iterable[Any]) -> Frame:
    """Rows of Python's, perhaps from a generator: they are gone through once."""
    rows = iter(data)
    first = list(islice(rows, _CHUNK))
    kind = f"{type(data).__name__} of {f'{type(first[0]).__name__}s' if first else 'rows'}"
    if first and isinstance(first[0], Mapping):
        names = tuple(dict.fromkeys(str(name) for row in first for name in _mapping(row)))
        keys = {str(name): name for row in first for name in row}
        return Frame(
            kind,
            names,
            len(names),
            lambda fields: _chunks(chain(first, rows), lambda part: _dict_chunk(part, fields, names, keys)),
        )
    named = getattr(first[0], "_fields", None) if first else None
    width = len(_tuple(first[0])) if first else 0
    return Frame(
        kind,
        named,
        width,
        lambda fields: _chunks(chain(first, rows), lambda part: _tuple_chunk(part, fields, width)),
        _times(first[0] if first else ()),
    )


def _times(row: Iterable[object]) -> tuple[int, ...]:
    return tuple(place for place, cell in enumerate(row) if isinstance(cell, date) or is_time(str(cell)))


def _chunks(rows: Iterable[Any], make: Callable[[list[Any]], Chunk]) -> Iterator[Chunk]:
    iterator = iter(rows)
    while part := list(islice(iterator, _CHUNK)):
        yield make(part)


def _mapping(row: Any) -> Mapping[Any, Any]:
    if not isinstance(row, Mapping):
        raise DataError(f"{row!r} is no dict, though the first row is one; give rows of one form")
    return row


def _tuple(row: Any) -> Sequence[Any]:
    if isinstance(row, str | bytes | Mapping) or not isinstance(row, Sequence | np.ndarray | np.void):
        raise DataError(f"{row!r} is no row of a table; {_EXPECTED}")
    return row  # type: ignore[return-value]  # an array is indexed like a sequence


def _dict_chunk(
    rows: list[Any], fields: Mapping[str, int], names: Sequence[str], keys: Mapping[str, Any]
) -> Chunk:
    wanted = {name: keys[names[place]] for name, place in fields.items()}
    return _object_chunk({name: [_mapping(row).get(key) for row in rows] for name, key in wanted.items()})


def _tuple_chunk(rows: list[Any], fields: Mapping[str, int], width: int) -> Chunk:
    problems = [
        None if len(_tuple(row)) == width else f"{len(row)} fields where {width} were expected: {row!r}"[:200]
        for row in rows
    ]
    fit = [row if problem is None else (None,) * width for row, problem in zip(rows, problems, strict=True)]
    columns = {name: [row[place] for row in fit] for name, place in fields.items()}
    return _object_chunk({**columns, "problem": problems} if any(problems) else columns)


def _object_chunk(columns: Mapping[str, list[Any]]) -> Chunk:
    table = {name: object_column(name, column, "the rows") for name, column in columns.items()}
    return Chunk(table, {name: name for name in columns})
