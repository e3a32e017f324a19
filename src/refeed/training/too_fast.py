"""A training that only gets worse has too high a rate: it starts again with a lower one."""

from refeed.config import Config, RidgeConfig
from refeed.training.checkpoint import Place

__all__ = ["is_too_fast", "lower_rate"]

_FACTOR = 3.0
_MOST = 3  # times; where even a 27th of the rate only makes it worse, the rate is not the reason
_SEEN = 3  # epochs at least, and a third of all


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


def lower_rate(config: Config, place: Place) -> Config:
    """The same training at the rate that it has come down to."""
    rate = config.train.lr / _FACTOR**place.lowered
    return config.model_copy(update={"train": config.train.model_copy(update={"lr": rate})})
