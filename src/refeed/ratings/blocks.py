"""Ratings gone through some at a time: numpy widens an index or a bin to 8 bytes, and not for all at once."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int64

__all__ = ["blocks", "kept_before"]

_BLOCK = 1 << 22


def blocks(length: int) -> Iterator[slice]:
    """Slices that cover all ratings."""
    for start in range(0, length, _BLOCK):
        yield slice(start, min(start + _BLOCK, length))


def kept_before(
    mask: Bool[np.ndarray, " ratings"], indptr: Int64[np.ndarray, " starts"]
) -> Int64[np.ndarray, " starts"]:
    """How many ratings are kept before each user's start: the indptr of a selection."""
    kept = np.zeros_like(indptr, subok=False)
    total = 0
    for block in blocks(len(mask)):
        running = total + np.cumsum(mask[block], dtype=np.int64)
        first, last = np.searchsorted(indptr, [block.start, block.stop], side="right")
        kept[first:last] = running[indptr[first:last] - block.start - 1]
        total = int(running[-1])
    return kept
