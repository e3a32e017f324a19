"""Rows of some owners out of a compressed array."""

import numpy as np
from jaxtyping import Int64

__all__ = ["ranges"]


def ranges(
    bounds: Int64[np.ndarray, " bounds"], chosen: Int64[np.ndarray, " some"]
) -> tuple[Int64[np.ndarray, " rows"], Int64[np.ndarray, " some_bounds"]]:
    """The rows bounds[c] … bounds[c + 1] of each chosen c, one after the other, and where each c's start."""
    counts = bounds[chosen + 1] - bounds[chosen]
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    rows = np.repeat(bounds[chosen] - starts[:-1], counts) + np.arange(starts[-1])
    return rows.astype(np.int64), starts
