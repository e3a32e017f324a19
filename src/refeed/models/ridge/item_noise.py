"""How noisy the ratings of each item are, so that codes listen less to those that say little.

Some items divide people, or are rated by mistake; what somebody thinks of them says less of that person than
another rating does. In a regression whose values have noise of the variances σ² / w_j each counts w_j
(weighted least squares; Aitken 1935). What an item's noise is its leave-one-out errors e_j tell: their
squares are (σ² / w) (1 + h_j) on average, where the code is known up to h_j = xᵀA⁻¹x. It is damped towards
that of all:

    1 / w_i = ( Σ_j e_j² / (1 + h_j) / σ² + 20 ) / ( n_i + 20 ),    σ² the mean of e_j² / (1 + h_j),

with sums over the item's ratings j. Validation says whether it helps.
"""

import copy

import numpy as np
import torch
from jaxtyping import Float64

from refeed.evaluation.significance import paired
from refeed.models.ridge.held_out import held_out_errors, standard_error
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["rating_weights", "weigh_items"]

_DAMPING = 20.0  # ratings
_MOST = 5_000_000  # ratings whose errors are asked for, about


def weigh_items(
    model: RidgeAutoencoder, train: Ratings, held_out: Aligned | None, *, seed: int = 0
) -> str | None:
    """Set w of a trained model, if the validation RMSE falls by a standard error over draws of users.

    Args:
        model: trained; its w is 1.
        train: the training ratings.
        held_out: the validation ratings.
        seed: of the draws of users that say what is chance, and of those whose errors are asked for.

    Returns:
        What came out, for people; None without validation ratings.
    """
    if held_out is None:
        return None
    weighed = copy.deepcopy(model)
    weighed.rating_weights.copy_(torch.from_numpy(rating_weights(model, train, seed=seed)))
    errors = [
        held_out_errors(each.predict(train, held_out.users, held_out.items), train, held_out)
        for each in (weighed, model)
    ]
    ((gained, _),) = paired(errors[:1], errors[1:], seed=seed)
    enough = gained.value <= -standard_error(gained)
    if enough:
        model.rating_weights.copy_(weighed.rating_weights)
    return f"ratings weighed by their items' noise: validation RMSE {gained.value:+.4f}, " + (
        "kept" if enough else "less than a standard error: left out"
    )


def rating_weights(
    model: RidgeAutoencoder, train: Ratings, *, seed: int = 0
) -> Float64[np.ndarray, " items"]:
    """What a rating of each item counts, w; 1 of those without ratings.

    Args:
        model: trained.
        train: the training ratings.
        seed: of the draw of users whose errors are asked for, where there are many.
    """
    if len(train) > _MOST:
        chosen = np.random.default_rng(seed).random(train.n_users) < _MOST / len(train)
        train = train.select(np.repeat(chosen, train.user_counts))
    errors, leverages = model.leave_one_out(train)
    squares = np.square(errors) / (1 + leverages)
    noise = squares.mean() if len(squares) else 0.0
    if not noise > 0:
        return np.ones(train.n_items)
    sums = np.bincount(train.items, weights=squares / noise, minlength=train.n_items)
    weights: Float64[np.ndarray, " items"] = (train.item_counts + _DAMPING) / (sums + _DAMPING)
    return weights
