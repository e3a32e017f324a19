"""The ranking of a block of users at once, on tensors: the rules are those of `ranking.py`."""

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from refeed.inference.ranking import SHRINK, credibility

__all__ = ["best_of_each", "block_scores"]


def block_scores(
    predictions: Float[Tensor, "users items"],
    support: Int64[np.ndarray, " items"],
    shrink: float = SHRINK,
) -> Float[Tensor, "users items"]:
    """`supported_scores` of a block of users, in the fewest passes over users × items."""
    shares = torch.from_numpy(support / max(float(support.sum()), 1.0)).to(predictions)
    weights = torch.from_numpy(credibility(support, shrink)).to(predictions)
    lowest, highest = predictions.aminmax(dim=1, keepdim=True)
    levels = (predictions @ shares)[:, None].clamp(lowest, highest)
    scores = torch.lerp(levels, predictions, weights)
    return torch.minimum(scores, predictions, out=scores)


def best_of_each(scores: Float[Tensor, "users items"], k: int) -> Int64[Tensor, "users best"]:
    """Positions of the k best items of each user (all, if there are no more), as `best` gives them.

    An item at −∞ is no candidate, but fills up the list of who has fewer than k.
    """
    k = min(k, scores.shape[1])
    values, positions = scores.topk(min(k + 1, scores.shape[1]))
    # PyTorch says nothing of the order of equal scores, nor which of them it takes: here the first.
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1).nonzero().flatten()
    positions = positions[:, :k]
    if len(tied):
        positions[tied] = _first_of_equals(scores[tied], values[tied, k - 1 : k], k)
    return positions


def _first_of_equals(
    scores: Float[Tensor, "users items"], last: Float[Tensor, "users 1"], k: int
) -> Int64[Tensor, "users best"]:
    """The k best, given the score of the last of them."""
    above, level = scores > last, scores == last
    room = k - above.sum(dim=1, keepdim=True)
    chosen = above | (level & (level.cumsum(dim=1, dtype=torch.int32) <= room))
    positions = chosen.nonzero()[:, 1].view(-1, k)  # ascending
    order = scores.gather(1, positions).argsort(dim=1, descending=True, stable=True)
    return positions.gather(1, order)
