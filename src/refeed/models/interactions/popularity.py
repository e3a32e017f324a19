"""How popular each item is, and how that changes."""

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from refeed.ratings.store import Ratings

__all__ = ["shares", "trends"]

_DAY = 86_400.0
_PRIOR = 0.01
"""Interactions of late that are added to those of every item, and to what was to be expected of it."""


def shares(train: Ratings) -> Float64[np.ndarray, " items"]:
    """The share of the users who took each item, 0 to 1."""
    return train.item_counts / max(int(np.count_nonzero(train.user_counts)), 1)


def trends(train: Ratings, power: float, half_life: float) -> Float64[np.ndarray, " items"]:
    """How much oftener each item is taken of late than ever: ((late + s) / (expected late + s))^power.

    An interaction so many days before the latest one of all counts half of it as late. What is expected of an
    item is its part in the interactions of all time. Where times are unknown, every trend is 1.

    Args:
        train: who took what when.
        power: 0: no trends; 1: what is taken of late, instead of ever.
        half_life: in days, above 0.
    """
    if not power or train.times is None or not len(train):
        return np.ones(train.n_items)
    days = (train.times.max() - train.times) / _DAY
    late = np.bincount(train.items, weights=np.exp2(-days / half_life), minlength=train.n_items)
    expected = train.item_counts * (late.sum() / len(train))
    trend: NDArray[np.float64] = ((late + _PRIOR) / (expected + _PRIOR)) ** power
    return trend
