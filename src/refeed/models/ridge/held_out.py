"""Errors on validation ratings, by user: what versions of a trained model are compared by."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from refeed.evaluation.metrics import UserErrors, clipped, rmse, user_errors
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["held_out_errors", "held_out_rmse", "some_of"]

_MOST = 20_000  # users, whose ratings tell versions apart to a ten-thousandth; each try costs their codes


def some_of(held_out: Aligned, seed: int) -> Aligned:
    """The validation ratings of some of the users, where there are many.

    Args:
        held_out: the validation ratings.
        seed: of the draw.
    """
    users = np.unique(held_out.users)
    if len(users) <= _MOST:
        return held_out
    chosen = np.random.default_rng(seed).choice(users, _MOST, replace=False)
    some = np.isin(held_out.users, chosen)
    return replace(
        held_out,
        users=held_out.users[some],
        items=held_out.items[some],
        rows=held_out.rows[some],
        values=held_out.values[some],
        times=None if held_out.times is None else held_out.times[some],
    )


def held_out_errors(predicted: NDArray[np.floating], train: Ratings, held_out: Aligned) -> UserErrors:
    """The errors of the users who have validation ratings, predictions clipped to the scale.

    Args:
        predicted: of the validation ratings, in units of ratings.
        train: the training ratings, whose scale counts.
        held_out: the validation ratings.
    """
    users: Int64[np.ndarray, " pairs"]
    _, users = np.unique(held_out.users, return_inverse=True)
    return user_errors(users, clipped(predicted, train.scale), held_out.values, n_users=int(users.max()) + 1)


def held_out_rmse(predicted: NDArray[np.floating], train: Ratings, held_out: Aligned) -> float:
    """The RMSE of all of them, predictions clipped to the scale (arguments as of `held_out_errors`)."""
    return rmse(clipped(predicted, train.scale), held_out.values)
