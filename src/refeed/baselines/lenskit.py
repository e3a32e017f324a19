"""LensKit's biased matrix factorisation by alternating least squares, reduced to its factors."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from refeed.baselines.peers import found_factors, peer
from refeed.baselines.solution import Factors
from refeed.config.baselines import LenskitMFConfig
from refeed.ratings.store import Ratings

__all__ = ["dataset", "solve_lenskit"]


def solve_lenskit(config: LenskitMFConfig, train: Ratings, seed: int) -> Factors:
    """Let LensKit fit ratings from 1 to 5.

    Raises:
        ConfigError: LensKit is not installed.
        TrainingDivergedError: the factors became NaN or infinite.
    """
    user, item = config.damping
    with _quiet():
        scorer = peer("lenskit.als", config.kind).BiasedMFScorer(
            embedding_size=config.rank,
            epochs=config.epochs,
            regularization=config.decay,
            damping={"user": user, "item": item},
        )
        _share_threads(peer("lenskit.parallel", config.kind))
        scorer.train(dataset(train), peer("lenskit.training", config.kind).TrainingOptions(rng=seed))
    return found_factors(
        train,
        mean=float(scorer.bias.global_bias),
        user_biases=scorer.bias.user_biases,
        item_biases=scorer.bias.item_biases,
        users=scorer.user_embeddings,
        items=scorer.item_embeddings,
    )


def dataset(train: Ratings) -> Any:
    """Ratings as LensKit wants them, with positions as ids: it sorts ids, so they stay positions."""
    builder = peer("lenskit.data", "lenskit-mf").DatasetBuilder()
    builder.add_entities("user", np.arange(train.n_users))
    builder.add_entities("item", np.arange(train.n_items))
    rows = {
        "user_id": train.users,
        "item_id": train.items.astype(np.int64),
        "rating": train.values.astype(np.float64),
    }
    builder.add_interactions("rating", rows, entities=["user", "item"], allow_repeats=False, default=True)
    return builder.build()


def _share_threads(parallel: Any) -> None:
    """Let LensKit have as many threads as PyTorch has; by itself it changes PyTorch's, for the whole process.

    Each row is solved for itself, so their number changes nothing in the result. Those between PyTorch's
    operations, of which refeed uses none, become as many too; that can't be taken back.
    """
    multiprocessing: Any = torch.multiprocessing  # its types are missing
    threads, sharing = torch.get_num_threads(), multiprocessing.get_sharing_strategy()
    parallel.initialize(processes=1, threads=threads, backend_threads=threads)  # the first time alone
    multiprocessing.set_sharing_strategy(sharing)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without what LensKit logs and warns of: threads that are set already, ratings that are all the same."""
    logger = logging.getLogger("lenskit")
    before = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
