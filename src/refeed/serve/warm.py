"""What a retraining takes over from the model before: its settings, and the rows that it may go on from."""

from pathlib import Path

import numpy as np

from refeed.config import Config, RidgeConfig
from refeed.errors import ModelError
from refeed.models.ensemble import RidgeEnsemble
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.models.ridge.warm import WarmRidge
from refeed.ratings.store import Ratings
from refeed.serve.store import RatingsStore
from refeed.trained_model import TrainedModel
from refeed.training.checkpoint import learned

__all__ = ["settings_of", "shorter", "someone_left", "warm_rows", "whole_length"]

_SHORTER = 3


def settings_of(old: TrainedModel) -> Config:
    """The old model's settings, of its whole training, with what was chosen for its lists on validation."""
    config, whole = old.config, whole_length(old)
    train = config.train.model_copy(
        update={name.removeprefix("whole_"): number for name, number in whole.items()}
    )
    config = config.model_copy(update={"train": train})
    if old.lists is None or config.interactions is None:
        return config
    chosen: dict[str, float] = {"beta": old.lists.weights.beta, "floor": old.lists.weights.floor}
    if old.lists.liking is not None:
        chosen["liked"] = old.lists.liking.liked
    lists = config.lists.model_copy(update=chosen)
    return config.model_copy(update={"interactions": old.lists.config, "lists": lists})


def whole_length(old: TrainedModel) -> dict[str, int]:
    """How long a training is that starts from nothing; the folder of a shorter one has it in its history."""
    train, source = old.config.train, {} if old.histories is None else old.histories.source
    length = {"whole_epochs": train.epochs, "whole_warmup": train.warmup}
    if train.steps is not None:
        length["whole_steps"] = train.steps
    return {name: int(source.get(name, number)) for name, number in length.items()}


def shorter(config: Config) -> Config:
    """The same schedule in a third of the updates: what a training takes that starts from another's rows."""
    train = config.train
    settings = {"epochs": max(1, train.epochs // _SHORTER), "warmup": train.warmup // _SHORTER}
    if train.steps is not None:
        settings["steps"] = max(1, train.steps // _SHORTER)
    return config.model_copy(update={"train": train.model_copy(update=settings)})


def someone_left(old: Ratings, store: RatingsStore) -> bool:
    """Whether a person of the training was forgotten since: those in its folder have no rating any more."""
    forgotten = store.forgotten()
    return bool(np.any(old.user_counts == 0)) or any(store.digest(user) in forgotten for user in old.user_ids)


def warm_rows(run: Path, old: TrainedModel) -> tuple[WarmRidge, ...]:
    """The rows of an old model's ridge autoencoders; none, if it is of another kind.

    `resume.pt` has the rows of items and people apart. Where it was removed, or is of several networks, the
    finished model's are taken, in which people's are part of the items'.
    """
    if not isinstance(old.config.model, RidgeConfig):
        return ()
    ridges = old.model.ridges() if isinstance(old.model, RidgeEnsemble) else [old.model]
    finished = tuple(
        WarmRidge.of(ridge, old.items.ids) for ridge in ridges if isinstance(ridge, RidgeAutoencoder)
    )
    if len(finished) != 1 or old.config.members != 1 or old.histories is None:
        return finished
    try:
        state, _ = learned(run / "resume.pt")
    except ModelError:
        return finished
    (one,) = finished
    if state["vectors"].shape != one.vectors.shape or len(state["users"]) != old.histories.n_users:
        return finished
    apart = WarmRidge(
        one.item_ids,
        state["vectors"],
        state["implicit"],
        float(state["scale"]),
        float(state["log_doubt"].exp()),
        one.deviation,
        one.knots,
        one.spacing,
        old.histories.user_ids,
        state["users"][:, : one.vectors.shape[1]],  # an earlier version had f beside F
    )
    return (apart,)
