"""Rows that are no ratings: how they are told from good ones, shown, and kept for the user."""

from collections.abc import Collection, Sequence
from pathlib import Path

import duckdb

from refeed.errors import DataError
from refeed.files import atomic_file
from refeed.ratings.columns import is_number

__all__ = ["NOT_RATED", "checked", "is_missing", "refuse", "write_bad"]

NOT_RATED = "it is not rated"
"""The cause of rows that --missing leaves out; they are not bad."""

_SHOWN = 20
_LARGEST_FLOAT32 = 3.4028234663852886e38
_ISO = (
    "[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]+)?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?)?"
)
_CALENDAR = (
    f"CASE WHEN clock IS NULL AND regexp_full_match(trim(time_given), '{_ISO}') "
    "THEN epoch(TRY_CAST(trim(time_given) AS TIMESTAMPTZ)) END"
)
_NO_TIME = "there is no time (--columns timestamp=none reads none)"
_BEFORE_MILLISECONDS, _BEFORE_NONSENSE = 10**11, 10**14


def checked(
    raw: str, *, numbers: Collection[str] = (), missing: Sequence[str] = (), counts: bool = False
) -> str:
    """A query that says of each raw row what is wrong with it.

    Args:
        raw: a table, or a query in brackets, with line BIGINT and "user", item, rating, time, problem
            VARCHAR; time is null throughout if there are none; problem is why a row has no fields, or null.
        numbers: which of rating and time have a numeric type instead; a null is a missing one.
        missing: ratings that mean "not rated"; numbers are compared as numbers. Their cause is `NOT_RATED`.
        counts: the ratings are counts, which are positive.

    Returns:
        A query with line, "user", item, rating DOUBLE, time BIGINT in Unix seconds, cause and value (what is
        wrong, null for a good row, and the field at fault), milliseconds (whether the time was given in
        them). The session's time zone must be UTC.
    """
    rating, time = ("rating" in numbers), ("time" in numbers)
    what = "count" if counts else "rating"
    # A column of Python's that is all None has no type of its own.
    return f"""
        WITH typed AS (
            SELECT line, "user"::VARCHAR AS "user", item::VARCHAR AS item, problem::VARCHAR AS problem,
                rating{"" if rating else "::VARCHAR"} AS rating_given,
                time{"" if time else "::VARCHAR"} AS time_given
            FROM {raw}
        ), parsed AS (
            SELECT *, {_number("rating_given", typed=rating)} AS rating,
                {_number("time_given", typed=time)} AS clock,
                {"NULL::DOUBLE" if time else _CALENDAR} AS calendar
            FROM typed
        ), judged AS (
            SELECT *, CASE
                WHEN problem IS NOT NULL THEN problem
                WHEN "user" IS NULL OR trim("user") = '' THEN 'there is no user id'
                WHEN item IS NULL OR trim(item) = '' THEN 'there is no item id'
                {_not_rated(missing)}
                WHEN rating_given IS NULL OR {_empty("rating_given", typed=rating)} THEN 'there is no {what}'
                WHEN rating IS NULL THEN 'the {what} is no number'
                WHEN NOT isfinite(rating) THEN 'the {what} is not finite'
                WHEN abs(rating) > {_LARGEST_FLOAT32} THEN 'the {what} is beyond the range of float32'
                {"WHEN rating <= 0 THEN 'the count is not positive'" if counts else ""}
                WHEN time_given IS NULL THEN {f"'{_NO_TIME}'" if time else "NULL"}
                WHEN {_empty("time_given", typed=time)} THEN '{_NO_TIME}'
                WHEN clock IS NULL AND calendar IS NULL THEN
                    'the time is neither Unix seconds nor an ISO date (2005-12-31 or 2005-12-31T23:59:59Z)'
                WHEN NOT coalesce(abs(clock) < {_BEFORE_NONSENSE}, true) THEN 'the time is out of range'
                END AS cause
            FROM parsed
        )
        SELECT line, "user", item, rating,
            TRY_CAST(floor(CASE
                WHEN calendar IS NOT NULL THEN calendar
                WHEN abs(clock) > {_BEFORE_MILLISECONDS} THEN clock / 1000 ELSE clock
                END) AS BIGINT) AS time,
            cause,
            CASE WHEN starts_with(cause, 'the {what}') THEN rating_given::VARCHAR
                WHEN starts_with(cause, 'the time') THEN time_given::VARCHAR ELSE '' END AS value,
            coalesce(abs(clock) > {_BEFORE_MILLISECONDS}, false) AS milliseconds
        FROM judged
    """


def _number(field: str, *, typed: bool) -> str:
    if typed:
        return f"{field}::DOUBLE"
    # DuckDB reads "1_000" as a number; nobody's table means that.
    return f"CASE WHEN NOT contains({field}, '_') THEN TRY_CAST({field} AS DOUBLE) END"


def _not_rated(missing: Sequence[str]) -> str:
    if not missing:
        return ""
    texts = ", ".join("'" + value.strip().replace("'", "''") + "'" for value in missing)
    numbers = [f"rating = '{float(value)}'::DOUBLE" for value in missing if is_number(value)]
    same = " OR ".join([f"coalesce(trim(rating_given::VARCHAR), '') IN ({texts})", *numbers])
    return f"WHEN {same} THEN '{NOT_RATED}'"


def is_missing(cell: str, missing: Sequence[str]) -> bool:
    """Whether a cell means "not rated", by the same rule."""
    codes = [float(value) for value in missing if is_number(value)]
    return cell.strip() in [value.strip() for value in missing] or (is_number(cell) and float(cell) in codes)


def _empty(field: str, *, typed: bool) -> str:
    return "false" if typed else f"trim({field}) = ''"


def refuse(db: duckdb.DuckDBPyConnection, bad: str, read: int) -> None:
    """Stop with the bad rows, if there are any: the first 20 and their number.

    Raises:
        DataError: there are bad rows.
    """
    total = db.execute(f"SELECT count(*) FROM {bad}").fetchall()[0][0]
    if not total:
        return
    first = db.execute(
        f"SELECT file, line, value, cause FROM {bad} ORDER BY file, line LIMIT {_SHOWN}"
    ).fetchall()
    lines = [
        f"  {file}:{line}: {cause}" + (f": {value!r}" if value else "") for file, line, value, cause in first
    ]
    if total > len(first):
        lines.append(f"  … and {total - len(first):,} more")
    raise DataError(
        f"{total:,} of {read:,} rows can't be read as ratings:\n"
        + "\n".join(lines)
        + "\nPut them right, or leave them out with --skip-bad (from Python: skip_bad=True)"
    )


def write_bad(db: duckdb.DuckDBPyConnection, bad: str, path: Path) -> int:
    """Write the bad rows, if there are any, as CSV with file, line, value and cause; say how many."""
    total: int = db.execute(f"SELECT count(*) FROM {bad}").fetchall()[0][0]
    if total:
        with atomic_file(path) as beside:
            place = str(beside).replace("'", "''")
            db.execute(
                f"COPY (SELECT file, line, value, cause FROM {bad} ORDER BY file, line) TO '{place}' "
                "(FORMAT csv, HEADER)"
            )
    return total
