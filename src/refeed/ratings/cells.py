"""Columns of Python's and numpy's, as DuckDB can read them.

DuckDB guesses the type of a column of Python objects from some of them. Here all of them are looked at, and
what comes out is text or numbers: an id is text, a rating a number.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.ratings.ids import id_text

__all__ = ["numpy_column", "object_column"]

_INTEGERS = (int, np.integer)
_NUMBERS = (int, float, np.integer, np.floating)
_NOTHING = {"NAType", "NaTType"}
_TEXT_FIELDS = ("user", "item", "title", "problem")


def numpy_column(field: str, column: NDArray[Any], where: str) -> NDArray[Any]:
    """A column of numpy's as one that DuckDB reads.

    Args:
        field: what it holds: user, item, rating, timestamp or title.
        column: one-dimensional, of any type; masked cells are missing ones.
        where: what to call the table in messages.

    Raises:
        DataError: an id is neither text nor a whole number.
    """
    if isinstance(column, np.ma.MaskedArray):
        return object_column(field, column.astype(object).tolist(), where)  # None where it is masked
    kind = column.dtype.kind
    if kind in "iu":
        return np.ascontiguousarray(column, dtype=column.dtype.newbyteorder("="))
    if kind == "f":
        return np.ascontiguousarray(column, dtype=np.float32 if column.dtype.itemsize == 4 else np.float64)
    if kind == "M":
        return np.ascontiguousarray(column.astype("datetime64[us]"))
    return object_column(field, column.tolist(), where)


def object_column(field: str, values: Sequence[object], where: str) -> NDArray[Any]:
    """A column of Python objects as one that DuckDB reads: numbers, or text with None where there is nothing.

    Args:
        field: what it holds: user, item, rating, timestamp or title.
        values: the cells. None, NaN and pandas' NA and NaT are missing ones.
        where: what to call the table in messages.

    Raises:
        DataError: an id is neither text nor a whole number.
    """
    types = set(map(type, values))
    if types and all(issubclass(kind, _INTEGERS) and kind is not bool for kind in types):
        try:
            return np.array(values, dtype=np.int64)
        except OverflowError:  # beyond 64 bits: text will do
            pass
    if field in _TEXT_FIELDS:
        return _texts(values, id_text if field in ("user", "item") else str, where)
    if all(issubclass(kind, (*_NUMBERS, type(None))) and kind is not bool for kind in types):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    return _texts(values, _time if field == "timestamp" else _number, where)


def _texts(values: Iterable[object], text: Callable[[object], str | None], where: str) -> NDArray[np.object_]:
    cells: list[str | None] = []
    for row, value in enumerate(values, start=1):
        try:
            cells.append(None if _missing(value) else _encodable(text(value)))
        except DataError as error:
            raise DataError(f"{where}, row {row}: {error}") from error
    column = np.empty(len(cells), dtype=np.object_)
    column[:] = cells
    return column


def _missing(value: object) -> bool:
    if value is None or type(value).__name__ in _NOTHING:
        return True
    return isinstance(value, float | np.floating | np.datetime64 | Decimal) and bool(value != value)  # noqa: PLR0124 - NaN


def _encodable(text: str | None) -> str | None:
    """Text that UTF-8 can hold; half a pair of surrogates can't."""
    try:
        (text or "").encode()
    except UnicodeEncodeError as error:
        raise DataError(f"{text!r} is no text that UTF-8 can hold") from error
    return text


def _number(value: object) -> str:
    if isinstance(value, _NUMBERS) and not isinstance(value, bool):
        return repr(float(value))
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _time(value: object) -> str:
    if isinstance(value, datetime):
        return (value if value.tzinfo is None else value.astimezone(UTC)).isoformat()
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, np.datetime64):
        return str(value.astype("datetime64[us]"))
    return _number(value)
