"""The share of the learning rate that F takes, what users add to the items that they rated.

Adam moves every entry of F by about the rate, whatever its gradient's size. Where many have rated an item,
and much the same items, their entries move alike, and the item's vector by the rate times the root of their
number: with 16,000 raters a hundred times what V moves. So F takes a share of the rate (`share_of_rate`).
"""

import math

import numpy as np
from jaxtyping import Int64

__all__ = ["share_of_rate"]

_MANY = 500.0  # raters of an item, from which on F's rate falls


def share_of_rate(item_counts: Int64[np.ndarray, " items"]) -> float:
    """The share of the learning rate that F takes: √(500 / n) where items have more raters than that.

    n is the mean number of raters of a rating's item, Σ n_i² / Σ n_i, as popular items move most.

    Args:
        item_counts: n_i.
    """
    raters = float(np.square(item_counts, dtype=np.float64).sum()) / max(float(item_counts.sum()), 1.0)
    return math.sqrt(min(1.0, _MANY / max(raters, 1.0)))
