"""Rows that wait in DuckDB, some users' at a time: sorted by user and item, each pair once."""

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import duckdb
import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

__all__ = ["buckets", "fetched", "without_duplicates"]

_BUCKET = 3_000_000
"""Ratings that are held in numpy at a time: some 200 MB with what DuckDB needs to hand them over."""

_Columns = dict[str, NDArray[np.generic]]


def buckets(per_user: Int64[np.ndarray, " users"]) -> Iterator[tuple[int, int]]:
    """Ranges of users that have about `_BUCKET` ratings together; one user at least."""
    ends = np.cumsum(per_user)
    start = 0
    while start < len(per_user):
        done = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, done + _BUCKET, side="right")))
        yield start, stop
        start = stop


def fetched(
    db: duckdb.DuckDBPyConnection, buckets: Iterable[tuple[int, int]], columns: str
) -> Iterator[tuple[int, int, _Columns]]:
    """The ratings of each range of users, unsorted; the next are fetched while these are at work."""

    def fetch(start: int, stop: int) -> tuple[int, int, _Columns]:
        with db.cursor() as own:  # a connection serves one thread at a time
            query = f"SELECT {columns} FROM numbered WHERE u >= ? AND u < ?"
            return start, stop, own.execute(query, [start, stop]).fetchnumpy()

    with ThreadPoolExecutor(max_workers=1) as fetching:
        ahead: Future[tuple[int, int, _Columns]] | None = None
        for bucket in buckets:
            ready, ahead = ahead, fetching.submit(fetch, *bucket)
            if ready is not None:
                yield ready.result()
        if ahead is not None:
            yield ahead.result()


def without_duplicates(
    db: duckdb.DuckDBPyConnection, start: int, stop: int, bucket: _Columns, *, totals: bool
) -> _Columns:
    """The ratings of some users, sorted by user and item; with `totals` a pair's values are added up."""
    items = bucket["i"].astype(np.int64)
    width = int(items.max()) + 1
    pairs, order = _sorted((bucket["u"].astype(np.int64) - start) * width + items)
    last = np.ones(len(pairs), dtype=np.bool_)
    last[:-1] = np.diff(pairs) > 0
    if last.all():  # there is one order only, and numpy finds it sooner
        return {name: column[order] for name, column in bucket.items()}
    query = f"SELECT {', '.join(bucket)} FROM numbered WHERE u >= ? AND u < ?"
    bucket = db.execute(f"{query} ORDER BY u, i, time NULLS FIRST, line", [start, stop]).fetchnumpy()
    kept = {name: column[last] for name, column in bucket.items()}
    if totals:
        first = np.concatenate([[0], np.flatnonzero(last)[:-1] + 1])
        kept["value"] = np.add.reduceat(bucket["value"].astype(np.float64), first).astype(np.float32)
    return kept


def _sorted(
    numbers: Int64[np.ndarray, " ratings"],
) -> tuple[Int64[np.ndarray, " ratings"], Int64[np.ndarray, " ratings"]]:
    """Numbers from 0 in their order, and where each one was.

    Where they are small enough the places ride in the low bits: numpy sorts numbers twice as fast as places.
    """
    bits = len(numbers).bit_length()
    if not len(numbers) or int(numbers.max()) >= 1 << (63 - bits):
        order = np.argsort(numbers)
        return numbers[order], order
    packed = (numbers << bits) | np.arange(len(numbers))
    packed.sort()
    return packed >> bits, packed & ((1 << bits) - 1)
