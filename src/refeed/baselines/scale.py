"""Ratings of any scale, mapped to 1 … 5, which the settings of the literature are meant for."""

from dataclasses import dataclass, replace

import numpy as np

from refeed.ratings.store import Ratings

__all__ = ["Scale"]


@dataclass(frozen=True)
class Scale:
    """x ↦ 1 + (x − lowest) / unit.

    Args:
        lowest: the rating that becomes 1.
        unit: what becomes 1: a quarter of the way from the lowest to the highest rating, or 1 if they agree.
    """

    lowest: float
    unit: float

    @classmethod
    def of(cls, train: Ratings) -> "Scale":
        """The scale of training ratings."""
        lowest, highest = train.scale
        return cls(lowest, (highest - lowest) / 4 or 1.0)

    def mapped(self, ratings: Ratings) -> Ratings:
        """The same ratings from 1 to 5."""
        values = (1 + (ratings.values.astype(np.float64) - self.lowest) / self.unit).astype(np.float32)
        return replace(ratings, values=values)

    def back(self, rating: float) -> float:
        """From 1 … 5 to the scale of the ratings."""
        return self.lowest + (rating - 1) * self.unit
