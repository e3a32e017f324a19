"""What is taken off the ratings before the network sees them and put back on its outputs."""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from refeed.models.biases import Biases

__all__ = ["BiasOffsets", "NoOffsets", "Offsets"]


@runtime_checkable
class Offsets(Protocol):
    """The levels of some users' ratings; user positions count within these users."""

    def at(
        self, users: Int64[np.ndarray, " pairs"], items: NDArray[np.integer]
    ) -> Float64[np.ndarray, " pairs"] | float:
        """The level of each pair."""
        ...

    def parts(self) -> tuple[Float64[np.ndarray, " users"], Float64[np.ndarray, " items"]] | None:
        """What users and what items add to the levels; None if nothing is taken off."""
        ...


class NoOffsets:
    """Raw ratings in, raw ratings out (the paper)."""

    def at(self, _users: Int64[np.ndarray, " pairs"], _items: NDArray[np.integer]) -> float:
        """0."""
        return 0.0

    def parts(self) -> None:
        """None."""


class BiasOffsets:
    """Mean + user bias + item bias; a user's bias follows from the history.

    Args:
        biases: the mean and the items' biases.
        of_users: the users' biases.
    """

    def __init__(self, biases: Biases, of_users: Float64[np.ndarray, " users"]) -> None:
        self._biases = biases
        self._of_users = of_users

    def at(
        self, users: Int64[np.ndarray, " pairs"], items: NDArray[np.integer]
    ) -> Float64[np.ndarray, " pairs"]:
        """μ + b_u + b_i of each pair."""
        return self._biases.predict(self._of_users, users, items.astype(np.int64, copy=False))

    def parts(self) -> tuple[Float64[np.ndarray, " users"], Float64[np.ndarray, " items"]]:
        """b_u and μ + b_i."""
        return self._of_users, self._biases.mean + self._biases.items
