"""What "liked" means and how likely that is, on numpy alone, for every runtime (see `liked.py`)."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refeed.errors import ConfigError
from refeed.models.quantiles import LEVELS

__all__ = ["Liking", "liked_boundary", "liking_at", "share_above"]


@dataclass(frozen=True, eq=False)
class Liking:
    """What "liked" means, and how far ratings lie from their predictions.

    Args:
        liked: the lowest rating that counts as liked.
        boundary: half-way to the next lower rating.
        quantiles: of (rating − prediction) / spread at `LEVELS`, [levels].
    """

    liked: float
    boundary: float
    quantiles: NDArray[np.float64]


def liked_boundary(values: NDArray[np.floating], liked: float) -> float:
    """Half-way between `liked` and the next lower rating that occurs; −∞ if there is none.

    Raises:
        ConfigError: no rating is as high as that.
    """
    if not bool((values >= liked).any()):
        raise ConfigError(
            f"liked = {liked:g}: no training rating is as high; the highest is {float(values.max()):g}"
        )
    lower = values[values < liked]
    lowest = float(values[values >= liked].min())
    return (lowest + float(lower.max())) / 2 if len(lower) else -np.inf


def liking_at(liking: Liking, values: NDArray[np.float64], liked: Any) -> Liking:
    """The same for another threshold of what is liked.

    Args:
        liking: what the model was trained with.
        values: the distinct training ratings.
        liked: the lowest rating that counts as liked; None: as it is.

    Raises:
        ConfigError: no rating is as high, or it is no number.
    """
    if liked is None:
        return liking
    if isinstance(liked, bool) or not isinstance(liked, int | float | np.number) or not np.isfinite(liked):
        raise ConfigError(f"liked = {liked!r}: give the lowest rating that counts as liked, a number")
    return Liking(float(liked), liked_boundary(values, float(liked)), liking.quantiles)


def share_above(liking: Liking, predictions: NDArray[np.floating], spread: Any) -> NDArray[np.float64]:
    """P(liked) = 1 − F((boundary − r̂) / spread), 0.0025 to 0.9975: further out the quantiles don't reach.

    Args:
        liking: the boundary and the quantiles.
        predictions: r̂, not clipped.
        spread: of each, or of all.
    """
    distances = (liking.boundary - predictions.astype(np.float64)) / spread
    ends = {"left": LEVELS[0] / 2, "right": 1 - LEVELS[0] / 2}
    shares: NDArray[np.float64] = 1 - np.interp(distances, liking.quantiles, LEVELS, **ends)
    return shares
