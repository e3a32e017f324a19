"""Rows of ratings given as arrays: checked, sorted by user and item, each pair once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int32, Int64
from numpy.typing import ArrayLike, NDArray

from refeed.errors import DataError

__all__ = ["Compressed", "compressed", "compressed_once"]


@dataclass(frozen=True, eq=False)
class Compressed:
    """Compressed sparse rows, as `Ratings` holds them, and how many rows were left out.

    Args:
        indptr: where each user's ratings start, and their total at the end.
        items: item positions, ascending within a user.
        values: the ratings.
        times: Unix seconds of each, or None.
        duplicates: rows left out because a later one has the same user and item.
    """

    indptr: Int64[np.ndarray, " starts"]
    items: Int32[np.ndarray, " ratings"]
    values: Float32[np.ndarray, " ratings"]
    times: Int64[np.ndarray, " ratings"] | None
    duplicates: int


def compressed(
    users: ArrayLike,
    items: ArrayLike,
    values: ArrayLike,
    times: ArrayLike | None,
    *,
    n_users: int,
    n_items: int,
) -> Compressed:
    """Check and sort rows: of several of the same user and item the latest stays, by time, then by place.

    Args:
        users: user positions, from 0.
        items: item positions, from 0.
        values: finite numbers within the range of float32.
        times: Unix seconds, whole; or None.
        n_users: how many users there are.
        n_items: how many items there are.

    Raises:
        DataError: lengths differ; a position is negative, beyond the ids, or not whole; a value is NaN,
            infinite, or no number; a time is not whole.
    """
    who, what = _positions("user", users, n_users), _positions("item", items, n_items)
    ratings = _values(values)
    when = None if times is None else _whole("times", times)
    given = {"users": who, "items": what, "values": ratings, "times": when}
    _check_lengths({name: len(column) for name, column in given.items() if column is not None})
    order = _latest(who, what, when)
    return Compressed(
        _starts(who[order], n_users),
        what[order].astype(np.int32),
        ratings[order],
        None if when is None else when[order],
        duplicates=len(who) - len(order),
    )


def compressed_once(
    users: Int64[np.ndarray, " ratings"],
    items: Int64[np.ndarray, " ratings"],
    values: Float32[np.ndarray, " ratings"],
    times: Int64[np.ndarray, " ratings"] | None,
    *,
    n_users: int,
) -> Compressed:
    """Sort rows that are known to be good, each pair once: what has been checked is not checked again."""
    order = np.lexsort((items, users))
    return Compressed(
        _starts(users, n_users),
        items[order].astype(np.int32),
        values[order].astype(np.float32),
        None if times is None else times[order].astype(np.int64),
        duplicates=0,
    )


def _latest(
    users: Int64[np.ndarray, " rows"],
    items: Int64[np.ndarray, " rows"],
    times: Int64[np.ndarray, " rows"] | None,
) -> Int64[np.ndarray, " kept"]:
    """The rows in their order by user and item: of each pair the last one in time, then in place."""
    order = np.lexsort((items, users))
    last = np.ones(len(order), dtype=np.bool_)
    last[:-1] = (np.diff(users[order]) != 0) | (np.diff(items[order]) != 0)
    if times is not None and not last.all():  # else there is one order only, and this is the sooner one
        order = np.lexsort((times, items, users))
    return order[last]


def _starts(users: Int64[np.ndarray, " ratings"], n_users: int) -> Int64[np.ndarray, " starts"]:
    counts = np.bincount(users, minlength=n_users)
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


def _check_lengths(lengths: dict[str, int]) -> None:
    if len(set(lengths.values())) > 1:
        given = ", ".join(f"{length:,} {name}" for name, length in lengths.items())
        raise DataError(f"{given}: these arrays are rows together, so all must have the same length")


def _positions(what: str, given: ArrayLike, count: int) -> Int64[np.ndarray, " rows"]:
    positions = _whole(f"{what} positions", given)
    wrong = np.flatnonzero((positions < 0) | (positions >= count))
    if len(wrong):
        raise DataError(
            f"row {wrong[0]}: there is no {what} position {positions[wrong[0]]}; with {count:,} {what} ids "
            f"they are 0 to {count - 1}"
        )
    return positions


def _whole(what: str, given: ArrayLike) -> Int64[np.ndarray, " rows"]:
    array = _flat(what, given)
    if not len(array):
        return np.empty(0, dtype=np.int64)
    if array.dtype.kind == "f":
        wrong = np.flatnonzero(~(np.abs(array) < 2**53) | (array != np.floor(array)))
        if len(wrong):
            raise DataError(f"{what}: row {wrong[0]} is {array[wrong[0]]}, which is no whole number")
    elif array.dtype.kind not in "iu":
        raise DataError(f"{what} are of type {array.dtype}; expected whole numbers")
    if array.dtype.kind == "u" and int(array.max()) >= 1 << 63:
        raise DataError(f"{what}: {array.max()} is beyond 64-bit integers")
    return array.astype(np.int64)


def _values(given: ArrayLike) -> Float32[np.ndarray, " rows"]:
    array = _flat("values", given)
    if len(array) and array.dtype.kind not in "iuf":
        raise DataError(f"values are of type {array.dtype}; expected numbers")
    with np.errstate(over="ignore"):
        values = array.astype(np.float32)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise DataError(
            f"values: row {wrong[0]} is {array[wrong[0]]}, one of {len(wrong):,} that are not finite in "
            "float32; leave such rows out"
        )
    return values


def _flat(what: str, given: ArrayLike | Sequence[object]) -> NDArray[np.generic]:
    try:
        array = np.asarray(given)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what} can't be read as an array: {error}") from error
    if array.ndim != 1:
        raise DataError(f"{what} have shape {array.shape}; expected one number for each row")
    return array
