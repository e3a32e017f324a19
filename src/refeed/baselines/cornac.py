"""Cornac's MF, biased matrix factorisation, reduced to its factors."""

from typing import Any

import numpy as np

from refeed.baselines.peers import found_factors, peer
from refeed.baselines.solution import Factors
from refeed.config.baselines import CornacMFConfig
from refeed.ratings.store import Ratings

__all__ = ["dataset", "solve_cornac"]


def solve_cornac(config: CornacMFConfig, train: Ratings, seed: int) -> Factors:
    """Let Cornac fit ratings from 1 to 5.

    Raises:
        ConfigError: Cornac is not installed.
        TrainingDivergedError: the factors became NaN or infinite.
    """
    machine = peer("cornac.models", config.kind).MF(
        k=config.rank,
        max_iter=config.epochs,
        learning_rate=config.lr,
        lambda_reg=config.decay,
        seed=seed,  # with which it takes one thread: several would race for the factors
    )
    machine.fit(dataset(train))
    return found_factors(
        train,
        mean=float(machine.global_mean),
        user_biases=machine.u_biases,
        item_biases=machine.i_biases,
        users=machine.u_factors,
        items=machine.i_factors,
    )


def dataset(train: Ratings) -> Any:
    """Ratings as Cornac wants them; it goes through them user by user, which costs no accuracy."""
    positions = [{at: at for at in range(count)} for count in (train.n_users, train.n_items)]
    rows = train.users.astype(np.int64), train.items.astype(np.int64), train.values.astype(np.float64)
    return peer("cornac.data", "cornac-mf").Dataset(train.n_users, train.n_items, *positions, rows)
