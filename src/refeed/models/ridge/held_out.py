"""Errors on validation ratings, by user: what versions of a trained model are compared by."""

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from refeed.evaluation.metrics import UserErrors, clipped, user_errors
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["held_out_errors"]


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
