"""Errors of predicted ratings, pooled over all ratings as in the paper (section 3.1: √(SSE / count))."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from refeed.errors import DataError

__all__ = ["UserErrors", "clipped", "mae", "rmse", "user_errors"]


def rmse(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """The root of the mean squared error, in float64.

    Raises:
        DataError: there is no rating.
    """
    return float(np.sqrt(np.mean(_errors(predicted, actual) ** 2)))


def mae(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> float:
    """The mean absolute error, in float64.

    Raises:
        DataError: there is no rating.
    """
    return float(np.mean(np.abs(_errors(predicted, actual))))


def clipped(predicted: NDArray[np.floating], scale: tuple[float, float]) -> Float64[np.ndarray, " pairs"]:
    """Predictions moved to the nearest end of the rating scale (lowest, highest) where they lie outside."""
    inside: Float64[np.ndarray, " pairs"] = np.clip(predicted.astype(np.float64), *scale)
    return inside


@dataclass(frozen=True, eq=False)
class UserErrors:
    """Each user's share of the pooled errors: what an interval over users needs, and no more.

    Args:
        counts: ratings of each user.
        squared: sum of squared errors of each user.
        absolute: sum of absolute errors of each user.
    """

    counts: Float64[np.ndarray, " users"]
    squared: Float64[np.ndarray, " users"]
    absolute: Float64[np.ndarray, " users"]


def user_errors(
    users: Int64[np.ndarray, " pairs"],
    predicted: NDArray[np.floating],
    actual: NDArray[np.floating],
    *,
    n_users: int,
) -> UserErrors:
    """Sum the errors by user, in float64; `users` are numbers below `n_users`."""
    errors = _errors(predicted, actual)
    return UserErrors(
        counts=np.bincount(users, minlength=n_users).astype(np.float64),
        squared=np.bincount(users, weights=errors**2, minlength=n_users),
        absolute=np.bincount(users, weights=np.abs(errors), minlength=n_users),
    )


def _errors(predicted: NDArray[np.floating], actual: NDArray[np.floating]) -> Float64[np.ndarray, " pairs"]:
    if not len(actual):
        raise DataError("an error over no ratings at all is not defined; give at least one held-out rating")
    errors: Float64[np.ndarray, " pairs"] = predicted.astype(np.float64) - actual.astype(np.float64)
    return errors
