"""The levels of users and items, without vectors: where a ridge autoencoder starts, and what it must beat.

With V = F = Y = 0 a ridge autoencoder is a linear mixed model of levels (`mixed_levels.py`): its code is the
user's bias over s, shrunk by λ / s² ratings. So that model, and with f = 0 damped biases, are settings of it,
with intervals and explanations like any other.
"""

import numpy as np
import torch

from refeed.config import RidgeConfig
from refeed.evaluation.significance import paired
from refeed.models.biases import Biases
from refeed.models.ridge.held_out import held_out_errors
from refeed.models.ridge.interaction_matrix import InteractionMatrix
from refeed.models.ridge.mixed_levels import Dampings, MixedLevels
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.models.variances import variances_of
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["hold_to_levels", "levels_of", "priors_of"]

_SHARED = 2.0  # how much of what raters say of levels their vectors say, too (benchmarks/RESULTS.md)


def priors_of(dampings: Dampings) -> tuple[float, float]:
    """The priors of b and f: beside a sum of squared errors the penalty is prior / 2 × b².

    That of f is twice as strong as in a model of levels alone, as vectors learn a part of what f says.
    """
    return 2 * dampings.items, 2 * _SHARED * dampings.raters


def levels_of(
    train: Ratings, model: RidgeConfig, interactions: InteractionMatrix | None = None
) -> tuple[MixedLevels, float]:
    """The levels, in units of ratings, by the priors of a config and the users' variance of moments; and s.

    Args:
        train: the training ratings.
        model: of resolved priors.
        interactions: who rated what in the training, where it is there already.
    """
    of_users = variances_of(train).user_damping
    of_raters = float(model.prior_user_bias) / (2 * _SHARED)
    dampings = Dampings(of_users, float(model.prior_bias) / 2, of_raters)
    return MixedLevels.fit(train, dampings, interactions), _scale(model.shrinkage, of_users)


@torch.no_grad()
def hold_to_levels(
    model: RidgeAutoencoder,
    train: Ratings,
    held_out: Aligned | None,
    mixed: MixedLevels,
    *,
    seed: int = 0,
) -> str | None:
    """Compare a trained model with levels alone, and make it these if they are better beyond chance.

    They are damped biases and the mixed model that the training started from, whichever is better on the
    validation ratings. The dampings are what the variances of the levels ask for. If they were chosen on the
    same validation ratings, the levels would win by that choice alone where these are few.

    Beyond chance: the 95 % interval of the difference between the validation RMSEs leaves out 0
    (`evaluation/significance.py`).

    Args:
        model: trained.
        train: the training ratings.
        held_out: the validation ratings.
        mixed: the levels that the training started from.
        seed: of the draws of users that say what is chance.

    Returns:
        What came out, for people; None without validation ratings.
    """
    if held_out is None:
        return None
    variances = variances_of(train)
    damped = Biases.fit(train, user_damping=variances.user_damping, item_damping=variances.item_damping)
    candidates = {
        "damped biases": damped,
        "levels with what raters say": Biases(mixed.mean, mixed.items + mixed.pooled, damped.user_damping),
    }
    predicted = model.predict(train, held_out.users, held_out.items)
    ours = held_out_errors(predicted, train, held_out)
    theirs = {}
    for name, levels in candidates.items():
        of_users = levels.of_users(train.indptr, train.items, train.values)
        predicted = levels.predict(of_users, held_out.users, held_out.items)
        theirs[name] = held_out_errors(predicted, train, held_out)
    differences = dict(
        zip(theirs, (rmse for rmse, _ in paired([ours] * 2, list(theirs.values()), seed=seed)), strict=True)
    )
    name = max(differences, key=lambda of: differences[of].value)
    said = f"validation RMSE {differences[name].value:+.4f} against {name}"
    low = differences[name].low
    if low is None or low <= 0:
        return said
    _become(model, candidates[name])
    return f"{said}, which is more than chance: the model is these"


def _become(model: RidgeAutoencoder, levels: Biases) -> None:
    for none in (model.vectors, model.implicit, model.drift, model.spacing):
        none.zero_()
    for one in (model.rating_weights, model.rating_noise):
        one.fill_(1)
    of_items = levels.items + levels.mean - float(model.mean)
    model.bias.copy_(torch.from_numpy(of_items / float(model.deviation)))
    model.scale.fill_(_scale(model.config.shrinkage, levels.user_damping))


def _scale(shrinkage: float, user_damping: float) -> float:
    """s, with which the code's last coordinate shrinks a user's bias by so many ratings."""
    return float(np.sqrt(shrinkage / user_damping))
