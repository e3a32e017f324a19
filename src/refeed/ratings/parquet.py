"""Parquet tables of ratings, read where they lie: a spotless one is never copied.

Its columns are compressed, and have types of their own: numbers need no parsing.
"""

from collections.abc import Mapping
from pathlib import Path

import duckdb

from refeed.errors import DataError
from refeed.ratings.bad_rows import checked
from refeed.ratings.columns import resolve
from refeed.ratings.text import duckdb_path

__all__ = ["view_parquet"]

_NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "FLOAT", "DOUBLE"} | {
    f"U{name}" for name in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT")
}


def view_parquet(
    db: duckdb.DuckDBPyConnection, number: int, path: Path, mapping: Mapping[str, str | int]
) -> str:
    """Make a view of a file's rows, each checked.

    Args:
        db: a connection of one's own, with the time zone UTC.
        number: of the file among all.
        path: the file.
        mapping: which column is which, as `parse_columns` gives it.

    Returns:
        The view's name; its columns are `file` (the number) and those of `checked`.

    Raises:
        DataError: it is damaged, or its columns can't be told.
    """
    place = duckdb_path(path).replace("'", "''")
    source = f"read_parquet('{place}', file_row_number = true, hive_partitioning = false)"
    name = f"parquet_{number}"
    try:
        columns = db.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()[:-1]
        names = [column[0] for column in columns]
        fields = resolve(names, len(names), mapping, where=str(path))
        cells = {field: '"' + names[column].replace('"', '""') + '"' for field, column in fields.items()}
        numbers = {
            "time" if field == "timestamp" else field
            for field, column in fields.items()
            if columns[column][1] in _NUMBERS
        }
        time = "NULL::VARCHAR"
        if "timestamp" in cells:
            time = cells["timestamp"] if "time" in numbers else f"coalesce({cells['timestamp']}::VARCHAR, '')"
        rating = cells["rating"] if "rating" in numbers else f"{cells['rating']}::VARCHAR"
        raw = f"""(
            SELECT file_row_number + 1 AS line, {cells["user"]}::VARCHAR AS "user",
                {cells["item"]}::VARCHAR AS item, {rating} AS rating, {time} AS time,
                NULL::VARCHAR AS problem
            FROM {source}
        )"""
        db.execute(f"CREATE VIEW {name} AS SELECT {number} AS file, * FROM ({checked(raw, numbers=numbers)})")
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise damaged(path, error) from error
    return name


def damaged(path: Path, error: duckdb.Error) -> DataError:
    """What to say of a file that DuckDB can't read."""
    return DataError(f"{path} can't be read as Parquet; it may be truncated or damaged: {error}")
