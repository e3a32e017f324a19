"""The most popular list: everybody gets what most people took up."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from refeed.ratings.store import Ratings

__all__ = ["Popular"]


@dataclass(frozen=True, eq=False)
class Popular:
    """Scores items by how many people took them up.

    Args:
        counts: of each item.
    """

    counts: Float32[Tensor, " items"]

    @classmethod
    def fit(cls, train: Ratings) -> "Popular":
        """Count."""
        return cls(torch.from_numpy(train.item_counts).float())

    def scores(
        self,
        histories: Ratings,  # noqa: ARG002 - everybody gets the same
        users: Int64[np.ndarray, " users"],
    ) -> Float32[Tensor, "users items"]:
        """The same for everybody."""
        return self.counts.repeat(len(users), 1)
