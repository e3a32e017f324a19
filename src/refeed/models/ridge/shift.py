"""The level of all predictions, moved to where the validation ratings have it.

People who rate later, or other things than they would choose, may give higher or lower ratings all over: a
mean error that no model of the training ratings can know. With the errors e of the validation ratings, ē
their mean and σ its standard error over users (whose ratings go up and down together),

    shift = ē · max(1 − σ²/ē², 0),    if |ē| > 1.96 σ, and 0 otherwise

which is the positive-part James–Stein estimate of a mean that chance has moved (James & Stein 1961).
"""

import numpy as np

from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["shift_level"]

_SURE = 1.96  # standard errors: the two-sided 5 % of chance


def shift_level(model: RidgeAutoencoder, train: Ratings, held_out: Aligned | None) -> str | None:
    """Move every prediction of a trained model by the same amount, if validation asks for it beyond chance.

    Args:
        model: trained; its drift is set already.
        train: the training ratings.
        held_out: the validation ratings.

    Returns:
        What came out, for people; None without validation ratings.
    """
    if held_out is None:
        return None
    errors = held_out.values - model.predict(train, held_out.users, held_out.items)
    mean, deviation = _mean_over_users(held_out.users, errors)
    if not abs(mean) > _SURE * deviation:
        return f"mean validation error {mean:+.4f}, which may be chance: left as it is"
    shift = mean * (1 - (deviation / mean) ** 2)
    model.drift.add_(shift / float(model.deviation))
    return f"mean validation error {mean:+.4f}, more than chance: all predictions moved by {shift:+.4f}"


def _mean_over_users(users: np.ndarray, errors: np.ndarray) -> tuple[float, float]:
    """The mean error, and its standard error with the errors of a user taken together."""
    _, owners = np.unique(users, return_inverse=True)
    mean = float(errors.mean())
    of_users = np.bincount(owners, weights=errors - mean)
    if len(of_users) < 2:
        return mean, float("inf")
    spread = float(np.square(of_users).sum()) * len(of_users) / (len(of_users) - 1)
    return mean, float(np.sqrt(spread)) / len(errors)
