"""How much a blend listens to its network."""

import numpy as np
from jaxtyping import Float64, Int64

from refeed.evaluation.metrics import clipped, rmse
from refeed.models.blend.model import Blend, thinness
from refeed.models.interface import Model
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["least_squares", "weigh", "will_weigh_nothing"]

_SURE = 2.0  # standard errors
_PEOPLE = 30  # whose validation ratings tell whether people of few ratings differ


def weigh(blend: Blend, train: Ratings, held_out: Aligned) -> str:
    """Set a and b to the least squares on validation; b stays 0 where it may be chance.

    Beyond chance: two standard errors, with the errors of a person taken together, of 30 people at least.

    Args:
        blend: both its parts are trained.
        train: the training ratings.
        held_out: the validation ratings.

    Returns:
        What came out, for people.
    """
    ridge = blend.ridge.predict(train, held_out.users, held_out.items)
    apart = blend.network.predict(train, held_out.users, held_out.items) - ridge
    errors, counts = held_out.values - ridge, train.user_counts[held_out.users]
    (weight,), _ = least_squares(apart[:, None], errors)
    if_thin = 0.0
    # A standard error over people is one only if they are some, and of histories that differ.
    if len(np.unique(held_out.users)) >= _PEOPLE and np.ptp(counts):
        columns = np.column_stack([apart, apart * thinness(counts)])
        both, deviations = least_squares(columns, errors, held_out.users)
        if abs(both[1]) > _SURE * deviations[1]:
            weight, if_thin = both
    blend.weight.fill_(float(weight if if_thin else np.clip(weight, 0, 1)))
    blend.weight_if_thin.fill_(float(if_thin))
    error = rmse(clipped(ridge + blend.weights(counts) * apart, train.scale), held_out.values)
    said = f"the network's weight in the blend: {float(blend.weights(counts).mean()):.2f}"
    if if_thin:
        few, many = blend.weights(np.quantile(train.user_counts, (0.1, 0.9)).astype(np.int64))
        said += f", {few:.2f} for people of few ratings and {many:.2f} for people of many"
    return f"{said}; validation RMSE {error:.4f}"


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
    (least,), (error,) = least_squares(apart[:, None], held_out.values - of_ridge)
    return bool(least + _SURE * error < 0)


def least_squares(
    columns: Float64[np.ndarray, "pairs columns"],
    errors: Float64[np.ndarray, " pairs"],
    groups: Int64[np.ndarray, " pairs"] | None = None,
) -> tuple[Float64[np.ndarray, " columns"], Float64[np.ndarray, " columns"]]:
    """The w that make errors − columns · w least, and their standard errors.

    These hold whatever the variances (White 1980), and with groups whatever the correlations within each of
    them (Liang & Zeger 1986).

    Args:
        columns: what is weighed: here the network's prediction less the ridge's.
        errors: here of the ridge.
        groups: which of them belong together; None: none.
    """
    inverse = np.linalg.pinv(columns.T @ columns)
    least = inverse @ (columns.T @ errors)
    left = columns * (errors - columns @ least)[:, None]
    if groups is not None:
        _, owners = np.unique(groups, return_inverse=True)
        left = np.column_stack([np.bincount(owners, weights=column) for column in left.T])
    return least, np.sqrt(np.diag(inverse @ (left.T @ left) @ inverse))
