"""How much a blend listens to its network."""

import numpy as np

from refeed.evaluation.metrics import clipped, rmse
from refeed.models.blend.model import Blend
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["weigh"]


def weigh(blend: Blend, train: Ratings, held_out: Aligned) -> str:
    """Set w to the least squares on validation, kept within [0, 1].

    With the ridge's errors e and the network's prediction less the ridge's, d, it is Σ d e / Σ d².

    Args:
        blend: both its parts are trained.
        train: the training ratings.
        held_out: the validation ratings.

    Returns:
        What came out, for people.
    """
    ridge = blend.ridge.predict(train, held_out.users, held_out.items)
    apart = blend.network.predict(train, held_out.users, held_out.items) - ridge
    least = float(apart @ (held_out.values - ridge)) / max(float(apart @ apart), 1e-30)
    weight = float(np.clip(least, 0, 1))
    blend.weight.fill_(weight)
    error = rmse(clipped(ridge + weight * apart, train.scale), held_out.values)
    return f"the network's weight in the blend: {weight:.2f}, validation RMSE {error:.4f}"
