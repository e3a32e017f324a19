"""Baseline: the mean of all training ratings, for everybody and everything."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from refeed.config import MeanConfig
from refeed.errors import DataError
from refeed.ratings.store import Ratings

__all__ = ["MeanModel"]


class MeanModel(nn.Module):
    """A `Model` that predicts the training mean.

    Args:
        config: has nothing to set.
        n_items: the number of items.
    """

    axis: Literal["user", "item"] = "user"
    folds_in = True
    mean: Tensor

    def __init__(self, config: MeanConfig, n_items: int) -> None:
        super().__init__()
        self.config = config
        self.n_items = n_items
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))

    def fit(self, train: Ratings, valid: Ratings | None = None) -> None:  # noqa: ARG002 - as every model's
        """Take the mean of the training ratings.

        Raises:
            DataError: there is no rating.
        """
        if not len(train):
            raise DataError("there is not a single rating to take the mean of; check the training ratings")
        self.mean.fill_(train.mean)

    def predict(
        self,
        histories: Ratings,  # noqa: ARG002
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],  # noqa: ARG002
    ) -> Float64[np.ndarray, " pairs"]:
        """The mean, for each pair (see `Model`)."""
        return np.full(len(users), float(self.mean))

    def predict_all(
        self,
        histories: Ratings,  # noqa: ARG002
        users: Int64[np.ndarray, " users"],
    ) -> Float32[np.ndarray, "users items"]:
        """The mean, for each of the users and every item (see `Model`)."""
        return np.full((len(users), self.n_items), float(self.mean), dtype=np.float32)

    def item_vectors(self) -> None:
        """None: a mean says nothing of likeness."""
