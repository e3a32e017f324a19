"""From rows in DuckDB to a store folder, in bounded memory: 100M ratings need no more than the limit given.

Every format's reader ends in `Rows`; `write_store` is the one way from there to disk, and `build_arrays` the
one into memory.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import duckdb
import numpy as np
from jaxtyping import Float32, Int32, Int64
from numpy.typing import NDArray

from refeed.errors import DataError, StoreError
from refeed.files import atomic_folder
from refeed.ratings.buckets import buckets, fetched, without_duplicates
from refeed.ratings.scale_hint import hint_at_codes
from refeed.ratings.store_meta import DataKind, write_meta

__all__ = ["Arrays", "Counts", "Rows", "build_arrays", "write_store"]

_ITEMS = 'SELECT * EXCLUDE "#position" FROM titled_items ORDER BY "#position"'


@dataclass(frozen=True)
class Rows:
    """What the reader of a format hands over: names of tables in its DuckDB connection, and what it saw.

    Args:
        rows: good rows: "user" and item, VARCHAR or whole numbers (faster; their ids are these in decimals),
            rating DOUBLE, time BIGINT (Unix seconds; NULL everywhere if there are none), line BIGINT (the
            order in the input). It is scanned four times.
        titles: item VARCHAR, title VARCHAR, and what else is known of items, VARCHAR or DOUBLE; or None.
        bad: rows that are no ratings: file VARCHAR, line BIGINT, value VARCHAR, cause VARCHAR; or None.
        read: data rows seen, good and bad: without headers, blank lines and Netflix's movie lines.
        format: what was recognised, in words.
        notes: what the user should know about how it was read, a sentence each.
        missing: rows that were read and left out, neither good nor bad, as they are "not rated".
        kind: ratings, or interactions, each with a value of 1 or a count.
        certain: whether the kind is; else ratings that are all equal are interactions.
    """

    rows: str
    titles: str | None
    bad: str | None
    read: int
    format: str
    notes: tuple[str, ...] = ()
    missing: int = 0
    kind: DataKind = "ratings"
    certain: bool = True


@dataclass(frozen=True)
class Counts:
    """What `write_store` wrote.

    Args:
        ratings: (user, item) pairs in the store.
        users: users with at least one rating.
        items: items with at least one rating.
        duplicates: rows of a user and an item that another row has, too: left out of ratings, added up in
            interactions.
        titled: items that have a title.
        scale: lowest and highest rating.
        span: first and last time, Unix seconds; None without times.
        kind: what was written.
        notes: what looks strange, a sentence each.
    """

    ratings: int
    users: int
    items: int
    duplicates: int
    titled: int
    scale: tuple[float, float]
    span: tuple[int, int] | None
    kind: DataKind = "ratings"
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Arrays:
    """What a store folder holds, in memory.

    Args:
        indptr: where each user's ratings start, and their total at the end.
        items: item positions, ascending within a user.
        values: the ratings.
        times: Unix seconds, or None.
        user_ids: raw ids by position.
        item_ids: likewise.
        titles: of the items, "" where unknown; None if there is none at all.
        attributes: what else is known of the items: name → a text, a number or None each.
    """

    indptr: Int64[np.ndarray, " starts"]
    items: Int32[np.ndarray, " ratings"]
    values: Float32[np.ndarray, " ratings"]
    times: Int64[np.ndarray, " ratings"] | None
    user_ids: list[str]
    item_ids: list[str]
    titles: list[str] | None
    attributes: dict[str, tuple[str | float | None, ...]]


def build_arrays(
    db: duckdb.DuckDBPyConnection,
    rows: str,
    *,
    titles: str | None,
    kind: DataKind = "ratings",
    certain: bool = True,
) -> tuple[Arrays, Counts]:
    """Sort rows by user and item, each pair once, as `write_store` does, into memory.

    Args:
        db: where the tables are.
        rows: a table as `Rows.rows` describes it.
        titles: a table as `Rows.titles` describes it, or None.
        kind: as for `write_store`.
        certain: likewise.

    Raises:
        DataError: there are no rows.
    """
    parts: dict[str, list[NDArray[np.generic]]] = {"items": [], "values": [], "times": []}
    try:
        _number(db, rows)
        add = {name: part.append for name, part in parts.items()}
        indptr, counts = _sorted_ratings(db, add, kind, certain=certain)
        users = db.execute("SELECT id FROM numbered_users ORDER BY position").fetchall()
        names = _title_items(db, titles)
        found = db.execute(_ITEMS).fetchall()
    finally:
        _drop(db)
    item_ids, item_titles, *attributes = zip(*found, strict=True)
    titled = sum(title is not None for title in item_titles)
    arrays = Arrays(
        indptr=indptr,
        items=np.concatenate(parts["items"]).astype(np.int32, copy=False),
        values=np.concatenate(parts["values"]).astype(np.float32, copy=False),
        times=np.concatenate(parts["times"]).astype(np.int64, copy=False) if parts["times"] else None,
        user_ids=[user for (user,) in users],
        item_ids=list(item_ids),
        titles=[title or "" for title in item_titles] if titled else None,
        attributes=dict(zip(names, attributes, strict=True)),
    )
    return arrays, replace(counts, titled=titled)


def write_store(
    db: duckdb.DuckDBPyConnection,
    rows: str,
    out: Path,
    *,
    titles: str | None,
    source: Mapping[str, str | int | float],
    kind: DataKind = "ratings",
    certain: bool = True,
) -> Counts:
    """Write rows as a store folder, sorted by user and item, each (user, item) pair once.

    Of several rows with the same user and item the latest in time stays; of those with the same time, or
    without times, the one with the highest line. Of interactions the values are added up, and the latest time
    stays. Ids get their positions in this order: whole numbers of up
    to 18 digits by value, then all others by code point.

    Args:
        db: where the tables are; its `memory_limit` bounds what DuckDB holds, some 200 MB come on top.
        rows: a table as `Rows.rows` describes it.
        out: the folder to write; written atomically.
        titles: a table as `Rows.titles` describes it, or None.
        source: what `Ratings.source` will say; the number of duplicates is added to it.
        kind: what the rows are.
        certain: whether they are; else ratings that are all equal, two at least, are interactions of value 1.

    Raises:
        DataError: there are no rows.
        StoreError: `out` exists already.
    """
    _number(db, rows)
    try:
        with atomic_folder(out) as folder:
            counts = _write_arrays(db, folder, kind, certain=certain)
            titled = _write_ids(db, folder, titles)
            write_meta(folder, {**source, "duplicates": counts.duplicates}, kind=counts.kind)
    except FileExistsError as error:
        raise StoreError(f"{out} exists already; choose another path, or remove it first") from error
    finally:
        _drop(db)
    return replace(counts, titled=titled)


def _drop(db: duckdb.DuckDBPyConnection) -> None:
    for table in ("numbered", "numbered_users", "numbered_items", "titled_items"):
        db.execute(f"DROP TABLE IF EXISTS {table}")


def _number(db: duckdb.DuckDBPyConnection, rows: str) -> None:
    for column in ("user", "item"):
        db.execute(f"""
            CREATE OR REPLACE TABLE numbered_{column}s AS
            SELECT key, id, n, (row_number() OVER (ORDER BY CASE WHEN regexp_full_match(id, '-?[0-9]{{1,18}}')
                THEN CAST(id AS BIGINT) END NULLS LAST, id) - 1)::INTEGER AS position
            FROM (SELECT "{column}" AS key, key::VARCHAR AS id, count(*) AS n FROM {rows} GROUP BY key)
        """)
    db.execute(f"""
        CREATE OR REPLACE TABLE numbered AS
        SELECT u.position AS u, i.position AS i, r.rating::FLOAT AS value, r.time AS time, r.line AS line
        FROM {rows} r
        JOIN numbered_users u ON u.key = r."user" JOIN numbered_items i ON i.key = r.item
    """)


def _write_arrays(db: duckdb.DuckDBPyConnection, folder: Path, kind: DataKind, *, certain: bool) -> Counts:
    with ExitStack() as files:
        add = {
            name: files.enter_context(_array_file(folder / f"{name}.npy", dtype))
            for name, dtype in (("items", np.int32), ("values", np.float32), ("times", np.int64))
        }
        indptr, counts = _sorted_ratings(db, add, kind, certain=certain)
    if counts.span is None:
        (folder / "times.npy").unlink()
    np.save(folder / "indptr.npy", indptr)
    return counts


def _sorted_ratings(
    db: duckdb.DuckDBPyConnection,
    add: Mapping[str, Callable[[NDArray[np.generic]], None]],
    kind: DataKind,
    *,
    certain: bool,
) -> tuple[Int64[np.ndarray, " starts"], Counts]:
    """Hand over items, values and (if there are any) times, some users' at a time; say where users start."""
    per_user: NDArray[np.int64] = db.execute("SELECT n FROM numbered_users ORDER BY position").fetchnumpy()[
        "n"
    ]
    if not len(per_user):
        raise DataError("there are no ratings to write; give a table with at least one")
    low, high, first, last, timed = db.execute(
        "SELECT min(value), max(value), min(time), max(time), count(time) FROM numbered"
    ).fetchall()[0]
    has_times = timed == per_user.sum()
    if low == high and per_user.sum() > 1 and kind == "ratings" and not certain:
        kind = "interactions"
        db.execute("UPDATE numbered SET value = 1")
    totals = kind == "interactions"
    scale = (math.inf, -math.inf) if totals else (low, high)
    kept = np.zeros(len(per_user), dtype=np.int64)
    columns = "u, i, value, time" if has_times else "u, i, value"
    for start, stop, unsorted in fetched(db, buckets(per_user), columns):
        bucket = without_duplicates(db, start, stop, unsorted, totals=totals)
        if totals:
            scale = min(scale[0], float(bucket["value"].min())), max(scale[1], float(bucket["value"].max()))
        kept[start:stop] = np.bincount(bucket["u"] - start, minlength=stop - start)
        add["items"](bucket["i"])
        add["values"](bucket["value"])
        if has_times:
            add["times"](bucket["time"])
    ratings = int(kept.sum())
    counts = Counts(
        ratings=ratings,
        users=len(per_user),
        items=db.execute("SELECT count(*) FROM numbered_items").fetchall()[0][0],
        duplicates=int(per_user.sum()) - ratings,
        titled=0,
        scale=scale,
        span=(first, last) if has_times else None,
        kind=kind,
        notes=hint_at_codes(db, "numbered") if kind == "ratings" else (),
    )
    return np.concatenate([[0], np.cumsum(kept)]).astype(np.int64), counts


def _title_items(db: duckdb.DuckDBPyConnection, titles: str | None) -> list[str]:
    """Make the table `titled_items`: item, title, attributes, by "#position"; name the attributes."""
    described = db.execute(f"DESCRIBE {titles}").fetchall() if titles else []
    names = [row[0] for row in described if row[0] not in ("item", "title")]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    further = "".join(f", t.{name}" for name in quoted)
    known = "".join(f", min({name}) AS {name}" for name in quoted)
    nothing = "SELECT NULL::VARCHAR AS item, NULL::VARCHAR AS title WHERE false"
    named = f"SELECT item, min(title) FILTER (WHERE title <> '') AS title{known} FROM {titles} GROUP BY item"
    db.execute(f"""
        CREATE OR REPLACE TABLE titled_items AS
        SELECT n.position AS "#position", n.id AS item, t.title AS title{further}
        FROM numbered_items n LEFT JOIN ({named if titles else nothing}) t ON t.item = n.id
    """)
    return names


def _write_ids(db: duckdb.DuckDBPyConnection, folder: Path, titles: str | None) -> int:
    """Write both tables of ids, and say how many items have a title."""
    _title_items(db, titles)
    for table, query in (
        ("users", 'SELECT id AS "user" FROM numbered_users ORDER BY position'),
        ("items", _ITEMS),
    ):
        path = str(folder / table).replace("'", "''")
        db.execute(f"COPY ({query}) TO '{path}.parquet' (FORMAT parquet)")
    titled: int = db.execute("SELECT count(title) FROM titled_items").fetchall()[0][0]
    return titled


@contextmanager
def _array_file(path: Path, dtype: type[np.generic]) -> Iterator[Callable[[NDArray[np.generic]], None]]:
    """A one-dimensional .npy file to append to; its header gets the length in the end."""
    length = 0

    def write_header(file: BinaryIO) -> None:
        # numpy pads the header for the length to grow, so that any length takes the same space.
        header = {
            "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
            "fortran_order": False,
            "shape": (length,),
        }
        np.lib.format.write_array_header_1_0(file, header)

    def append(values: NDArray[np.generic]) -> None:
        nonlocal length
        file.write(np.ascontiguousarray(values, dtype=dtype).data)
        length += len(values)

    with path.open("wb") as file:
        write_header(file)
        yield append
        file.seek(0)
        write_header(file)
