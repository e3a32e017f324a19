"""From a table in memory, of any library, to ratings or pairs: checked as `prepare` does, and no folder."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, get_args

import duckdb
import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.ratings.bad_rows import NOT_RATED, checked
from refeed.ratings.build import Arrays, Counts, build_arrays
from refeed.ratings.columns import RATING_FIELDS, Chosen, Kind, Sample, choose
from refeed.ratings.frame_sql import FRACTION, raw_rows, registered
from refeed.ratings.frame_titles import load_given_titles
from refeed.ratings.in_memory import Frame, open_frame

__all__ = ["Column", "Pairs", "frame_arrays", "read_pairs"]

Column = str | int
"""A column by its name; by its place, counted from 0, where columns have no names."""

_log = logging.getLogger("refeed")
_SHOWN = 20


def frame_arrays(
    data: object,
    given: Mapping[str, Column | None],
    *,
    user_ids: object = None,
    item_ids: object = None,
    titles: object = None,
    missing: object = (),
    skip_bad: bool = False,
    kind: Kind = "auto",
) -> tuple[Arrays, Counts, dict[str, str | int | float]]:
    """Read a table in memory as ratings or interactions.

    Args:
        data: the table, as `Ratings.from_frame` takes it.
        given: field → column, for those that were named; None: by usual names or by order.
        user_ids: of a sparse matrix.
        item_ids: likewise.
        titles: likewise.
        missing: a rating that means "not rated", or several; NaN is a missing one.
        skip_bad: leave bad rows out.
        kind: what the rows are; "auto" looks.

    Returns:
        The ratings, their counts, and what was done to them.

    Raises:
        DataError: it is no table, its columns can't be told, or rows are bad.
    """
    if kind not in get_args(Kind):
        raise DataError(f"the kind {kind!r} is not known; give auto, ratings or interactions")
    frame = open_frame(data, user_ids=user_ids, item_ids=item_ids)
    chosen = _chosen(frame, given, RATING_FIELDS, kind)
    valued = "rating" in chosen.fields
    with _database() as db:
        _load(db, frame, chosen, _codes(missing))
        read, bad, unrated = _judge(db, skip_bad=skip_bad)
        if bad + unrated == read:
            raise DataError(f"the {frame.kind} has {read:,} rows, and none is a rating")
        db.execute(
            'CREATE VIEW good_rows AS SELECT "user", item, rating, time, rowid AS line FROM frame_rows '
            "WHERE cause IS NULL"
        )
        arrays, counts = build_arrays(
            db,
            "good_rows",
            titles=load_given_titles(db, titles),
            kind="ratings" if valued else "interactions",
            certain=not valued or given.get("rating") is not None or kind != "auto",
        )
        notes = _notes(db, chosen, counts, valued=valued)
    source: dict[str, str | int | float] = {
        "sources": "memory",
        "format": frame.kind,
        "bad": bad,
        "missing": unrated,
        "notes": "; ".join(notes),
        "duplicates": counts.duplicates,
    }
    _report(frame.kind, read, source, notes)
    return arrays, counts, source


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
    frame = open_frame(data)
    chosen = _chosen(frame, {name: given[name] for name in fields}, fields, "ratings")
    with _database() as db:
        _load(db, frame, chosen, ())
        _judge(db, skip_bad=False)
        found = db.execute('SELECT "user", item, rating, time FROM frame_rows ORDER BY rowid').fetchnumpy()
    timed = "timestamp" in fields and not np.ma.getmaskarray(found["time"]).any()
    return Pairs(
        users=_objects(found["user"]),
        items=_objects(found["item"]),
        ratings=np.asarray(found["rating"], dtype=np.float64) if "rating" in fields else None,
        times=np.asarray(found["time"], dtype=np.int64) if timed else None,
    )


def _objects(column: NDArray[Any]) -> NDArray[np.object_]:
    return np.asarray(column, dtype=np.object_)


@contextmanager
def _database() -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory, with an empty table for checked rows."""
    with duckdb.connect() as db:
        db.execute("SET TimeZone = 'UTC'")
        db.execute("SET enable_progress_bar = false")
        db.execute("""
            CREATE TABLE frame_rows ("user" VARCHAR, item VARCHAR, rating DOUBLE, time BIGINT, cause VARCHAR,
                value VARCHAR, milliseconds BOOLEAN)
        """)
        yield db


def _chosen(frame: Frame, given: Mapping[str, Column | None], fields: Sequence[str], kind: Kind) -> Chosen:
    """Which column is which; a table without a rating holds interactions if no column is left over."""
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
    sample = Sample(numbers=range(frame.width), times=frame.times)
    where = f"the {frame.kind}"
    try:
        return choose(frame.names, frame.width, mapping, where=where, fields=fields, sample=sample, kind=kind)
    except DataError as error:
        raise DataError(_in_python(str(error))) from None


def _in_python(message: str) -> str:
    """A message of the command line, as an argument of Python's is called."""
    return message.replace("--columns ", "").replace("--missing ", "missing=")


def _codes(missing: object) -> list[str]:
    """Ratings that mean "not rated", as `checked` compares them."""
    several = isinstance(missing, Iterable) and not isinstance(missing, str | bytes)
    codes: list[Any] = list(missing) if several else [missing]  # type: ignore[call-overload]
    try:
        numbers = [float("nan") if code is None else float(code) for code in codes]
    except (TypeError, ValueError) as error:
        raise DataError(f'missing={missing!r}: give the numbers that mean "not rated", such as -1') from error
    # What is NaN in one library is nothing at all in another.
    return [text for number in numbers for text in ((repr(number),) if number == number else ("nan", ""))]  # noqa: PLR0124


def _load(db: duckdb.DuckDBPyConnection, frame: Frame, chosen: Chosen, missing: Sequence[str]) -> None:
    """Check all rows into the table `frame_rows`, in their order."""
    for chunk in frame.chunks(chosen.fields):
        with registered(db, chunk, frame.kind) as types:
            raw, numbers = raw_rows(types)
            rows = checked(raw, numbers=numbers, missing=missing, counts="count" in types)
            db.execute(f"INSERT INTO frame_rows SELECT * EXCLUDE line FROM ({rows})")


def _judge(db: duckdb.DuckDBPyConnection, *, skip_bad: bool) -> tuple[int, int, int]:
    """Refuse bad rows; return how many rows were read, bad, and not rated."""
    read, bad, unrated, fractions = db.execute(f"""
        SELECT count(*), count(*) FILTER (WHERE cause <> '{NOT_RATED}'),
            count(*) FILTER (WHERE cause = '{NOT_RATED}'),
            count(*) FILTER (WHERE contains(cause, '{FRACTION}'))
        FROM frame_rows
    """).fetchall()[0]
    if bad and (fractions or not skip_bad):
        raise DataError(_bad_rows(db, bad, read, fractions=fractions))
    return read, bad, unrated


def _bad_rows(db: duckdb.DuckDBPyConnection, bad: int, read: int, *, fractions: int) -> str:
    order = f"NOT contains(cause, '{FRACTION}'), rowid" if fractions else "rowid"
    first = db.execute(
        f"SELECT rowid + 1, cause, value FROM frame_rows WHERE cause <> '{NOT_RATED}' "
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
    first_line = f"{bad:,} of {read:,} rows can't be read as ratings (rows are counted from 1):"
    return "\n".join([first_line, *lines, advice])


def _notes(db: duckdb.DuckDBPyConnection, chosen: Chosen, counts: Counts, *, valued: bool) -> tuple[str, ...]:
    """What the user should know about how the table was read, a sentence each."""
    milliseconds = db.execute("SELECT count(*) FROM frame_rows WHERE milliseconds").fetchall()[0][0]
    notes = [*chosen.notes, *counts.notes]
    if milliseconds:
        notes.append(f"{milliseconds:,} times are beyond 10^11 and were read as milliseconds")
    if valued and counts.kind == "interactions":
        notes.append("all ratings are equal, so each row is an interaction; rating=… keeps them as ratings")
    return tuple(map(_in_python, notes))


def _report(kind: str, read: int, source: Mapping[str, str | int | float], notes: Iterable[str]) -> None:
    left_out = {"duplicates": "duplicates", "bad": "bad rows", "missing": "not rated"}
    counted = ", ".join(f"{source[key]:,} {what}" for key, what in left_out.items() if source[key])
    _log.info("%s: %s rows read; left out: %s", kind, f"{read:,}", counted or "none")
    if source["bad"]:
        _log.warning("%s: %s of %s rows are no ratings and were left out", kind, source["bad"], f"{read:,}")
    for note in notes:
        _log.info("%s: %s", kind, note)
