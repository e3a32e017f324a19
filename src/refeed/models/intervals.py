"""Prediction intervals: how far ratings lie from their predictions, in units of what isn't known of the user.

A rating's variance around its prediction is σ² (τ² + xᵀA⁻¹x), the predictive variance of ridge regression
where the item's ratings have noise of variance σ² τ². So errors are divided by the predictive standard
deviation √(τ² + xᵀA⁻¹x), and the quantiles of the quotients, on ratings that the model has not seen, say how
wide an interval must be (as in conformal prediction; Lei et al. 2018). They need not be symmetric.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from refeed.models.interface import Model
from refeed.models.quantiles import LEVELS, interval_ends, quantiles
from refeed.ratings.store import Ratings

__all__ = ["LEVELS", "Uncertain", "interval", "quantiles"]


@runtime_checkable
class Uncertain(Model, Protocol):
    """A `Model` that knows how sure it is.

    Attributes:
        quantiles: of (rating − prediction) / spread, at `LEVELS`; float64.
    """

    quantiles: Tensor

    def predictive_std(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """√(τ² + xᵀA⁻¹x) of each pair: τ, about 1, for somebody of whom everything is known."""
        ...

    def predictive_std_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The same of all items for each of the users."""
        ...

    def item_noise(self) -> Float32[np.ndarray, " items"]:
        """τ² of each item: predictive_std² less that is what isn't known of the user."""
        ...


def interval(
    model: Uncertain,
    predictions: Float64[np.ndarray, " pairs"],
    predictive_std: Float64[np.ndarray, " pairs"],
    coverage: float,
) -> tuple[Float64[np.ndarray, " pairs"], Float64[np.ndarray, " pairs"]]:
    """Where a share of the ratings will lie: the lower and the upper ends, not clipped.

    Args:
        model: knows its quantiles.
        predictions: not clipped.
        predictive_std: of the same pairs.
        coverage: the share, from 0.01 to 0.99; as much is left out below as above.

    Raises:
        ConfigError: another coverage.
    """
    low, high = interval_ends(model.quantiles.cpu().numpy(), coverage)
    return predictions + low * predictive_std, predictions + high * predictive_std
