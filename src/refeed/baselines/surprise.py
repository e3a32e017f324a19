"""Surprise's SVD and SVD++, reduced to their factors."""

from typing import Any

import numpy as np
import torch

from refeed.baselines.peers import found_factors, peer
from refeed.baselines.solution import Factors
from refeed.baselines.svdpp import own_factors
from refeed.config.baselines import SurpriseConfig
from refeed.ratings.store import Ratings

__all__ = ["solve_surprise", "trainset"]


def solve_surprise(config: SurpriseConfig, train: Ratings, seed: int) -> Factors:
    """Let Surprise fit ratings from 1 to 5.

    Raises:
        ConfigError: Surprise is not installed.
        TrainingDivergedError: the factors became NaN or infinite.
    """
    surprise = peer("surprise", config.kind)
    algorithms = {"svd": surprise.SVD, "svdpp": surprise.SVDpp}
    algorithm = algorithms[config.algorithm](
        n_factors=config.rank,
        n_epochs=config.epochs,
        lr_all=config.lr,
        reg_all=config.decay,
        random_state=seed,
    )
    algorithm.fit(trainset(train))
    parts = {"users": algorithm.pu, "implicit": getattr(algorithm, "yj", np.zeros_like(algorithm.qi))}
    own = own_factors({name: torch.from_numpy(part).float() for name, part in parts.items()}, train)
    return found_factors(
        train,
        mean=train.mean,
        user_biases=algorithm.bu,
        item_biases=algorithm.bi,
        users=own.numpy(),
        items=algorithm.qi,
    )


def trainset(train: Ratings) -> Any:
    """Ratings from 1 to 5 as Surprise wants them: Python lists of (position, rating), by user and by item."""
    of_users: list[list[tuple[int, float]]] = [[] for _ in range(train.n_users)]
    of_items: list[list[tuple[int, float]]] = [[] for _ in range(train.n_items)]
    for user, item, value in zip(
        train.users.tolist(), train.items.tolist(), train.values.tolist(), strict=True
    ):
        of_users[user].append((item, value))
        of_items[item].append((user, value))
    positions = [{at: at for at in range(count)} for count in (train.n_users, train.n_items)]
    return peer("surprise", "surprise").Trainset(
        dict(enumerate(of_users)),
        dict(enumerate(of_items)),
        train.n_users,
        train.n_items,
        len(train),
        (1.0, 5.0),
        *positions,
    )
