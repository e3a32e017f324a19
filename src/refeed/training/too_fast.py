"""A training that only gets worse, or ends worse than short ones, has too high a rate: it starts again."""

import numpy as np

from refeed.config import Config, RidgeConfig
from refeed.evaluation.metrics import clipped, rmse
from refeed.models.interface import Model
from refeed.models.ridge.auto import judged
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings
from refeed.training.checkpoint import Place

__all__ = ["is_too_fast", "is_worse_than_trials", "lower_rate"]

_FACTOR = 3.0
_MOST = 3  # times; where even a 27th of the rate only makes it worse, the rate is not the reason
_SEEN = 3  # epochs at least, and a third of all
_WORSE = 1.002  # what a whole training may end with, against the best of the trials


def is_too_fast(config: Config, place: Place, epochs: int) -> bool:
    """Whether a training's first epoch is still its best after a third of them.

    A ridge autoencoder's alone: the systems that it is compared with are trained as they were published.

    Args:
        config: of the member in training.
        place: after an epoch, its validation RMSE taken in.
        epochs: of the whole training.
    """
    known = place.best_rmse < float("inf")
    seen = place.epoch >= max(_SEEN, epochs / 3)
    return (
        isinstance(config.model, RidgeConfig)
        and known
        and seen
        and place.best_epoch == 1
        and place.lowered < _MOST
    )


def is_worse_than_trials(
    place: Place, model: Model, train: Ratings, held_out: Aligned | None, *, seed: int
) -> bool:
    """Whether a whole training ends above its best trial, on the same pairs: with more ratings it shouldn't.

    Once only: where a third of the rate doesn't mend it, the rate is not the reason.

    Args:
        place: after the last epoch of a ridge autoencoder.
        model: of the best epoch.
        train: the training ratings.
        held_out: the validation ratings.
        seed: of the whole training, by which the trials' ratings were drawn.
    """
    if held_out is None or place.lowered or place.tried == np.inf:
        return False
    pairs = judged(train, held_out, seed)
    predicted = model.predict(train, held_out.users[pairs], held_out.items[pairs])
    return rmse(clipped(predicted, train.scale), held_out.values[pairs]) > _WORSE * place.tried


def lower_rate(config: Config, place: Place) -> Config:
    """The same training at the rate that it has come down to."""
    rate = config.train.lr / _FACTOR**place.lowered
    return config.model_copy(update={"train": config.train.model_copy(update={"lr": rate})})
