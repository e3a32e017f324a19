"""How wide prediction intervals must be, learned from ratings that the model has not seen."""

import numpy as np
import torch

from refeed.model.intervals import Uncertain, quantiles
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["calibrate"]


def calibrate(model: Uncertain, train: Ratings, held_out: Aligned | None) -> None:
    """Set the model's quantiles from the validation ratings; without these they stay what the training set.

    Args:
        model: trained.
        train: the histories.
        held_out: the validation ratings.
    """
    if held_out is None:
        return
    errors = held_out.values - model.predict(train, held_out.users, held_out.items)
    found = quantiles(errors.astype(np.float64), model.spreads(train, held_out.users, held_out.items))
    model.quantiles.copy_(torch.from_numpy(found))
