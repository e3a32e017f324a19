"""How much a blend listens to its network."""

import numpy as np
from jaxtyping import Float64

from refeed.evaluation.metrics import clipped, rmse
from refeed.models.blend.model import Blend
from refeed.models.interface import Model
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["least_squares", "weigh", "will_weigh_nothing"]

_SURE = 2.0  # standard errors


def weigh(blend: Blend, train: Ratings, held_out: Aligned) -> str:
    """Set w to the least squares on validation, kept within [0, 1].

    Args:
        blend: both its parts are trained.
        train: the training ratings.
        held_out: the validation ratings.

    Returns:
        What came out, for people.
    """
    ridge = blend.ridge.predict(train, held_out.users, held_out.items)
    apart = blend.network.predict(train, held_out.users, held_out.items) - ridge
    least, _ = least_squares(apart, held_out.values - ridge)
    weight = float(np.clip(least, 0, 1))
    blend.weight.fill_(weight)
    error = rmse(clipped(ridge + weight * apart, train.scale), held_out.values)
    return f"the network's weight in the blend: {weight:.2f}, validation RMSE {error:.4f}"


def will_weigh_nothing(ridge: Model, network: Model, train: Ratings, held_out: Aligned) -> bool:
    """Whether w would be below 0 beyond chance, so that more training would hardly lift it above.

    Args:
        ridge: trained.
        network: as it stands.
        train: the training ratings.
        held_out: the validation ratings.
    """
    of_ridge = ridge.predict(train, held_out.users, held_out.items)
    apart = network.predict(train, held_out.users, held_out.items) - of_ridge
    least, error = least_squares(apart, held_out.values - of_ridge)
    return least + _SURE * error < 0


def least_squares(
    apart: Float64[np.ndarray, " pairs"], errors: Float64[np.ndarray, " pairs"]
) -> tuple[float, float]:
    """Σ d e / Σ d², which makes e − w d least; and its standard error, whatever the variances (White 1980).

    Args:
        apart: d, the network's prediction less the ridge's.
        errors: e, of the ridge.
    """
    squares = max(float(apart @ apart), 1e-30)
    least = float(apart @ errors) / squares
    left = apart * (errors - least * apart)
    return least, float(np.sqrt(left @ left)) / squares
