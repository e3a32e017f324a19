"""Models whose predictions are sums."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64

from refeed.models.interface import Model
from refeed.ratings.store import Ratings

__all__ = ["Explaining"]


@runtime_checkable
class Explaining(Model, Protocol):
    """A `Model` whose prediction is the item's level plus a part for each of the user's ratings."""

    def explain(
        self, histories: Ratings, user: int, item: int
    ) -> tuple[float, Float64[np.ndarray, " ratings"]]:
        """The level, and the part of each rating in the order of the history; together the prediction.

        Args:
            histories: as `Model` wants them.
            user: position in `histories`.
            item: position in the model's items.
        """
        ...
