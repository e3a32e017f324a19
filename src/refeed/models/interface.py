"""What every model is to the rest of refeed, the paper's autoencoder and a plain mean alike."""

from collections.abc import Iterator
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from refeed.ratings.store import Ratings

__all__ = ["InBlocks", "InTime", "Model", "predict_blocks", "predict_pairs"]


@runtime_checkable
class Model(Protocol):
    """Predictions from histories.

    Positions, not raw ids: `histories` holds the users' known ratings over the model's items (those of its
    training, in their order), `users` are positions in `histories`, `items` positions in the model's items.

    `folds_in` says whether the history is all there is to know of a user, who then needs not have been in
    training. A model that doesn't fold in wants the training ratings themselves as `histories` and knows no
    other users: an item-based one, and one that holds factors of its users.

    `axis` is "item" for an item-based model, whose predictions come from the items' ratings by the training
    users; "user" for all others.

    Predictions are on the scale of the ratings, not clipped.
    """

    axis: Literal["user", "item"]
    folds_in: bool

    def predict(
        self,
        histories: Ratings,
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        """The predicted rating of each (user, item) pair."""
        ...

    def predict_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The predicted ratings of all items by each of the users."""
        ...

    def item_vectors(self) -> Float32[np.ndarray, "items width"] | None:
        """A vector for each item, alike for items that the same users like; None if the model has none."""
        ...


@runtime_checkable
class InBlocks(Protocol):
    """A `Model` that has a cheaper way to all items of many users than `predict_all` block by block."""

    def predict_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """The rows of `predict_all`, `size` users at a time, the last time fewer; the caller may change them.

        What it takes in memory does not depend on the number of users.
        """
        ...


@runtime_checkable
class InTime(Protocol):
    """A `Model` whose predictions change with time; its other methods predict for the latest in training."""

    def predict_at(
        self,
        histories: Ratings,
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
        times: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        """The predicted rating of each (user, item) pair at a time, in Unix seconds."""
        ...


def predict_pairs(
    model: Model,
    histories: Ratings,
    users: Int64[np.ndarray, " pairs"],
    items: Int64[np.ndarray, " pairs"],
    times: Int64[np.ndarray, " pairs"] | None,
) -> Float64[np.ndarray, " pairs"]:
    """The predicted rating of each pair: at its time, if times are known and the model cares for them.

    Args:
        model: predicts.
        histories: as `Model` wants them.
        users: positions in `histories`.
        items: positions in the model's items.
        times: Unix seconds of each pair, or None.
    """
    if times is not None and isinstance(model, InTime):
        return model.predict_at(histories, users, items, times)
    return model.predict(histories, users, items)


def predict_blocks(
    model: Model, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
) -> Iterator[Float32[Tensor, "block items"]]:
    """The predicted ratings of all items by each of the users, `size` users at a time.

    Args:
        model: predicts.
        histories: as `Model` wants them.
        users: positions in `histories`.
        size: users a block, at least 1.
    """
    if isinstance(model, InBlocks):
        return model.predict_blocks(histories, users, size)
    starts = range(0, len(users), size)
    return (torch.from_numpy(model.predict_all(histories, users[at : at + size])) for at in starts)
