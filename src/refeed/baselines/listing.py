"""What the benchmark of lists asks of every model, ours or another library's."""

from collections.abc import Callable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Int64
from torch import Tensor

from refeed.ratings.store import Ratings

__all__ = ["Listing", "score_blocks"]

_BLOCK = 1 << 22  # scores at a time: 16 MB


@runtime_checkable
class Listing(Protocol):
    """A model trained on who took up what; it scores all items for some users."""

    def scores(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[Tensor, "users items"]:
        """How much each item suits each user, in any unit; the caller may change the tensor.

        Args:
            histories: what is known of the users, in the positions of the training's items. A model with
                factors of its training users wants the training ratings themselves.
            users: positions in `histories`.
        """
        ...


def score_blocks(
    model: Listing, histories: Ratings
) -> Callable[[Int64[np.ndarray, " users"]], Iterator[Float32[Tensor, "block items"]]]:
    """The model as `evaluate_ranking` wants it, so many users at a time that a block stays small."""
    size = max(1, min(1024, _BLOCK // max(histories.n_items, 1)))

    def blocks(users: Int64[np.ndarray, " users"]) -> Iterator[Float32[Tensor, "block items"]]:
        for at in range(0, len(users), size):
            yield model.scores(histories, users[at : at + size])

    return blocks
