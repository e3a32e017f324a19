"""From predictions to a list that makes sense."""

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

__all__ = ["SHRINK", "best", "cosines", "shrunk", "supported_scores"]

SHRINK = 20.0
"""How many ratings an item needs for half of its advantage to count."""


def shrunk(
    values: Float64[np.ndarray, " items"], support: Int64[np.ndarray, " items"], shrink: float
) -> Float64[np.ndarray, " items"]:
    """Weigh values by n / (n + shrink), where n is the support; 0 where n is 0.

    The mean of n observations with variance v around a truth that itself varies by t between items is best
    taken as n / (n + v/t) of what it says (Bühlmann's credibility).
    """
    weights = np.divide(
        support, support + shrink, out=np.zeros(len(support), dtype=np.float64), where=support > 0
    )
    scores: NDArray[np.float64] = values * weights
    return scores


def supported_scores(
    predictions: Float64[np.ndarray, " items"],
    support: Int64[np.ndarray, " items"],
    shrink: float = SHRINK,
) -> Float64[np.ndarray, " items"]:
    """What a list is ranked by: a person's predictions, trusted as far as the items' ratings go.

        level = Σ n_i r̂_i / Σ n_i
        score = level + max(r̂_i − level, 0) · n_i / (n_i + shrink) + min(r̂_i − level, 0)

    The level is what the person would give an ordinary item, met as often as people rate it; so some
    well supported item is always at the level or above. What a prediction promises beyond it counts by the
    item's support, and what it warns of counts in full: an item with few ratings can sink but not rise.

    Why 20: for a single item about 4 would be best on film ratings (noise of variance 0.8 against 0.2 between
    films), but a list takes the best of thousands of noisy predictions, and those are mostly noise. On
    MovieLens latest-small (30 % held out at random, damped biases, lists of 20) a list holds 0.6 held-out
    films that its user rated 4 or more without shrinking, 1.5 with 10, 1.8 with 20 and 2.1 with 80, while the
    mean rating of the held-out films found falls from 4.36 to 4.24, 4.24 and 4.21. Popular films are held out
    more often, so that first number alone would ask for ever more.

    Args:
        predictions: r̂, the ratings of all items by one person, not clipped (clipping would tie the best).
        support: n, the training ratings of each item.
        shrink: ratings at which half of the advantage counts.
    """
    level = float(predictions @ support) / max(float(support.sum()), 1.0)
    advantage = predictions - level
    scores: NDArray[np.float64] = (
        level + shrunk(np.maximum(advantage, 0), support, shrink) + np.minimum(advantage, 0)
    )
    return scores


def best(
    scores: Float64[np.ndarray, " items"], candidates: Bool[np.ndarray, " items"], k: int
) -> Int64[np.ndarray, " best"]:
    """Positions of the k best candidates (fewer if there are no more), best first, ties by position."""
    positions = np.flatnonzero(candidates)
    order = np.argsort(-scores[positions], kind="stable")
    top: NDArray[np.int64] = positions[order[:k]]
    return top


def cosines(vectors: NDArray[np.float32], position: int) -> Float64[np.ndarray, " items"]:
    """Cosine between each row and the row at `position`; 0 where one of them is all zeros."""
    lengths = np.linalg.norm(vectors, axis=1).astype(np.float64)
    products = (vectors @ vectors[position]).astype(np.float64)
    scale = lengths * lengths[position]
    cosine: NDArray[np.float64] = np.zeros(len(vectors))
    np.divide(products, scale, out=cosine, where=scale > 0)
    return cosine
