"""How likely somebody is to like an item, from the predictive distribution of their rating.

    P(liked) = P(rating > boundary) = 1 − F((boundary − r̂) / σ)

with the predicted rating r̂, the model's predictive standard deviation σ (`intervals.py`; 1 if it has none),
and F from the quantiles of (rating − r̂) / σ on ratings that the model has not seen. The boundary lies
half-way between the lowest rating that counts as liked and the next lower one.
"""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from refeed.models.interface import Model
from refeed.models.intervals import Uncertain, quantiles
from refeed.models.liking import Liking, liked_boundary, liked_threshold, table_of
from refeed.ratings.pairs import align_to
from refeed.ratings.store import Ratings

__all__ = ["fit_liking", "probability_liked"]

_ENOUGH = 20_000


def fit_liking(
    model: Model,
    train: Ratings,
    valid: Ratings | None = None,
    *,
    liked: float | None = None,
    seed: int = 0,
) -> Liking:
    """Take the quantiles that the model has, or find some on the validation ratings.

    Args:
        model: predicts ratings.
        train: its training ratings.
        valid: ratings that it has not seen; without them, and without quantiles in the model, errors are
            taken on some training ratings, which makes them look surer than they are.
        liked: the lowest rating that counts as liked; None: that of the upper 40 %.
        seed: of the choice among very many ratings.

    Raises:
        ConfigError: no rating is as high as `liked`.
    """
    values = np.asarray(train.values)
    liked = liked_threshold(values) if liked is None else liked
    boundary = liked_boundary(values, liked)
    if isinstance(model, Uncertain) and bool(model.quantiles.any()):
        return Liking(liked, boundary, model.quantiles.cpu().double().numpy())
    users, items, ratings = _unseen(train, valid, seed)
    errors = ratings - model.predict(train, users, items)
    return Liking(liked, boundary, quantiles(errors, np.ones(len(errors))))


def probability_liked(
    liking: Liking,
    predictions: Float[Tensor, "*shape"],
    predictive_std: Float[Tensor, "*shape"] | None = None,
) -> Float[Tensor, "*shape"]:
    """P(liked), 0.0025 to 0.9975: further out the quantiles don't reach.

    Args:
        liking: the boundary and the quantiles.
        predictions: r̂, not clipped.
        predictive_std: σ of each; None: 1.
    """
    distance = liking.boundary - predictions
    if predictive_std is not None:
        distance = distance / predictive_std
    table = table_of(liking)
    at = (distance - table.start).div_(table.step).add_(1).clamp_(0, len(table.value) - 1)
    cell = at.nan_to_num(0).to(torch.int32)
    value, slope = (torch.from_numpy(each).to(at) for each in (table.value, table.slope))
    return slope[cell].mul_(at.sub_(cell)).add_(value[cell])


def _unseen(
    train: Ratings, valid: Ratings | None, seed: int
) -> tuple[Int64[np.ndarray, " some"], Int64[np.ndarray, " some"], Float64[np.ndarray, " some"]]:
    """Some pairs and their ratings: of validation, or if there are none, of training."""
    if valid is not None and len(held := align_to(valid, train)):
        some = np.random.default_rng(seed).permutation(len(held))[:_ENOUGH]
        return held.users[some], held.items[some], held.values[some].astype(np.float64)
    some = np.random.default_rng(seed).permutation(len(train))[:_ENOUGH]
    return train.users[some], train.items[some].astype(np.int64), train.values[some].astype(np.float64)
