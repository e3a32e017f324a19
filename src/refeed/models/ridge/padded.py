"""Histories side by side: users of like length together, so that the longest one costs only its own batch."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Int64
from numpy.typing import NDArray

__all__ = ["Padded", "padded"]

T = TypeVar("T", bound=np.generic)

ENTRIES = 1 << 16
"""Ratings at a time, filled-up places included: what a block of users takes in memory follows from this."""

_SLACK = 1.25  # a block's longest history, at most, relative to its shortest …
_SPARE = 2048  # … or so many places filled up in it: another block costs as much (some milliseconds)


@dataclass(frozen=True)
class Padded:
    """A block of users, each history filled up to the longest of the block.

    Args:
        users: their positions among all the users.
        places: of each rating in the arrays that were padded; 0 where there is none.
        rated: whether there is one.
    """

    users: Int64[np.ndarray, " users"]
    places: Int64[np.ndarray, "users longest"]
    rated: Bool[np.ndarray, "users longest"]

    def of(self, values: NDArray[T]) -> NDArray[T]:
        """The values of the ratings, zeros where there is none."""
        if not len(values):
            return np.zeros(self.places.shape, dtype=values.dtype)
        filled: NDArray[T] = np.where(self.rated, values[self.places], values.dtype.type(0))
        return filled


def padded(indptr: Int64[np.ndarray, " bounds"], entries: int = ENTRIES) -> Iterator[Padded]:
    """Put the users of a compressed matrix into blocks, from the shortest history to the longest.

    Of each block at most a fifth of the places are filled up, or so few that another block would cost more;
    a single user with a longer history than `entries` is a block alone.

    Args:
        indptr: where each user's ratings start, and the end of the last.
        entries: places a block, at most.
    """
    counts = np.diff(indptr)
    order = np.argsort(counts, kind="stable")
    lengths = counts[order]
    first = 0
    while first < len(order):
        within = lengths[first : first + max(1, entries // max(int(lengths[first]), 1))]
        places = within * np.arange(1, len(within) + 1)  # of a block up to here
        spare = places - np.cumsum(within)
        fits = ((spare <= _SPARE) | (within <= within[0] * _SLACK)) & (places <= entries)
        last = first + max(1, int(np.argmin(fits)) if not fits.all() else len(fits))
        users = order[first:last]
        at = np.arange(lengths[last - 1])
        rated = at < counts[users][:, None]
        yield Padded(users, np.where(rated, indptr[users][:, None] + at, 0), rated)
        first = last
