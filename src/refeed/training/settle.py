"""Settings that say "auto", settled by the ratings."""

import torch

from refeed.config import Config, RidgeConfig
from refeed.evaluation.metrics import clipped, rmse
from refeed.model.interface import Model
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings
from refeed.training.batches import Batches
from refeed.training.optimizer import learning_rate, make_optimizer, set_learning_rate
from refeed.training.progress import Reporter
from refeed.training.ridge import RidgeLearner
from refeed.training.runtime import Runtime

__all__ = ["SETTLED", "settled"]

SETTLED = ("width", "prior_users")
"""The settings of a model that may say "auto"."""

_TRIED = (150.0, 500.0, 50.0, 1500.0)
"""Precisions of F, in the order in which they are tried: outwards, as long as it gets better."""

_UNTRIED = 500.0
_STEPS = 100
"""Of a trial: enough to tell the priors apart, a third of a training."""

_MOST = 5_000_000
"""Ratings up to which trials are made; with more of them priors matter less, and trials cost more."""


def settled(
    config: Config, train: Ratings, held_out: Aligned | None, runtime: Runtime, reporter: Reporter
) -> Config:
    """The same config without "auto".

    Args:
        config: as given.
        train: the training ratings; their number decides the width.
        held_out: the validation ratings, on which priors are chosen.
        runtime: where to compute; all processes come to the same result.
        reporter: hears about the trials.
    """
    model = config.model
    if not isinstance(model, RidgeConfig):
        return config
    if model.width == "auto":
        config = _with(config, width=_width(len(train)))
    if model.prior_users != "auto":
        return config
    if held_out is None or len(train) > _MOST:
        return _with(config, prior_users=_UNTRIED)
    return _with(config, prior_users=_best_prior(config, train, held_out, runtime, reporter))


def _width(ratings: int) -> int:
    return 16 if ratings < 200_000 else 24 if ratings < 600_000 else 32


def _with(config: Config, **settings: float) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update=settings)})


def _best_prior(
    config: Config, train: Ratings, held_out: Aligned, runtime: Runtime, reporter: Reporter
) -> float:
    """The precision of F with the lowest validation RMSE after a short training."""
    errors: dict[float, float] = {}

    def error(prior: float) -> float:
        if prior not in errors:
            model = _short_training(_with(config, prior_users=prior), train, runtime)
            predicted = model.predict(train, held_out.users, held_out.items)
            errors[prior] = rmse(clipped(predicted, train.scale), held_out.values)
            reporter.say(f"trial: model.prior_users = {prior:g}, validation RMSE {errors[prior]:.4f}")
        return errors[prior]

    low, high, lower, higher = _TRIED
    if error(low) < error(high):
        return min((low, lower), key=error)
    return min((high, higher), key=error)


def _short_training(config: Config, train: Ratings, runtime: Runtime) -> Model:
    steps = min(config.train.steps or _STEPS, _STEPS)
    shorter = config.train.model_copy(update={"steps": steps, "warmup": min(config.train.warmup, steps // 5)})
    learner = RidgeLearner(config.model_copy(update={"train": shorter}), train, runtime.device)
    batches = Batches(learner, shorter, runtime)
    optimizer = make_optimizer(learner.parameter_groups(), shorter)
    generator = torch.Generator(runtime.device)
    done = 0
    while done < steps:
        epoch, first = divmod(done, len(batches))
        for share in batches.epoch(epoch, first):
            set_learning_rate(optimizer, learning_rate(shorter, epoch, share.number, len(batches)))
            learner.step(share, optimizer, generator.manual_seed(done), runtime)
            done += 1
            if done == steps:
                break
    return learner.finished()
