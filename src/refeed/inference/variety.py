"""Lists with more variety: items unlike each other, and items of which little is known."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from numpy.typing import NDArray

from refeed.errors import ConfigError, ModelError

__all__ = ["COLD", "check_share", "diversified", "explored", "pool"]

COLD = 5
"""Training ratings below which an item is cold, and may be mixed in to learn more of it."""

_POOL = 5
"""Times k: among so many of the best items diversity chooses."""


def check_share(name: str, value: Any) -> float:
    """A share from 0 to 1.

    Raises:
        ConfigError: it is something else.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | np.number) or not 0 <= value <= 1:
        raise ConfigError(f"{name} = {value!r}: give a share from 0 to 1")
    return float(value)


def diversified(
    ranked: Int64[np.ndarray, " pool"],
    scores: Float64[np.ndarray, " pool"],
    vectors: NDArray[np.float32] | None,
    k: int,
    diversity: float,
) -> Int64[np.ndarray, " list"]:
    """Choose k of the best items that are unlike each other, by maximal marginal relevance.

    The next item of the list is that with the greatest (1 − d) · relevance − d · (its largest cosine to an
    item that is in the list already), where scores are scaled to a relevance from 0 to 1 (Carbonell &
    Goldstein 1998).

    Args:
        ranked: positions of the best items, best first.
        scores: theirs.
        vectors: of all items, a row each; None if the model has none.
        k: the length of the list.
        diversity: d, from 0 to 1; 0 keeps the order.

    Raises:
        ModelError: the model has no vectors of items.
    """
    if not diversity or len(ranked) <= 1:
        return ranked[:k]
    if vectors is None:
        raise ModelError("this model has no vectors of its items, so it can't tell which are alike")
    own = vectors[ranked].astype(np.float64)
    own /= np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12)
    spread = float(scores.max() - scores.min())
    relevance = (scores - scores.min()) / spread if spread > 0 else np.ones(len(scores))
    nearest = np.zeros(len(ranked))
    left = np.ones(len(ranked), dtype=np.bool_)
    chosen: list[int] = []
    while len(chosen) < min(k, len(ranked)):
        worth = np.where(left, (1 - diversity) * relevance - diversity * nearest, -np.inf)
        best = int(np.argmax(worth))
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, own @ own[best])
    return ranked[chosen]


def pool(k: int, diversity: float) -> int:
    """How many of the best items diversity chooses among."""
    return k * _POOL if diversity else k


def explored(
    listed: Sequence[int],
    cold: Bool[np.ndarray, " items"],
    share: float,
    seed: int,
) -> list[int]:
    """Put cold items in the place of some: each place has one with a chance of `share`.

    Args:
        listed: positions of the list's items, best first.
        cold: items that may be mixed in: candidates with few training ratings.
        share: from 0 to 1.
        seed: of the draws; the same seed gives the same list.
    """
    rng = np.random.default_rng(seed)
    places = np.flatnonzero(rng.random(len(listed)) < share)
    known = set(listed)
    drawn = [at for at in rng.permutation(np.flatnonzero(cold)).tolist() if at not in known][: len(places)]
    mixed = list(listed)
    for place, item in zip(places.tolist(), drawn, strict=False):
        mixed[place] = item
    return mixed
