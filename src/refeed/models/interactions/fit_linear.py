"""Fit the linear autoencoder: its settings on validation, its weights on all training interactions."""

from collections.abc import Callable

import numpy as np
import torch

from refeed.config.interactions import LinearConfig
from refeed.models.autoencoder.sparse import Batch, encode
from refeed.models.interactions.linear import Linear, linear_memory, linear_weights
from refeed.models.interactions.popularity import shares, trends
from refeed.models.interactions.search import Search
from refeed.models.interactions.settings import DEFAULTS, Settings, given, resolved
from refeed.models.interactions.trials import Sums, Trials, inputs_of
from refeed.models.interactions.validation import held_out_lists
from refeed.ratings.store import Ratings

__all__ = ["fit_linear"]

_CPU = torch.device("cpu")
_ITEMS = 6000
"""Where there are more items, settings are chosen with the most popular so many."""

Say = Callable[[str], None]


def fit_linear(
    config: LinearConfig, train: Ratings, valid: Ratings | None = None, say: Say = print
) -> tuple[LinearConfig, Linear]:
    """The settings that "auto" came to, and the model.

    Args:
        config: as given.
        train: the interactions to learn from.
        valid: held-out interactions, on which the settings are chosen; None: the defaults.
        say: hears what is done, a line at a time.

    Raises:
        ConfigError: λ is so small that the matrix can't be factorised.
    """
    memory = linear_memory(train.n_items, len(train))
    say(f"linear: {train.n_items:,} items, one matrix of items × items: {memory / 1e9:.2f} GB at the peak")
    counts = config.values == "count"
    settings = DEFAULTS.but(**given(config))
    if valid is not None:
        settings = _chosen(config, most_taken(train, _ITEMS), valid, say)
    say(f"linear: {settings}")
    inputs = inputs_of(settings, train, counts=counts)
    everybody = inputs_of(settings.but(recency=0.0), train, counts=counts).batch(
        train, np.arange(train.n_users), _CPU
    )
    model = Linear(train.n_items, inputs)
    model.weights = _weights(everybody, settings)
    trend = torch.from_numpy(trends(train, settings.trend, settings.half_life)).float()
    model.weights.mul_(trend)
    model.popularity = torch.from_numpy(shares(train)).float().mul_(settings.popularity).mul_(trend)
    return resolved(config, settings), model


def most_taken(train: Ratings, most: int) -> Ratings:
    """The interactions with the most popular items alone, where there are more items than so many."""
    if train.n_items <= most:
        return train
    taken = np.zeros(train.n_items, dtype=bool)
    taken[np.argsort(-train.item_counts, kind="stable")[:most]] = True
    return train.select(taken[train.items]).compact()


def _chosen(config: LinearConfig, train: Ratings, valid: Ratings, say: Say) -> Settings:
    held_out = held_out_lists(train, valid)
    if not len(held_out):
        say("validation has no interaction with an item that is new to a known user: the default settings")
        return DEFAULTS.but(**given(config))
    trials = Trials(train, held_out, _sums, counts=config.values == "count")
    values = train.values
    search = Search(
        trials, given(config), say, timed=train.times is not None, graded=bool((values != values[0]).any())
    )
    settings = search.best()
    best, popular = search.ndcg(settings), trials.most_popular()
    say(
        f"validation nDCG@10 {best.mean():.4f}, that of the most popular list {popular.mean():.4f} "
        f"({len(held_out):,} users)"
    )
    return settings


def _weights(inputs: Batch, settings: Settings) -> torch.Tensor:
    return linear_weights(
        inputs, ridge=settings.ridge, ridge_power=settings.ridge_power, user_power=settings.user_power
    )


def _sums(inputs: Batch, settings: Settings) -> Sums:
    weights = _weights(inputs, settings)
    return lambda some: encode(weights, some.values, some)
