"""SVD++: what a user has rated speaks for itself, whatever the ratings (Koren 2008)."""

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from refeed.baselines.epochs import best_epoch
from refeed.baselines.sgd import Group, Pairs, Parameters, history_of, implicit_sums, train_epochs
from refeed.baselines.solution import Factors
from refeed.config.baselines import SvdppConfig
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["own_factors", "solve_svdpp", "svdpp_groups", "svdpp_ratings"]


def svdpp_groups(config: SvdppConfig, train: Ratings, generator: torch.Generator) -> dict[str, Group]:
    """The parameters b_u, b_i, p_u, q_i and y_j of SVD++ at their start."""

    def normal(counts: Int64[np.ndarray, " rows"]) -> Tensor:
        factors = config.start * torch.randn(len(counts), config.rank, generator=generator)
        factors[torch.from_numpy(counts == 0)] = 0  # of whom nothing is known
        return factors

    users, items = train.n_users, train.n_items
    return {
        "user_bias": Group(torch.zeros(users), "user", *config.user_bias),
        "item_bias": Group(torch.zeros(items), "item", *config.item_bias),
        "users": Group(normal(train.user_counts), "user", *config.factors),
        "items": Group(normal(train.item_counts), "item", *config.factors),
        "implicit": Group(torch.zeros(items, config.rank), "implicit", *config.implicit),
    }


def svdpp_ratings(at: Parameters, own: Float[Tensor, "users rank"], pairs: Pairs) -> Float[Tensor, " pairs"]:
    """b_u + b_i + ⟨q_i, p_u + |R(u)|^-½ Σ y_j⟩ (Koren 2008, equation 15), that is r̂ − μ.

    Args:
        at: the parameters.
        own: p_u + |R(u)|^-½ Σ y_j of the users.
        pairs: "user" and "item" of each.
    """
    u, i = pairs["user"], pairs["item"]
    products = (own.index_select(0, u) * at["items"].index_select(0, i)).sum(dim=1)
    return at["user_bias"].index_select(0, u) + at["item_bias"].index_select(0, i) + products


def own_factors(at: Parameters, train: Ratings) -> Float[Tensor, "users rank"]:
    """p_u + |R(u)|^-½ Σ y_j of all users."""
    return at["users"] + implicit_sums(at["implicit"], history_of(train.indptr, train.items, train.n_items))


def solve_svdpp(config: SvdppConfig, train: Ratings, valid: Ratings | None, seed: int) -> Factors:
    """Fit SVD++ to ratings.

    Raises:
        TrainingDivergedError: the error became NaN or infinite.
    """
    generator = torch.Generator().manual_seed(seed)
    groups = svdpp_groups(config, train, generator)

    def predict(state: Parameters, pairs: Aligned) -> Float64[np.ndarray, " pairs"]:
        above = svdpp_ratings(state, own_factors(state, train), _pairs(pairs.users, pairs.items, pairs.times))
        result: Float64[np.ndarray, " pairs"] = train.mean + above.double().numpy()
        return result

    epochs = train_epochs(config, groups, train, _pairs, svdpp_ratings, generator)
    at = best_epoch(epochs, predict, train, valid)
    return Factors(train.mean, at["user_bias"], at["item_bias"], own_factors(at, train), at["items"])


def _pairs(
    users: Int64[np.ndarray, " pairs"],
    items: Int64[np.ndarray, " pairs"],
    _times: Int64[np.ndarray, " pairs"] | None,
) -> Pairs:
    return {"user": torch.from_numpy(users), "item": torch.from_numpy(items)}
