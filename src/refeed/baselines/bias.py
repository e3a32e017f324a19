"""Baseline: mean + damped user bias + damped item bias. Simple, and on small data hard to beat."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from refeed.config import BiasConfig
from refeed.models.biases import Biases, pick_damping
from refeed.ratings.store import Ratings

__all__ = ["BiasModel"]

_DAMPING = (5.0, 3.0)  # user and item, where there is no validation to pick them on
_USERS_AT_ONCE = 8192  # bounds what their histories take


class BiasModel(nn.Module):
    """A `Model` that predicts μ + b_u + b_i; a user's bias is taken from the history, for anybody alike.

    Args:
        config: the damping; without it, `fit` picks it on the validation ratings.
        n_items: the number of items.
    """

    axis: Literal["user", "item"] = "user"
    folds_in = True
    mean: Tensor
    items: Tensor
    user_damping: Tensor

    def __init__(self, config: BiasConfig, n_items: int) -> None:
        super().__init__()
        self.config = config
        self.n_items = n_items
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("items", torch.zeros(n_items, dtype=torch.float64))
        self.register_buffer("user_damping", torch.ones((), dtype=torch.float64))

    def fit(self, train: Ratings, valid: Ratings | None = None) -> None:
        """Fit the biases, with the configured damping or the one that predicts the validation ratings best.

        Raises:
            DataError: there is no rating, or no validation rating of a known user and item.
        """
        user_damping, item_damping = self.config.damping or (
            _DAMPING if valid is None else pick_damping(train, valid)
        )
        biases = Biases.fit(train, user_damping=user_damping, item_damping=item_damping)
        self.mean.fill_(biases.mean)
        self.items.copy_(torch.from_numpy(biases.items))
        self.user_damping.fill_(biases.user_damping)

    def predict(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """μ + b_u + b_i of each pair (see `Model`)."""
        biases = self._biases()
        each, owners = np.unique(users, return_inverse=True)
        of_users = np.empty(len(each))
        for first in range(0, len(each), _USERS_AT_ONCE):
            some = slice(first, first + _USERS_AT_ONCE)
            of_users[some] = biases.of_users(*histories.rows(each[some]))
        return biases.predict(of_users, owners, items)

    def predict_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """μ + b_u + b_i of every item by each of the users (see `Model`)."""
        biases = self._biases()
        of_users = biases.of_users(*histories.rows(users))
        predicted: Float64[np.ndarray, "users items"] = of_users[:, None] + (biases.mean + biases.items)
        return predicted.astype(np.float32)

    def item_vectors(self) -> None:
        """None: biases say nothing of likeness."""

    def _biases(self) -> Biases:
        return Biases(float(self.mean), self.items.cpu().numpy(), float(self.user_damping))
