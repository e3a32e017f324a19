"""Settings that say "auto", resolved from the ratings."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Int64

from refeed.config import Config, RidgeConfig
from refeed.errors import ConfigError
from refeed.evaluation.metrics import clipped, rmse
from refeed.models.interface import Model
from refeed.models.ridge.levels import priors_of
from refeed.models.ridge.mixed_levels import dampings_of
from refeed.progress import Reporter
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings
from refeed.seeds import seed_of_member

__all__ = ["AUTO_SETTINGS", "judged", "resolve_auto"]

Trained = Callable[[Config, Ratings], Model]
"""Trains a model with all its updates."""

AUTO_SETTINGS = ("width", "prior_vectors", "prior_users", "prior_bias", "prior_user_bias")
"""The settings of a model that may say "auto"."""

_START, _POWER = 500.0, 0.5
"""The prior of 100,000 ratings, and how it grows with them: found on ratings of several sizes."""

_RATIO = 2.0  # of the prior of V to that of F: found likewise
_FACTOR = 3.0  # between the priors that are tried
_FARTHEST = 4  # steps of the factor from the start
_MOST = 250_000  # ratings that priors are tried with, about, unless items are rare in them
_SCARCE = 20.0  # ratings an item that a sample of users must leave
_LARGEST = 400_000  # ratings of a sample, about, however rare items are in it
_SHARE = 0.2  # of the ratings: how much stronger priors get with more of them differs from data to data
_ENOUGH = 10_000_000  # ratings, more than which that share would take a larger part of the time
_THIN = 6.0  # ratings for each user and item
_FAR = 3e-4  # times the steps' square: what part of the error they must gain, as short trials hardly overfit
_CLEARLY = 5e-4  # what part of the error a stronger prior of F alone must gain, beyond the noise of trials
_HARDLY = 1e-4  # a prior that is better by no more than this part of the error ends the walk


@dataclass(frozen=True)
class _Trials:
    """What trials are like.

    Args:
        shorter: how many times fewer updates they make than the training.
        longer: how much stronger the best prior is after the whole training: weaker ones do well at first.
    """

    shorter: int
    longer: float


_SHORT, _OF_FEW = _Trials(9, 1.8), _Trials(3, 1.5)
"""Those with all ratings; below 100,000 they take seconds, and short ones mislead (benchmarks/RESULTS.md)."""

_OF_PART = _Trials(4, 1.5)
"""Those with a part of the ratings, which may be longer at the same cost."""

_FEW = 100_000


def resolve_auto(
    config: Config, train: Ratings, held_out: Aligned | None, reporter: Reporter, trained: Trained
) -> tuple[Config, float]:
    """The same config without "auto", and the lowest validation RMSE of the trials (inf without any).

    That is of the pairs that `judged` gives, clipped to the scale, and of the first search: an ensemble makes
    one with the seed of each of its ridge autoencoders, and takes the geometric mean of the priors.

    Args:
        config: as given.
        train: the training ratings; their number decides the width, and where to look for the priors.
        held_out: the validation ratings, on which the priors are chosen.
        reporter: hears about the trials.
        trained: trains a model for a trial; all processes get the same result.

    Raises:
        ConfigError: drift is asked for, and the ratings have no times.
    """
    model = config.model
    if not isinstance(model, RidgeConfig):
        return config, np.inf
    if model.drift not in ("auto", 0) and train.times is None:
        raise ConfigError(
            f"model.drift = {model.drift:g} needs the times of the ratings, and these have none; "
            "prepare them with times, or leave it out"
        )
    if model.width == "auto":
        config = _with(config, {"width": _width(train)})
    if "auto" in (model.prior_bias, model.prior_user_bias):
        dampings = dampings_of(train, config.train.seed)
        of_items, of_users = priors_of(dampings)
        config = _with_auto(config, {"prior_bias": of_items, "prior_user_bias": of_users})
    if "auto" not in (model.prior_users, model.prior_vectors):
        return config, np.inf
    of_users = _START * (len(train) / 100_000) ** _POWER
    priors = of_users, _RATIO * of_users
    if held_out is None:
        return _with_priors(config, *priors), np.inf
    found, lowest = [], []
    for member in range(config.train.ensemble):
        if member:
            reporter.say(f"the same search with the seed of model {member + 1} of {config.train.ensemble}")
        seed = seed_of_member(config.train.seed, member)
        own = config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})
        best, error = _searched(own, priors, train, held_out, reporter, trained)
        found.append(best)
        lowest.append(error)
    # What chance does to a search is evened out over an ensemble's, as its errors are.
    of_users, of_vectors = np.exp(np.log(found).mean(axis=0)).tolist()
    return _with_priors(config, of_users, of_vectors), lowest[0]


def _searched(
    config: Config,
    priors: tuple[float, float],
    train: Ratings,
    held_out: Aligned,
    reporter: Reporter,
    trained: Trained,
) -> tuple[tuple[float, float], float]:
    """The best priors of F and V that trials by the config's seed find from these, and their lowest error."""
    tried, known = _sample(train, held_out, config.train.seed)
    if not len(known):
        return priors, np.inf
    # What is best grows with the ratings as the start does (benchmarks/RESULTS.md).
    grown = (len(train) / len(tried)) ** _POWER
    start = priors[0] / grown, priors[1] / grown
    trials = _trials(len(tried), len(train))
    search = _Search(_with_less(config, grown), trials, start, tried, known, reporter, trained)
    best = search.best()
    return (best[0] * grown, best[1] * grown), min(search.errors.values())


def judged(train: Ratings, held_out: Aligned, seed: int) -> Bool[np.ndarray, " pairs"]:
    """Which validation pairs the trials are judged by: those of the users and items that they know.

    Args:
        train: the training ratings.
        held_out: the validation ratings.
        seed: of the training.
    """
    users = _users_of_trials(train, seed)
    items = np.bincount(train.items[np.repeat(users, train.user_counts)], minlength=train.n_items) > 0
    pairs: Bool[np.ndarray, " pairs"] = users[held_out.users] & items[held_out.items]
    return pairs


def _width(train: Ratings) -> int:
    """By how many ratings there are; few of each user and item can't tell many directions."""
    ratings = len(train)
    if ratings < _THIN * (np.count_nonzero(train.user_counts) + np.count_nonzero(train.item_counts)):
        return 16
    return 24 if ratings < 200_000 else 32 if ratings < 600_000 else 48


def _with_priors(config: Config, of_users: float, of_vectors: float) -> Config:
    return _with_auto(config, {"prior_users": of_users, "prior_vectors": of_vectors})


def _with_auto(config: Config, found: Mapping[str, float]) -> Config:
    """What a config gives stays as it is given."""
    auto = {name: _round(value) for name, value in found.items() if getattr(config.model, name) == "auto"}
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


def _sample(train: Ratings, held_out: Aligned, seed: int) -> tuple[Ratings, Aligned]:
    """Some of the users, with all their ratings, and what is held out of theirs: enough to tell items by."""
    chosen = _users_of_trials(train, seed)
    if chosen.all():
        return train, held_out
    known = judged(train, held_out, seed)
    sample = train.select(np.repeat(chosen, train.user_counts))
    users, items = (_positions(counts) for counts in (sample.user_counts, sample.item_counts))
    return sample.compact(), replace(
        held_out,
        users=users[held_out.users[known]],
        items=items[held_out.items[known]],
        rows=held_out.rows[known],
        values=held_out.values[known],
        times=None if held_out.times is None else held_out.times[known],
    )


def _users_of_trials(train: Ratings, seed: int) -> Bool[np.ndarray, " users"]:
    most = min(max(_MOST, _SCARCE * np.count_nonzero(train.item_counts)), _LARGEST)
    most = max(most, min(_SHARE * len(train), _ENOUGH))
    if len(train) <= most:
        return np.ones(train.n_users, dtype=bool)
    chosen: Bool[np.ndarray, " users"] = np.random.default_rng(seed).random(train.n_users) < most / len(train)
    return chosen


def _trials(tried: int, ratings: int) -> _Trials:
    """What they are like with so many of all ratings."""
    if tried < _FEW:
        return _OF_FEW
    return _SHORT if tried == ratings else _OF_PART


def _positions(counts: Int64[np.ndarray, " all"]) -> Int64[np.ndarray, " all"]:
    """Where those with ratings are once the others are dropped; -1 for the others."""
    positions: Int64[np.ndarray, " all"] = np.where(counts > 0, np.cumsum(counts > 0) - 1, -1)
    return positions


class _Search:
    """The priors of F and V with the lowest validation RMSE, from short trainings.

    First both get weaker or stronger together, until the best lies between two others; what is taken is the
    lowest point of the parabola through the three. Then that of F alone gets stronger, as there are ratings
    where who rated an item says little of it.

    Args:
        config: of the training, but for the priors.
        trials: what they are like.
        start: of F and V.
        train: the ratings to try with.
        held_out: the ratings to judge by.
        reporter: hears about every trial.
        trained: trains a model.
    """

    def __init__(
        self,
        config: Config,
        trials: _Trials,
        start: tuple[float, float],
        train: Ratings,
        held_out: Aligned,
        reporter: Reporter,
        trained: Trained,
    ) -> None:
        self.config, self.trials = _shorter(config, trials.shorter), trials
        self.start, self.train, self.held_out = start, train, held_out
        self.reporter, self.trained = reporter, trained
        self.errors: dict[tuple[float, float], float] = {}

    def best(self) -> tuple[float, float]:
        """Those of F and V."""
        both = self._both()
        users, vectors = self._priors(both)
        factor = self.trials.longer * _FACTOR ** self._between(both)
        while self._error(users * _FACTOR, vectors) < self._error(users, vectors) * (1 - _CLEARLY):
            users *= _FACTOR
        return users * factor, vectors * factor

    def _priors(self, steps: int) -> tuple[float, float]:
        return self.start[0] * _FACTOR**steps, self.start[1] * _FACTOR**steps

    def _both(self) -> int:
        """How many steps from the start the best is, where both priors change together.

        Weaker ones are tried first, as they are better on most ratings; where they are, stronger ones aren't.
        """
        start = self._at(0)
        best = next((step for step in (-1, 1) if self._at(step) < start), 0)
        while 0 < abs(best) < _FARTHEST:
            further = best + int(np.sign(best))
            if self._at(further) >= self._at(best) * (1 - _HARDLY):
                break
            best = further
        return best

    def _between(self, best: int) -> float:
        """Where the parabola through the best point and its neighbours is lowest, in steps from the best."""
        steps = (best - 1, best, best + 1)
        if any(self._key(*self._priors(step)) not in self.errors for step in steps):
            return 0.0
        weaker, middle, stronger = (self._at(step) for step in steps)
        curvature = weaker - 2 * middle + stronger
        return float(np.clip((weaker - stronger) / (2 * curvature), -0.5, 0.5)) if curvature > 0 else 0.0

    def _at(self, steps: int) -> float:
        """The error so many steps from the start, and what is set against going far."""
        return self._error(*self._priors(steps)) * (1 + _FAR * steps**2)

    def _key(self, of_users: float, of_vectors: float) -> tuple[float, float]:
        tried: Any = _with_priors(self.config, of_users, of_vectors).model
        return float(tried.prior_users), float(tried.prior_vectors)

    def _error(self, of_users: float, of_vectors: float) -> float:
        """The validation RMSE after a trial, which is made once."""
        priors = self._key(of_users, of_vectors)
        if priors not in self.errors:
            started = time.perf_counter()
            model = self.trained(_with_priors(self.config, of_users, of_vectors), self.train)
            predicted = model.predict(self.train, self.held_out.users, self.held_out.items)
            error = rmse(clipped(predicted, self.train.scale), self.held_out.values)
            self.errors[priors] = error
            self.reporter.say(
                f"trial {len(self.errors)} ({len(self.train):,} ratings, {_length(self.config)}): "
                f"model.prior_users = {priors[0]:g}, model.prior_vectors = {priors[1]:g}, "
                f"validation RMSE {error:.4f}, {time.perf_counter() - started:.1f} s; "
                f"{self._to_come()} more"
            )
        return self.errors[priors]

    def _to_come(self) -> str:
        """How many trials follow: the start's neighbours, and a stronger F if it isn't given."""
        least = (3 if self.config.model.prior_users != "auto" else 4) - len(self.errors)  # type: ignore[union-attr]
        return f"at least {least}" if least > 0 else "perhaps one"


def _shorter(config: Config, times: int) -> Config:
    """Of a trial: the same schedule in so many times fewer updates."""
    train = config.train
    settings: dict[str, Any] = {"warmup": train.warmup // times}
    if train.steps is not None:
        settings["steps"] = max(1, train.steps // times)
    else:
        settings["epochs"] = max(1, train.epochs // times)
    return config.model_copy(update={"train": train.model_copy(update=settings)})


def _length(config: Config) -> str:
    train = config.train
    return f"{train.epochs} epochs" if train.steps is None else f"{train.steps} updates"
