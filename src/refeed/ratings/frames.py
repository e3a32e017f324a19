"""From a table in memory, of any library, to ratings or pairs: checked as `prepare` does, and no folder."""

import logging
import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.ratings.bad_rows import checked
from refeed.ratings.build import Arrays, build_arrays
from refeed.ratings.columns import RATING_FIELDS, TITLE_FIELDS, resolve
from refeed.ratings.in_memory import Chunk, Frame, open_frame, unreadable
from refeed.ratings.titles import load_titles

__all__ = ["Column", "Pairs", "frame_arrays", "read_pairs"]

Column = str | int
"""A column by its name; by its place, counted from 0, where columns have no names."""

_Types = Mapping[str, tuple[str, str]]
"""Field → a column's quoted name, and its type in DuckDB."""

_log = logging.getLogger("refeed")
_SHOWN = 20
_WHOLE = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT"}
_WHOLE |= {f"U{name}" for name in _WHOLE}
_FRACTIONAL = ("FLOAT", "DOUBLE", "DECIMAL")
_TEXT = ("VARCHAR", "ENUM", "UUID", '"NULL"')
_MOMENTS = ("TIMESTAMP", "DATE")
_FRACTION = "is a fraction; ids are text or whole numbers"
_LAST_MOMENT = 10**11
"""Unix seconds; what is beyond would be taken for milliseconds."""


def frame_arrays(
    data: object,
    given: Mapping[str, Column | None],
    *,
    user_ids: object = None,
    item_ids: object = None,
    titles: object = None,
    missing: object = (),
    skip_bad: bool = False,
) -> tuple[Arrays, dict[str, str | int | float]]:
    """Read a table in memory as ratings.

    Args:
        data: the table, as `Ratings.from_frame` takes it.
        given: field → column, for those that were named; None: by usual names or by order.
        user_ids: of a sparse matrix.
        item_ids: likewise.
        titles: likewise.
        missing: ratings that mean "not rated"; NaN is a missing one.
        skip_bad: leave bad rows out.

    Returns:
        The ratings, and what was done to them.

    Raises:
        DataError: it is no table, its columns can't be told, or rows are bad.
    """
    with _database() as db:
        frame = open_frame(data, user_ids=user_ids, item_ids=item_ids)
        kind, times_read_as_milliseconds = _load(db, frame, given, RATING_FIELDS)
        read, bad, unrated = _judge(db, missing, skip_bad=skip_bad)
        if bad + unrated == read:
            raise DataError(f"the {kind} has {read:,} rows, and none is a rating")
        db.execute(
            'CREATE VIEW good_rows AS SELECT "user", item, rating, time, rowid AS line FROM frame_rows '
            "WHERE cause IS NULL"
        )
        arrays, counts = build_arrays(db, "good_rows", titles=_load_titles(db, titles))
    source: dict[str, str | int | float] = {"sources": "memory", "format": kind, "bad": bad}
    if unrated:
        source["not rated"] = unrated
    source["duplicates"] = counts.duplicates
    _report(kind, read, source, milliseconds=times_read_as_milliseconds)
    return arrays, source


@dataclass(frozen=True, eq=False)
class Pairs:
    """Users and items, a pair for each row of a table, in its order.

    Args:
        users: raw ids, as text.
        items: raw ids or titles, as text.
        ratings: of each pair, if they were asked for.
        times: Unix seconds, if they were asked for and there are any.
    """

    users: NDArray[np.object_]
    items: NDArray[np.object_]
    ratings: Float64[np.ndarray, " pairs"] | None = None
    times: Int64[np.ndarray, " pairs"] | None = None

    def __len__(self) -> int:
        """The number of pairs."""
        return len(self.users)


def read_pairs(
    data: object,
    *,
    user: Column | None = None,
    item: Column | None = None,
    rating: Column | None = None,
    timestamp: Column | None = None,
    fields: Sequence[str] = ("user", "item"),
) -> Pairs:
    """Read a table in memory as pairs; rows stay in their order, and none is left out.

    Args:
        data: any table that `Ratings.from_frame` takes.
        user: the column of users; None: by usual names, or the first column where they have no names.
        item: likewise.
        rating: likewise.
        timestamp: likewise.
        fields: what is read: of user, item, rating and timestamp. Other columns are not looked at.

    Raises:
        DataError: it is no table, its columns can't be told, or a row has no user, no item or (if asked for)
            no rating or time.
    """
    given = {"user": user, "item": item, "rating": rating, "timestamp": timestamp}
    with _database() as db:
        _load(db, open_frame(data), {name: given[name] for name in fields}, fields)
        _judge(db, (), skip_bad=False)
        found = db.execute('SELECT "user", item, rating, time FROM frame_rows ORDER BY rowid').fetchnumpy()
    times = np.ma.getmaskarray(found["time"])
    return Pairs(
        users=_objects(found["user"]),
        items=_objects(found["item"]),
        ratings=np.asarray(found["rating"], dtype=np.float64) if "rating" in fields else None,
        times=None if times.any() or "timestamp" not in fields else np.asarray(found["time"], dtype=np.int64),
    )


def _objects(column: NDArray[Any]) -> NDArray[np.object_]:
    return np.asarray(column, dtype=np.object_)


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET enable_progress_bar = false")
        db.execute("""
            CREATE TABLE frame_rows ("user" VARCHAR, item VARCHAR, rating DOUBLE, time BIGINT, cause VARCHAR,
                value VARCHAR, milliseconds BOOLEAN)
        """)
        yield db


def _load(
    db: duckdb.DuckDBPyConnection, frame: Frame, given: Mapping[str, Column | None], fields: Sequence[str]
) -> tuple[str, int]:
    """Check rows into the table `frame_rows`; say what they were, and how many times were milliseconds."""
    places = _places(frame, given, fields)
    for chunk in frame.chunks(places):
        with _registered(db, chunk, frame.kind) as types:
            raw, numbers = _raw(types, rated="rating" in fields)
            db.execute(f"INSERT INTO frame_rows SELECT * EXCLUDE line FROM ({checked(raw, numbers=numbers)})")
    milliseconds = db.execute("SELECT count(*) FROM frame_rows WHERE milliseconds").fetchall()[0][0]
    return frame.kind, milliseconds


def _places(frame: Frame, given: Mapping[str, Column | None], fields: Sequence[str]) -> dict[str, int]:
    if not frame.width:
        raise DataError(f"the {frame.kind} has no rows")
    mapping: dict[str, str | int] = {}
    for name, column in given.items():
        if isinstance(column, int) and not isinstance(column, bool) and frame.names is None:
            mapping[name] = column + 1
        elif column is not None:
            mapping[name] = str(column)
    if frame.names is None and not mapping and frame.width > len(RATING_FIELDS) and "rating" in fields:
        raise DataError(
            f"the {frame.kind} has {frame.width} columns without names; say which is which by place, such as "
            "user=0, item=1, rating=2"
        )
    try:
        return resolve(frame.names, frame.width, mapping, where=f"the {frame.kind}", fields=fields)
    except DataError as error:
        raise DataError(_in_python(str(error))) from None


def _in_python(message: str) -> str:
    """A message of the command line, as an argument of Python's is called."""
    return message.replace("--columns ", "")


@contextmanager
def _registered(db: duckdb.DuckDBPyConnection, chunk: Chunk, kind: str) -> Iterator[_Types]:
    """The chunk as the view `chunk`."""
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


def _raw(types: _Types, *, rated: bool) -> tuple[str, list[str]]:
    """The rows as `checked` takes them, and which of its columns are numbers."""
    user, user_problem = _id("user", *types["user"]) if "user" in types else _ANYBODY
    item, item_problem = _id("item", *types["item"]) if "item" in types else _ANYBODY
    rating = _rating(*types["rating"]) if rated else ("0", True)
    time, time_problem, time_is_number = _time(*types["timestamp"]) if "timestamp" in types else _NO_TIMES
    problem = types["problem"][0] if "problem" in types else "NULL"
    raw = f"""(
        SELECT 0 AS line, {user} AS "user", {item} AS item, {rating[0]} AS rating, {time} AS time,
            coalesce({problem}, {user_problem}, {item_problem}, {time_problem})::VARCHAR AS problem
        FROM chunk
    )"""
    return raw, ["rating"] * rating[1] + ["time"] * time_is_number


def _id(field: str, column: str, kind: str) -> tuple[str, str]:
    """How an id becomes text, and what is wrong where it doesn't."""
    if kind in _WHOLE or kind.startswith(_TEXT):
        return f"{column}::VARCHAR", "NULL"
    if not kind.startswith(_FRACTIONAL):
        raise DataError(f"the column {column} of {field}s is of type {kind}; ids are text or whole numbers")
    number = f"{column}::DOUBLE"
    what = f"'the {field} id ' || {number} || ' {_FRACTION}'"
    whole = f"({number} = floor({number}) AND abs({number}) < {2**53})"
    return (
        f"CASE WHEN {whole} THEN {number}::BIGINT::VARCHAR END",
        f"CASE WHEN NOT {whole} AND NOT isnan({number}) THEN {what} END",
    )


def _rating(column: str, kind: str) -> tuple[str, bool]:
    number = kind in _WHOLE or kind.startswith(_FRACTIONAL)
    return (column if number else f"{column}::VARCHAR"), number


_ANYBODY = ("'-'", "NULL")
_NO_TIMES = ("NULL::VARCHAR", "NULL", False)


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


def _judge(db: duckdb.DuckDBPyConnection, missing: object, *, skip_bad: bool) -> tuple[int, int, int]:
    """Leave out what is not rated, refuse bad rows; return how many rows were read, bad, and not rated."""
    unrated = _unrated(missing)
    # What is left out is no fault; its cause only says that it is no rating.
    db.execute(f"UPDATE frame_rows SET cause = 'not rated' WHERE {unrated}")
    read, bad, not_rated, fractions = db.execute(f"""
        SELECT count(*), count(*) FILTER (WHERE cause <> 'not rated'),
            count(*) FILTER (WHERE cause = 'not rated'),
            count(*) FILTER (WHERE contains(cause, '{_FRACTION}'))
        FROM frame_rows
    """).fetchall()[0]
    if bad and (fractions or not skip_bad):
        raise DataError(_bad_rows(db, bad, read, fractions=fractions))
    return read, bad, not_rated


def _unrated(missing: Any) -> str:
    codes = [missing] if isinstance(missing, int | float | np.number) else list(missing)
    try:
        numbers = [float(code) for code in codes]
    except (TypeError, ValueError) as error:
        raise DataError(f'missing={missing!r}: give the numbers that mean "not rated", such as -1') from error
    tests = [f"coalesce(rating = {number!r}::DOUBLE, false)" for number in numbers if math.isfinite(number)]
    if len(tests) < len(numbers):
        tests.append("(cause = 'there is no rating' OR coalesce(isnan(rating), false))")
    return " OR ".join(tests) or "false"


def _bad_rows(db: duckdb.DuckDBPyConnection, bad: int, read: int, *, fractions: int) -> str:
    order = f"NOT contains(cause, '{_FRACTION}'), rowid" if fractions else "rowid"
    first = db.execute(
        "SELECT rowid + 1, cause, value FROM frame_rows WHERE cause IS NOT NULL AND cause <> 'not rated' "
        f"ORDER BY {order} LIMIT {_SHOWN}"
    ).fetchall()
    lines = [
        f"  row {row}: {_in_python(cause)}" + (f": {value!r}" if value else "") for row, cause, value in first
    ]
    if bad > len(first):
        lines.append(f"  … and {bad - len(first):,} more")
    advice = (
        "The ids of a column of floats with fractions can't be told; convert the column to text or integers"
        if fractions
        else "Put them right, or leave them out with skip_bad=True"
    )
    return (
        f"{bad:,} of {read:,} rows can't be read as ratings (rows are counted from 1):\n"
        + "\n".join(lines)
        + f"\n{advice}"
    )


def _report(kind: str, read: int, source: Mapping[str, str | int | float], *, milliseconds: int) -> None:
    left_out = [
        f"{source[name]:,} {what}"
        for name, what in (("duplicates", "duplicates"), ("bad", "bad rows"), ("not rated", "not rated"))
        if source.get(name)
    ]
    _log.info("%s: %s rows read; left out: %s", kind, f"{read:,}", ", ".join(left_out) or "none")
    if source["bad"]:
        _log.warning("%s: %s of %s rows are no ratings and were left out", kind, source["bad"], f"{read:,}")
    if milliseconds:
        _log.info("%s: %s times are beyond 10^11 and were read as milliseconds", kind, f"{milliseconds:,}")


def _load_titles(db: duckdb.DuckDBPyConnection, titles: object) -> str | None:
    if titles is None:
        return None
    if isinstance(titles, str | PathLike):
        return load_titles(db, Path(titles))
    frame = open_frame(_title_columns(titles))
    places = resolve(frame.names, frame.width, {}, where="titles", fields=TITLE_FIELDS)
    db.execute("CREATE TABLE item_titles (item VARCHAR, title VARCHAR)")
    for chunk in frame.chunks(places):
        with _registered(db, chunk, frame.kind) as types:
            item, problem = _id("item", *types["item"])
            if problem != "NULL":
                wrong = db.execute(f"SELECT any_value({problem}) FROM chunk").fetchall()[0][0]
                if wrong:
                    raise DataError(f"titles: {wrong}")
            db.execute(f"INSERT INTO item_titles SELECT {item}, {types['title'][0]}::VARCHAR FROM chunk")
    return "item_titles"


def _title_columns(titles: object) -> object:
    """A mapping from items to titles, or pandas' Series, as two columns; any other table as it is."""
    if getattr(titles, "ndim", None) == 1 and hasattr(titles, "items"):
        titles = dict(titles.items())
    if isinstance(titles, Mapping) and not any(_is_column(value) for value in titles.values()):
        return {"item": list(titles), "title": list(titles.values())}
    return titles


def _is_column(value: object) -> bool:
    return not isinstance(value, str) and isinstance(value, Collection | np.ndarray)
