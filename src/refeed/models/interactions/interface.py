"""What a model of interactions is: who will take what up."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from refeed.ratings.store import Ratings

__all__ = ["InteractionModel"]


@runtime_checkable
class InteractionModel(Protocol):
    """Scores from histories: of two items, the one with the higher score is the likelier to be taken up.

    Positions, not raw ids: `histories` holds the users' known interactions over the model's items (those of
    its training, in their order), `users` are positions in `histories`, `items` positions in the model's
    items. The values of the interactions are ratings or counts, as in training. A history is all there is to
    know of a user, who needs not have been in training; who has none gets the most popular items.

    Scores are on the scale of a share of people: about 0 for what nobody like the user takes, up to about 1.
    They may be below 0. Items that the user knows have a score, too.
    """

    n_items: int

    def score(
        self,
        histories: Ratings,
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        """The score of each (user, item) pair."""
        ...

    def score_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The scores of all items for each of the users."""
        ...

    def score_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """The rows of `score_all`, `size` users at a time, the last time fewer; the caller may change them.

        What it takes in memory does not depend on the number of users.
        """
        ...

    def explain(
        self, histories: Ratings, user: int, item: int
    ) -> tuple[float, Float64[np.ndarray, " interactions"]]:
        """A score as a sum: what everybody gets, and a part for each of the user's interactions, in order."""
        ...

    def state_dict(self) -> dict[str, Any]:
        """All that scoring depends on, as tensors."""
        ...

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any:
        """Take over what `state_dict` gave."""
        ...
