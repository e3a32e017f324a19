"""How much a trained model's codes trust the ratings, chosen on validation.

While training, ratings are hidden and vectors noisy; what is learned then of how far to trust rare items (a)
and how far to follow ratings at all (λ against x) need not be best without that. So both are tried weaker and
stronger once the training is over: nothing is trained anew, and each try costs a prediction of the validation
ratings.

λ stays the config's: λ → g λ is the same model as

    x → x / √g,    Y → √g Y,    a → a / g,    s → s / √g

since A / g and √g z are then what A and z were, and xᵀ z and xᵀ A⁻¹ x stay what they are.
"""

import copy
import math

import numpy as np
import torch

from refeed.evaluation.significance import Estimate, paired
from refeed.models.ridge.held_out import held_out_errors
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["scale_priors", "temper"]

_DOUBT = (0.25, 1.0, 2.5)  # factors of a that are tried
_SHRINKAGE = (1.0, 1.4)  # of λ


def temper(model: RidgeAutoencoder, train: Ratings, held_out: Aligned | None, *, seed: int = 0) -> str | None:
    """Change a and λ of a trained model to those with the lowest validation RMSE, if it falls enough.

    Enough is a standard error of the difference, over draws of users (`evaluation/significance.py`): what was
    learned under noise has hardly a better claim than what is tried.

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
    tried = [(doubt, shrinkage) for doubt in _DOUBT for shrinkage in _SHRINKAGE]
    predicted = [_scaled(model, *factors).predict(train, held_out.users, held_out.items) for factors in tried]
    errors = [held_out_errors(of_factors, train, held_out) for of_factors in predicted]
    before = errors[tried.index((1.0, 1.0))]
    differences = [rmse for rmse, _ in paired(errors, [before] * len(tried), seed=seed)]
    best = int(np.argmin([difference.value for difference in differences]))
    (doubt, shrinkage), gained = tried[best], differences[best]
    if (doubt, shrinkage) == (1.0, 1.0):
        return None
    enough = gained.value <= -_standard_error(gained)
    if enough:
        scale_priors(model, doubt=doubt, shrinkage=shrinkage)
    return f"a × {doubt:g}, λ × {shrinkage:g}: validation RMSE {gained.value:+.4f}, " + (
        "kept" if enough else "less than a standard error: left out"
    )


@torch.no_grad()
def scale_priors(model: RidgeAutoencoder, *, doubt: float, shrinkage: float) -> None:
    """Multiply a and λ of a model, the latter by scaling all else against it.

    Args:
        model: is changed.
        doubt: factor of a.
        shrinkage: factor of λ.
    """
    root = math.sqrt(shrinkage)
    model.vectors.div_(root)
    model.scale.div_(root)
    model.implicit.mul_(root)
    model.doubt.mul_(doubt / shrinkage)


def _standard_error(difference: Estimate) -> float:
    if difference.low is None or difference.high is None:
        return math.inf
    return (difference.high - difference.low) / (2 * 1.96)


def _scaled(model: RidgeAutoencoder, doubt: float, shrinkage: float) -> RidgeAutoencoder:
    scaled = copy.deepcopy(model)
    scale_priors(scaled, doubt=doubt, shrinkage=shrinkage)
    return scaled
