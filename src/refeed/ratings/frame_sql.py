"""How DuckDB reads the columns of a table in memory by their types: ids as text, ratings as numbers."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import duckdb

from refeed.errors import DataError
from refeed.ratings.in_memory import Chunk, unreadable

__all__ = ["FRACTION", "Types", "id_cell", "raw_rows", "registered"]

Types = Mapping[str, tuple[str, str]]
"""Field → a column's quoted name, and its type in DuckDB."""

FRACTION = "is a fraction; ids are text or whole numbers"
"""How the causes of rows end whose id is of a column of floats, and not whole."""

_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
_WHOLE |= {f"U{name}" for name in _WHOLE}
_FRACTIONAL = ("FLOAT", "DOUBLE", "DECIMAL")
_TEXT = ("VARCHAR", "ENUM", "UUID", '"NULL"')
_MOMENTS = ("TIMESTAMP", "DATE")
_LAST_MOMENT = 10**11
"""Unix seconds; what is beyond would be taken for milliseconds."""
_ANYBODY = ("'-'", "NULL")
_NO_TIMES = ("NULL::VARCHAR", "NULL", False)


@contextmanager
def registered(db: duckdb.DuckDBPyConnection, chunk: Chunk, kind: str) -> Iterator[Types]:
    """The chunk as the view `chunk`, and what its columns are."""
    try:
        db.register("chunk", chunk.table)
        types = {name: str(type_) for name, type_, *_ in db.execute("DESCRIBE FROM chunk").fetchall()}
        yield {
            field: ('"' + name.replace('"', '""') + '"', types[name]) for field, name in chunk.columns.items()
        }
    except (duckdb.Error, UnicodeError) as error:
        raise unreadable(kind, error) from error
    finally:
        db.unregister("chunk")


def raw_rows(types: Types) -> tuple[str, list[str]]:
    """The rows of the view `chunk` as `bad_rows.checked` takes them, and which of its columns are numbers.

    Where a field has no column the user and the item are "-", the rating is 1, and there is no time.
    """
    user, user_problem = id_cell("user", *types["user"]) if "user" in types else _ANYBODY
    item, item_problem = id_cell("item", *types["item"]) if "item" in types else _ANYBODY
    valued = types.get("rating") or types.get("count")
    rating, rating_is_number = _rating(*valued) if valued else ("1", True)
    time, time_problem, time_is_number = _time(*types["timestamp"]) if "timestamp" in types else _NO_TIMES
    problem = types["problem"][0] if "problem" in types else "NULL"
    raw = f"""(
        SELECT 0 AS line, {user} AS "user", {item} AS item, {rating} AS rating, {time} AS time,
            coalesce({problem}, {user_problem}, {item_problem}, {time_problem})::VARCHAR AS problem
        FROM chunk
    )"""
    return raw, ["rating"] * rating_is_number + ["time"] * time_is_number


def id_cell(field: str, column: str, kind: str) -> tuple[str, str]:
    """How an id becomes text, and what is wrong where it doesn't.

    Raises:
        DataError: the column's type is neither text nor a number.
    """
    if kind in _WHOLE or kind.startswith(_TEXT):
        return f"{column}::VARCHAR", "NULL"
    if not kind.startswith(_FRACTIONAL):
        raise DataError(f"the column {column} of {field}s is of type {kind}; ids are text or whole numbers")
    number = f"{column}::DOUBLE"
    whole = f"({number} = floor({number}) AND abs({number}) < {2**53})"
    what = f"'the {field} id ' || {number} || ' {FRACTION}'"
    return (
        f"CASE WHEN {whole} THEN {number}::BIGINT::VARCHAR END",
        f"CASE WHEN NOT {whole} AND NOT isnan({number}) THEN {what} END",
    )


def _rating(column: str, kind: str) -> tuple[str, bool]:
    number = kind in _WHOLE or kind.startswith(_FRACTIONAL)
    return (column if number else f"{column}::VARCHAR"), number


def _time(column: str, kind: str) -> tuple[str, str, bool]:
    """How a time is read, what is wrong where it can't be, and whether it is a number."""
    if kind in _WHOLE or kind.startswith(_FRACTIONAL):
        # NaN is how a column of floats says that there is none.
        return f"CASE WHEN NOT isnan({column}::DOUBLE) THEN {column}::DOUBLE END", "NULL", True
    if kind.startswith(_MOMENTS):
        moment = column if kind.endswith("TIME ZONE") else f"{column}::TIMESTAMP"
        seconds = f"CASE WHEN isfinite({moment}) THEN epoch({moment}) END"
        late = f"CASE WHEN {seconds} > {_LAST_MOMENT} THEN 'the time ' || {column} || ' is out of range' END"
        return seconds, late, True
    if not kind.startswith(_TEXT):
        raise DataError(f"the column {column} of times is of type {kind}; expected numbers, dates or text")
    return f"coalesce({column}::VARCHAR, '')", "NULL", False
