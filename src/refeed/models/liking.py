"""What "liked" means and how likely that is, on numpy alone, for every runtime (see `liked.py`)."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refeed.errors import ConfigError
from refeed.models.quantiles import LEVELS

__all__ = ["Liking", "Table", "liked_boundary", "liked_threshold", "liking_at", "share_above", "table_of"]

_CELLS = 1 << 14
_SHARE = 0.4


@dataclass(frozen=True, eq=False)
class Liking:
    """What "liked" means, and how far ratings lie from their predictions.

    Args:
        liked: the lowest rating that counts as liked.
        boundary: half-way to the next lower rating.
        quantiles: of (rating − prediction) / σ at `LEVELS`, [levels].
    """

    liked: float
    boundary: float
    quantiles: NDArray[np.float64]


def liked_threshold(values: NDArray[np.floating], share: float = _SHARE) -> float:
    """The lowest rating of the upper 40 %: the largest that at least so many ratings reach.

    Args:
        values: the training ratings.
        share: 0.4.
    """
    return float(np.quantile(values, 1 - share, method="inverted_cdf"))


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
    """P(liked) = 1 − F((boundary − r̂) / σ), 0.0025 to 0.9975: further out the quantiles don't reach.

    Args:
        liking: the boundary and the quantiles.
        predictions: r̂, not clipped.
        spread: σ, of each, or of all.
    """
    table = table_of(liking)
    distances = (liking.boundary - predictions.astype(np.float64)) / spread
    at = np.minimum(np.maximum((distances - table.start) / table.step + 1, 0), len(table.value) - 1)
    cell = np.fmax(at, 0).astype(np.int64)  # NaN is in the first
    shares: NDArray[np.float64] = table.slope[cell] * (at - cell) + table.value[cell]
    return shares


@dataclass(frozen=True, eq=False)
class Table:
    """1 − F by equal steps: a search among the quantiles takes as long as all the rest of a list.

    Args:
        start: the first quantile.
        step: how wide the cells are.
        value: 1 − F where a cell begins, [cells]; the first cell and the last are all that lies beyond the
            quantiles.
        slope: how much it changes over the cell, [cells].
    """

    start: float
    step: float
    value: NDArray[np.float64]
    slope: NDArray[np.float64]


@lru_cache(maxsize=64)
def table_of(liking: Liking) -> Table:
    """1 − F, quick to look up, and exact but for cells in which a quantile lies (within 2e-5 of it there)."""
    first, last = float(liking.quantiles[0]), float(liking.quantiles[-1])
    step = max((last - first) / _CELLS, 1e-9)
    inside = 1 - np.interp(first + step * np.arange(_CELLS + 1), liking.quantiles, LEVELS)
    value = np.concatenate([[1 - LEVELS[0] / 2], inside[:-1], [LEVELS[0] / 2]])
    slope = np.concatenate([[0], np.diff(inside), [0]])
    return Table(first, step, value, slope)
