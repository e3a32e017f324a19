"""What lists are ranked by: who will take an item up, and like it.

    score = log max(s, floor) + β log P(liked)

with the interaction model's score s, on the scale of a share of people, and P(liked) from the rating model's
predictive distribution (`models/liked.py`). With β = 0 only s counts.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from refeed.models.interactions.interface import InteractionModel
from refeed.models.interactions.validation import HeldOut, beyond_chance, held_out_lists
from refeed.models.interface import Model, predict_blocks
from refeed.models.intervals import Uncertain
from refeed.models.liked import probability_liked
from refeed.models.liking import Liking
from refeed.ratings.store import Ratings

__all__ = ["ListWeights", "choose_list_weights", "liked_block", "list_scores"]

BETAS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0)
FLOORS = (0.001, 0.003, 0.01, 0.03)


@dataclass(frozen=True)
class ListWeights:
    """How the two parts of a list's score are weighed.

    Args:
        beta: β, of log P(liked).
        floor: the least that an interaction score counts as, above 0.
    """

    beta: float = 1.0
    floor: float = 0.003


def list_scores(
    interactions: Float32[Tensor, "users items"],
    liked: Float32[Tensor, "users items"],
    weights: ListWeights,
) -> Float32[Tensor, "users items"]:
    """Log max(s, floor) + β log P(liked).

    Args:
        interactions: s.
        liked: P(liked), above 0.
        weights: β and the floor.
    """
    scores = interactions.clamp(min=weights.floor).log_()
    return scores.add_(liked.log(), alpha=weights.beta) if weights.beta else scores


def liked_block(
    model: Model, liking: Liking, histories: Ratings, users: Int64[np.ndarray, " users"]
) -> Float32[Tensor, "users items"]:
    """P(liked) of all items for some users, with what isn't known of them where the model says so."""
    (predictions,) = predict_blocks(model, histories, users, max(len(users), 1))
    std = None
    if isinstance(model, Uncertain) and bool(model.quantiles.any()):
        std = torch.from_numpy(model.predictive_std_all(histories, users))
    return probability_liked(liking, predictions.float(), std)


def choose_list_weights(
    interactions: InteractionModel,
    model: Model,
    liking: Liking,
    train: Ratings,
    valid: Ratings,
    say: Callable[[str], None] = print,
    *,
    seed: int = 0,
) -> ListWeights:
    """β 1 and the usual floor, unless others make better lists of what is liked, beyond chance.

    Args:
        interactions: fitted on the training interactions.
        model: fitted on the training ratings.
        liking: see `models/liked.py`.
        train: the training ratings.
        valid: held-out ratings.
        say: hears what was tried.
        seed: of the choice among very many users.
    """
    held_out = held_out_lists(train, valid, seed=seed).liked(liking.liked)
    if len(held_out) < 2:
        say("validation has hardly any liked item that is new to a known user: β = 1")
        return ListWeights()
    found = _tried(interactions, model, liking, held_out)
    default = ListWeights()
    best = max(found, key=lambda weights: float(found[weights].mean()))
    chosen = best if beyond_chance(found[best], found[default]) else default
    for weights, ndcg in found.items():
        tried = f"β {weights.beta:g}, floor {weights.floor:g}"
        say(f"trial: {tried}: validation nDCG@10 of liked {ndcg.mean():.4f}")
    why = "better than β 1 beyond chance" if chosen != default else "none is better beyond chance"
    say(f"β {chosen.beta:g}, floor {chosen.floor:g}: {why} ({len(held_out):,} users)")
    return chosen


def _tried(
    interactions: InteractionModel, model: Model, liking: Liking, held_out: HeldOut
) -> dict[ListWeights, Float64[np.ndarray, " users"]]:
    """nDCG@10 of each user under each β with the usual floor, and under each floor with β 1."""
    default = ListWeights()
    grid = [replace(default, beta=beta) for beta in BETAS]
    grid += [replace(default, floor=floor) for floor in FLOORS if floor != default.floor]
    return dict(zip(grid, _ndcg_of_each(interactions, model, liking, held_out, grid), strict=True))


def _ndcg_of_each(
    interactions: InteractionModel,
    model: Model,
    liking: Liking,
    held_out: HeldOut,
    grid: Sequence[ListWeights],
) -> list[Float64[np.ndarray, " users"]]:
    """A pass over the users for all weights: what the models say of a block is computed once."""
    found: list[list[Float64[np.ndarray, " some"]]] = [[] for _ in grid]
    for users, some in held_out.in_blocks():
        (taken,) = interactions.score_blocks(held_out.train, users, len(users))
        liked = liked_block(model, liking, held_out.train, users)
        for of_weights, weights in zip(found, grid, strict=True):
            scores = list_scores(taken, liked, weights)
            of_weights.append(some.ndcg_of(scores))
    return [np.concatenate(of_weights) for of_weights in found]
