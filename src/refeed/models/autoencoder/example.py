"""What one training step learns from: the ratings of some users, some of them hidden from the input."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from refeed import kernels
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.sparse import Batch
from refeed.ratings.store import Ratings

__all__ = ["Example", "corrupted", "whole"]


@dataclass(frozen=True)
class Example:
    """A batch of users.

    Args:
        inputs: what the network sees.
        targets: what it is to predict.
        weights: of each target's squared error; None: 1.
    """

    inputs: Batch
    targets: Batch
    weights: Float[Tensor, " pairs"] | None = None

    def prepare(self) -> None:
        """Sort the pairs by item now, off the training's own thread, where a kernel does it."""
        for batch in (self.inputs, self.targets):
            if kernels.serves(batch.values):
                _ = batch.by_item


def whole(model: Autoencoder, rows: Ratings, users: Int64[np.ndarray, " users"]) -> Example:
    """The users' ratings as input and target (the paper)."""
    batch, _ = model.batch(rows, users)
    return Example(batch, batch)


def corrupted(
    model: Autoencoder,
    rows: Ratings,
    users: Int64[np.ndarray, " users"],
    kept: Bool[np.ndarray, " ratings"],
    kept_weight: float,
) -> Example:
    """A denoising autoencoder's example (the loss of Strub & Mary 2015).

    The network sees the ratings that are kept, and predicts all: those that it does not see with weight 1,
    the others with `kept_weight`. The user's bias, too, comes from what is kept alone.
    """
    indptr, items, values = rows.rows(users)
    owners = np.repeat(np.arange(len(users)), np.diff(indptr))
    counts = np.bincount(owners[kept], minlength=len(users))
    kept_indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    levels = model.levels(kept_indptr, items[kept], values[kept])
    residuals = values - levels.at(owners, items)
    inputs = model.pairs(kept_indptr, items[kept], residuals[kept])
    targets = model.pairs(indptr, items, residuals)
    weights = targets.values.new_tensor(np.where(kept, kept_weight, 1.0))
    return Example(inputs, targets, weights)
