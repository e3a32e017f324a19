"""Who rated what, both ways: sums over an item's users, and over a user's items."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import embedding_bag

from refeed import kernels
from refeed.ratings.store import Ratings

__all__ = ["InteractionMatrix"]


class InteractionMatrix:
    """The pattern of the training ratings, without their values, as two lists of positions.

    Args:
        train: the training ratings.
        device: where the sums are computed.
    """

    def __init__(self, train: Ratings, device: torch.device) -> None:
        bounds, items = (
            torch.from_numpy(np.array(each, dtype=np.int32)) for each in (train.indptr, train.items)
        )
        if kernels.serves(items.new_empty(0, dtype=torch.float32)):
            starts, users, _ = kernels.by_item(bounds, items, train.n_items)
        else:
            order = np.argsort(train.items, kind="stable")
            users = torch.from_numpy(train.users[order].astype(np.int32))
            starts = torch.from_numpy(np.concatenate([[0], np.cumsum(train.item_counts)]).astype(np.int32))
        self.device = device
        self._of_users = items.to(device), bounds[:-1].to(device)
        self._of_items = users.to(device), starts[:-1].to(device)

    def over_users(self, table: Float[Tensor, "users width"]) -> Float[Tensor, "items width"]:
        """For each item, the sum of the rows of the users who rated it."""
        return embedding_bag(self._of_items[0], table, self._of_items[1], mode="sum")

    def over_items(self, table: Float[Tensor, "items width"]) -> Float[Tensor, "users width"]:
        """For each user, the sum of the rows of the items that they rated."""
        return embedding_bag(self._of_users[0], table, self._of_users[1], mode="sum")
