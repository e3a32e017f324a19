"""A model folder as the server holds it, whatever computes its predictions."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32

from refeed.model_items import Items
from refeed.ratings.store import DataKind, Ratings
from refeed.serve.passes import Pass
from refeed.serve.taken import Lists

__all__ = ["Loaded"]


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model and what belongs to it.

    Args:
        kind: of the model that predicts ratings.
        learned_from: whether the training had ratings or interactions.
        items: its items, by position.
        scale: the lowest and the highest training rating.
        histories: the training ratings, by which known users are known; None if they have been removed.
        fold: the forward pass.
        lists: who takes what up; None: lists go by the predicted rating alone.
        vectors: of the items, when asked; None of it: the model has none.
    """

    kind: str
    learned_from: DataKind
    items: Items
    scale: tuple[float, float]
    histories: Ratings | None
    fold: Pass
    lists: Lists | None
    vectors: Callable[[], Float32[np.ndarray, "items width"] | None]
