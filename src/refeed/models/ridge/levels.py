"""The levels of users and items, without vectors: where a ridge autoencoder starts, and what it must beat.

With V = Y = 0 a ridge autoencoder is the model of damped biases, exactly: its code is the user's bias over s,
shrunk by λ / s² ratings. So the tuned biases are one setting of it, with intervals and explanations like any
other.
"""

import numpy as np
import torch
from jaxtyping import Float64

from refeed.evaluation.significance import paired
from refeed.models.biases import Biases
from refeed.models.ridge.held_out import held_out_errors
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.models.variances import variances_of
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["hold_to_biases", "levels_of"]


def levels_of(train: Ratings, shrinkage: float) -> tuple[Float64[np.ndarray, " items"], float]:
    """The items' levels b, in units of ratings, and s, with the variances that moments tell.

    Args:
        train: the training ratings.
        shrinkage: λ.
    """
    variances = variances_of(train)
    biases = Biases.fit(train, user_damping=variances.user_damping, item_damping=variances.item_damping)
    return biases.items, _scale(shrinkage, variances.user_damping)


@torch.no_grad()
def hold_to_biases(
    model: RidgeAutoencoder, train: Ratings, held_out: Aligned | None, *, seed: int = 0
) -> str | None:
    """Compare a trained model with damped biases, and make it these if they are better beyond chance.

    Their dampings are what the variances of the levels ask for. If they were chosen on the same validation
    ratings, the biases would win by that choice alone where these are few.

    Beyond chance: the 95 % interval of the difference between the validation RMSEs leaves out 0
    (`evaluation/significance.py`).

    Args:
        model: trained.
        train: the training ratings.
        held_out: the validation ratings.
        seed: of the draws of users that say what is chance.

    Returns:
        What came out, for people; None without validation ratings.
    """
    if held_out is None:
        return None
    variances = variances_of(train)
    biases = Biases.fit(train, user_damping=variances.user_damping, item_damping=variances.item_damping)
    of_users = biases.of_users(train.indptr, train.items, train.values)
    predicted = model.predict(train, held_out.users, held_out.items)
    ours = held_out_errors(predicted, train, held_out)
    predicted = biases.predict(of_users, held_out.users, held_out.items)
    theirs = held_out_errors(predicted, train, held_out)
    ((difference, _),) = paired([ours], [theirs], seed=seed)
    said = (
        f"validation RMSE {difference.value:+.4f} against biases damped by "
        f"{variances.user_damping:.2g} (users) and {variances.item_damping:.2g} (items)"
    )
    if difference.low is None or difference.low <= 0:
        return said
    _become(model, biases)
    return f"{said}, which is more than chance: the model is these biases"


def _become(model: RidgeAutoencoder, biases: Biases) -> None:
    for none in (model.vectors, model.implicit, model.drift, model.spacing):
        none.zero_()
    for one in (model.rating_weights, model.rating_noise):
        one.fill_(1)
    model.bias.copy_(torch.from_numpy(biases.items / float(model.deviation)))
    model.scale.fill_(_scale(model.config.shrinkage, biases.user_damping))


def _scale(shrinkage: float, user_damping: float) -> float:
    """s, with which the code's last coordinate shrinks a user's bias by so many ratings."""
    return float(np.sqrt(shrinkage / user_damping))
