"""How noisy the ratings of each item are: intervals are wider there, and codes may listen less to them.

Some items divide people, or are rated by mistake. If the noise of an item's ratings has the variance σ² τ²,
then so much is unsure of the next one, too, whatever is known of its user; and what somebody thinks of that
item says less of the person than another rating does: in a regression it counts w = 1 / τ² (weighted least
squares; Aitken 1935). The leave-one-out errors e_j of an item's ratings j tell: their squares are
σ² (τ² + h_j) on average, where the code is known up to h_j = xᵀA⁻¹x. Damped towards the mean of all,

    τ_i² = ( Σ_j e_j² / (1 + h_j) / σ² + 20 ) / ( n_i + 20 ),    σ² the mean of e_j² / (1 + h_j).
"""

import copy

import numpy as np
import torch
from jaxtyping import Float64

from refeed.models.ridge.held_out import held_out_rmse
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["noise_of_items", "set_noise"]

_DAMPING = 20.0  # ratings
_MOST = 5_000_000  # ratings whose errors are asked for, about


def set_noise(
    model: RidgeAutoencoder, train: Ratings, held_out: Aligned | None, *, seed: int = 0
) -> str | None:
    """Set τ² of a trained model; and w to 1 / τ² if that lowers the validation RMSE.

    By however little: where noise differs, weights are what theory asks for, and few validation ratings would
    hardly tell their gain from chance.

    Args:
        model: trained; its τ² and w are 1.
        train: the training ratings.
        held_out: the validation ratings; without them nothing is set, as intervals are calibrated already.
        seed: of the draw of users whose errors are asked for, where there are many.

    Returns:
        What came out, for people; None without validation ratings.
    """
    if held_out is None:
        return None
    noise = torch.from_numpy(noise_of_items(model, train, seed=seed))
    model.rating_noise.copy_(noise)
    weighed = copy.deepcopy(model)
    weighed.rating_weights.copy_(1 / noise)
    after, before = (
        held_out_rmse(each.predict(train, held_out.users, held_out.items), train, held_out)
        for each in (weighed, model)
    )
    if after < before:
        model.rating_weights.copy_(weighed.rating_weights)
    return f"ratings weighed by their items' noise: validation RMSE {after - before:+.4f}, " + (
        "kept" if after < before else "left out"
    )


def noise_of_items(
    model: RidgeAutoencoder, train: Ratings, *, seed: int = 0
) -> Float64[np.ndarray, " items"]:
    """τ² of each item; 1 of those without ratings.

    Args:
        model: trained.
        train: the training ratings.
        seed: of the draw of users whose errors are asked for, where there are many.
    """
    if len(train) > _MOST:
        chosen = np.random.default_rng(seed).random(train.n_users) < _MOST / len(train)
        train = train.select(np.repeat(chosen, train.user_counts))
    sums = np.zeros(train.n_items)
    for some in model.leave_one_out(train):
        squares = np.square(some.errors) / (1 + some.leverages)
        sums += np.bincount(train.items[some.at], weights=squares, minlength=train.n_items)
    mean = sums.sum() / max(len(train), 1)
    if not mean > 0:
        return np.ones(train.n_items)
    noise: Float64[np.ndarray, " items"] = (sums / mean + _DAMPING) / (train.item_counts + _DAMPING)
    return noise
