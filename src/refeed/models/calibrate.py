"""How wide prediction intervals must be, learned from ratings that the model has not seen."""

import numpy as np
import torch

from refeed.models.intervals import Uncertain, quantiles
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["calibrate"]

_ENOUGH = 20_000
"""Ratings: by chance alone the coverage of a 95 % interval is off by 0.15 points, one standard deviation."""


def calibrate(model: Uncertain, train: Ratings, held_out: Aligned | None, seed: int) -> None:
    """Set the quantiles from (some of) the validation ratings; without these they stay what the training set.

    Args:
        model: trained.
        train: the histories.
        held_out: the validation ratings.
        seed: of the choice among very many of these.
    """
    if held_out is None:
        return
    some = np.random.default_rng(seed).permutation(len(held_out))[:_ENOUGH]
    users, items = held_out.users[some], held_out.items[some]
    errors = held_out.values[some] - model.predict(train, users, items)
    found = quantiles(errors.astype(np.float64), model.predictive_std(train, users, items))
    model.quantiles.copy_(torch.from_numpy(found))
