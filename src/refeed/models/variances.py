"""How much users, items and chance each make ratings differ: variance components, from moments alone.

With r_ui = μ + a_u + b_i + e_ui, and a, b and e independent of variances σ_u², σ_i² and σ_e², the sums of
squares within users, within items and in all have the expectations

    Σ_u Σ_i (r_ui − r̄_u)² :  (σ_i² + σ_e²) (N − users)
    Σ_i Σ_u (r_ui − r̄_i)² :  (σ_u² + σ_e²) (N − items)
    Σ (r_ui − r̄)²         :  σ_u² (N − Σ n_u² / N) + σ_i² (N − Σ n_i² / N) + σ_e² (N − 1)

for N ratings, of each pair one at most: three linear equations, at the cost of a pass over the ratings (Gao &
Owen 2017, "Efficient moment calculations for variance components in large unbalanced crossed random effects
models").
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from refeed.ratings.blocks import blocks
from refeed.ratings.store import Ratings

__all__ = ["Variances", "sums_above_mean", "variances_of"]

_LEAST, _MOST = 0.5, 200.0
"""A damping, in ratings: chance alone can make an estimated variance 0, or too large to be one."""


@dataclass(frozen=True)
class Variances:
    """The variance of users' biases, of items' biases, and of what is left; in squared units of ratings.

    An estimate may be negative, where the truth is near 0.
    """

    users: float
    items: float
    noise: float

    @property
    def user_damping(self) -> float:
        """σ_e² / σ_u², which shrinks a user's mean to the best linear prediction; from 0.5 to 200 ratings."""
        return _damping(self.noise, self.users)

    @property
    def item_damping(self) -> float:
        """σ_e² / σ_i², likewise."""
        return _damping(self.noise, self.items)


def variances_of(train: Ratings) -> Variances:
    """Estimate the three variances.

    Args:
        train: the ratings; memory-mapped arrays are fine.
    """
    ratings = len(train)
    of_users, of_items, squares = sums_above_mean(train)
    by_user = _within(squares, of_users, train.user_counts)
    by_item = _within(squares, of_items, train.item_counts)
    in_users = ratings - np.count_nonzero(train.user_counts)
    in_items = ratings - np.count_nonzero(train.item_counts)
    equations = [
        [0, in_users, in_users],
        [in_items, 0, in_items],
        [
            ratings - _concentration(train.user_counts),
            ratings - _concentration(train.item_counts),
            ratings - 1,
        ],
    ]
    # Without two ratings of anybody nothing tells the biases from chance; least squares share it out then.
    solved = np.linalg.lstsq(np.array(equations, dtype=np.float64), [by_user, by_item, squares], rcond=None)[
        0
    ]
    return Variances(*(float(variance) for variance in solved))


def sums_above_mean(
    train: Ratings,
) -> tuple[Float64[np.ndarray, " users"], Float64[np.ndarray, " items"], float]:
    """Σ (r − r̄) of each user and of each item, and Σ (r − r̄)² of all ratings."""
    squares, of_users, of_items = 0.0, np.zeros(train.n_users), np.zeros(train.n_items)
    for block in blocks(len(train)):  # bounds what they take in float64
        above = train.values[block].astype(np.float64) - train.mean
        squares += float(np.square(above).sum())
        users = np.searchsorted(train.indptr, np.arange(block.start, block.stop), side="right") - 1
        of_users += np.bincount(users, weights=above, minlength=train.n_users)
        of_items += np.bincount(train.items[block], weights=above, minlength=train.n_items)
    return of_users, of_items, squares


def _within(
    squares: float, sums: Float64[np.ndarray, " groups"], counts: Int64[np.ndarray, " groups"]
) -> float:
    """Σ (r − mean of its group)², from Σ (r − r̄)² of all and Σ (r − r̄) of each group."""
    return squares - float((np.square(sums) / np.maximum(counts, 1)).sum())


def _concentration(counts: Int64[np.ndarray, " groups"]) -> float:
    shares: Float64[np.ndarray, " groups"] = counts.astype(np.float64) ** 2 / counts.sum()
    return float(shares.sum())


def _damping(noise: float, levels: float) -> float:
    return float(np.clip(noise / levels, _LEAST, _MOST)) if levels > 0 and noise > 0 else _MOST
