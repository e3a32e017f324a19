"""Settings that say "auto", resolved from the ratings."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int64

from refeed.config import Config, RidgeConfig
from refeed.errors import ConfigError
from refeed.evaluation.metrics import clipped, rmse
from refeed.models.interface import Model
from refeed.models.variances import variances_of
from refeed.progress import Reporter
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["AUTO_SETTINGS", "resolve_auto"]

Trained = Callable[[Config, Ratings], Model]
"""Trains a model with all its updates."""

AUTO_SETTINGS = ("width", "prior_vectors", "prior_users", "prior_bias")
"""The settings of a model that may say "auto"."""

_START, _POWER = 500.0, 0.5
"""The prior of 100,000 ratings, and how it grows with them: found on ratings of several sizes."""

_RATIO = 2.0  # of the prior of V to that of F: found likewise
_FACTOR = 3.0  # between the priors that are tried
_MOST = 1_000_000  # ratings that priors are tried with, about: with more of them a trial takes too long
_HARDLY = 1e-4  # a prior that is better by no more than this part of the error ends the walk


def resolve_auto(
    config: Config, train: Ratings, held_out: Aligned | None, reporter: Reporter, trained: Trained
) -> Config:
    """The same config without "auto".

    Args:
        config: as given.
        train: the training ratings; their number decides the width, and where to look for the priors.
        held_out: the validation ratings, on which the priors are chosen.
        reporter: hears about the trials.
        trained: trains a model for a trial; all processes come to the same result.

    Raises:
        ConfigError: drift is asked for, and the ratings have no times.
    """
    model = config.model
    if not isinstance(model, RidgeConfig):
        return config
    if model.drift not in ("auto", 0) and train.times is None:
        raise ConfigError(
            f"model.drift = {model.drift:g} needs the times of the ratings, and these have none; "
            "prepare them with times, or leave it out"
        )
    if model.width == "auto":
        config = _with(config, {"width": _width(len(train))})
    if model.prior_bias == "auto":
        # The penalty is prior / 2 × b² beside a sum of squared errors.
        config = _with(config, {"prior_bias": _round(2 * variances_of(train).item_damping)})
    if "auto" not in (model.prior_users, model.prior_vectors):
        return config
    of_users = _START * (len(train) / 100_000) ** _POWER
    priors = of_users, _RATIO * of_users
    if held_out is not None:
        tried, known = _sample(train, held_out)
        if len(known):
            # What is best grows with the ratings as the start does (benchmarks/RESULTS.md).
            grown = (len(train) / len(tried)) ** _POWER
            start = priors[0] / grown, priors[1] / grown
            best = _best_priors(_with_less(config, grown), start, tried, known, reporter, trained)
            priors = best[0] * grown, best[1] * grown
    return _with_priors(config, *priors)


def _width(ratings: int) -> int:
    return 24 if ratings < 200_000 else 32 if ratings < 600_000 else 48


def _with_priors(config: Config, of_users: float, of_vectors: float) -> Config:
    """What a config gives stays as it is given."""
    model = config.model
    priors = {"prior_users": of_users, "prior_vectors": of_vectors}
    auto = {name: _round(value) for name, value in priors.items() if getattr(model, name) == "auto"}
    return _with(config, auto)


def _with_less(config: Config, grown: float) -> Config:
    """With the priors that a config gives, made for all ratings, as they would be for fewer."""
    given = {name: getattr(config.model, name) for name in ("prior_users", "prior_vectors")}
    return _with(config, {name: value / grown for name, value in given.items() if value != "auto"})


def _round(prior: float) -> float:
    """Two significant digits."""
    return float(f"{prior:.2g}")


def _with(config: Config, settings: Mapping[str, Any]) -> Config:
    return config.model_copy(update={"model": config.model.model_copy(update=settings)})


def _sample(train: Ratings, held_out: Aligned) -> tuple[Ratings, Aligned]:
    """About a million ratings, of as many users as have them, and what is held out of theirs."""
    if len(train) <= _MOST:
        return train, held_out
    chosen = np.random.default_rng(0).random(train.n_users) < _MOST / len(train)
    sample = train.select(np.repeat(chosen, train.user_counts))
    users, items = (_positions(counts) for counts in (sample.user_counts, sample.item_counts))
    known = (users[held_out.users] >= 0) & (items[held_out.items] >= 0)
    return sample.compact(), replace(
        held_out,
        users=users[held_out.users[known]],
        items=items[held_out.items[known]],
        values=held_out.values[known],
        times=None if held_out.times is None else held_out.times[known],
    )


def _positions(counts: Int64[np.ndarray, " all"]) -> Int64[np.ndarray, " all"]:
    """Where those with ratings are once the others are dropped; -1 for the others."""
    positions: Int64[np.ndarray, " all"] = np.where(counts > 0, np.cumsum(counts > 0) - 1, -1)
    return positions


def _best_priors(
    config: Config,
    start: tuple[float, float],
    train: Ratings,
    held_out: Aligned,
    reporter: Reporter,
    trained: Trained,
) -> tuple[float, float]:
    """The priors of F and V with the lowest validation RMSE: a walk, as long as it gets better.

    First both get stronger or weaker together; then that of F alone gets stronger, as there are ratings where
    who rated an item says little of it. Every trial is a whole training: after a shorter one weaker priors
    look too good.
    """
    errors: dict[str, float] = {}

    def error(of_users: float, of_vectors: float) -> float:
        tried = _with_priors(config, of_users, of_vectors)
        priors = ", ".join(
            f"model.{name} = {getattr(tried.model, name):g}" for name in ("prior_users", "prior_vectors")
        )
        if priors not in errors:
            predicted = trained(tried, train).predict(train, held_out.users, held_out.items)
            errors[priors] = rmse(clipped(predicted, train.scale), held_out.values)
            reporter.say(f"trial ({len(train):,} ratings): {priors}, validation RMSE {errors[priors]:.4f}")
        return errors[priors]

    def walked(users: float, vectors: float, factors: tuple[float, float]) -> tuple[float, float]:
        while error(users * factors[0], vectors * factors[1]) < error(users, vectors) * (1 - _HARDLY):
            users, vectors = users * factors[0], vectors * factors[1]
        return users, vectors

    stronger = walked(*start, (_FACTOR, _FACTOR))
    priors = stronger if stronger != start else walked(*start, (1 / _FACTOR, 1 / _FACTOR))
    return walked(*priors, (_FACTOR, 1.0))
