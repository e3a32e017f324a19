"""Who rated what, both ways: sums over an item's users, and over a user's items."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import embedding_bag

from refeed.ratings.store import Ratings

__all__ = ["InteractionMatrix"]


class InteractionMatrix:
    """The pattern of the training ratings, without their values, as two lists of positions.

    Args:
        train: the training ratings.
        device: where the sums are computed.
    """

    def __init__(self, train: Ratings, device: torch.device) -> None:
        def moved(array: np.ndarray) -> Tensor:
            return torch.from_numpy(np.array(array, dtype=np.int32)).to(device)

        self._of_users = moved(train.items), moved(train.indptr[:-1])
        order = np.argsort(train.items, kind="stable")
        starts = np.concatenate([[0], np.cumsum(train.item_counts)[:-1]])
        self._of_items = moved(train.users[order]), moved(starts)

    def over_users(self, table: Float[Tensor, "users width"]) -> Float[Tensor, "items width"]:
        """For each item, the sum of the rows of the users who rated it."""
        return embedding_bag(self._of_items[0], table, self._of_items[1], mode="sum")

    def over_items(self, table: Float[Tensor, "items width"]) -> Float[Tensor, "users width"]:
        """For each user, the sum of the rows of the items that they rated."""
        return embedding_bag(self._of_users[0], table, self._of_users[1], mode="sum")
