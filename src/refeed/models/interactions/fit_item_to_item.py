"""Fit weights between items: the settings on validation, the weights on all training interactions."""

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import torch

from refeed.config.interactions import LinearConfig, LocalConfig
from refeed.models.autoencoder.sparse import Batch
from refeed.models.interactions.item_to_item import ItemToItem
from refeed.models.interactions.linear import learn_linear, linear_memory
from refeed.models.interactions.local import learn_local, local_memory
from refeed.models.interactions.popularity import shares, trends
from refeed.models.interactions.search import Search
from refeed.models.interactions.settings import DEFAULTS, Settings, given, resolved
from refeed.models.interactions.trials import Learn, Trials, inputs_of, inputs_of_all
from refeed.models.interactions.validation import held_out_lists
from refeed.ratings.store import Ratings

__all__ = ["fit_item_to_item"]

_ITEMS = {"linear": 6000, "local": 50_000}
"""Where there are more items, settings are chosen with the most popular so many."""

_DEFAULTS = {"linear": DEFAULTS, "local": DEFAULTS.but(ridge=100.0, ridge_power=0.5, user_power=0.5)}
"""Without validation, and where the search begins: few neighbours want a weaker ridge."""

Say = Callable[[str], None]
C = TypeVar("C", LinearConfig, LocalConfig)


def fit_item_to_item(
    config: C, train: Ratings, valid: Ratings | None = None, say: Say = print, *, seed: int = 0
) -> tuple[C, ItemToItem]:
    """The config without "auto", and the model.

    Args:
        config: as given.
        train: the interactions to learn from.
        valid: held-out interactions, on which the settings are chosen; None: the defaults.
        say: hears what is done, a line at a time.
        seed: of what is drawn.

    Raises:
        ConfigError: λ is so small that a matrix can't be factorised.
    """
    say(_announcement(config, train))
    counts = config.values == "count"
    settings = _DEFAULTS[config.kind].but(**given(config))
    if valid is not None and len(train):
        settings = _chosen(config, train, valid, say, seed)
    say(f"{config.kind}: {settings}")
    model = _learn(config)(inputs_of_all(settings, train, counts=counts), settings)
    model.inputs = inputs_of(settings, train, counts=counts)
    trend = torch.from_numpy(trends(train, settings.trend, settings.half_life)).float()
    model.scale(trend)
    model.popularity = torch.from_numpy(shares(train)).float().mul_(settings.popularity).mul_(trend)
    return resolved(config, settings), model


def most_taken(train: Ratings, most: int) -> Ratings:
    """The interactions with the most popular items alone, where there are more items than so many."""
    if train.n_items <= most:
        return train
    taken = np.zeros(train.n_items, dtype=bool)
    taken[np.argsort(-train.item_counts, kind="stable")[:most]] = True
    return train.select(taken[train.items]).compact()


def _learn(config: LinearConfig | LocalConfig) -> Learn:
    def learn(inputs: Batch, settings: Settings) -> ItemToItem:
        strengths = {
            "ridge": settings.ridge,
            "ridge_power": settings.ridge_power,
            "user_power": settings.user_power,
        }
        if isinstance(config, LocalConfig):
            return learn_local(inputs, neighbours=config.neighbours, **strengths)
        return learn_linear(inputs, **strengths)

    return learn


def _announcement(config: LinearConfig | LocalConfig, train: Ratings) -> str:
    if isinstance(config, LocalConfig):
        memory = local_memory(train.n_items, len(train), config.neighbours)
        what = f"at most {config.neighbours} weights for each"
    else:
        memory = linear_memory(train.n_items, len(train))
        what = "one matrix of items × items"
    return f"{config.kind}: {train.n_items:,} items, {what}: {memory / 1e9:.2f} GB at the peak"


def _chosen(
    config: LinearConfig | LocalConfig, every: Ratings, valid: Ratings, say: Say, seed: int
) -> Settings:
    train = most_taken(every, _ITEMS[config.kind])
    held_out = held_out_lists(train, valid, seed=seed)
    if not len(held_out):
        say("validation has no interaction with an item that is new to a known user: the default settings")
        return _DEFAULTS[config.kind].but(**given(config))
    if train is not every:
        say(f"settings are chosen with the {train.n_items:,} items that most people took")
    trials = Trials(train, held_out, _learn(config), counts=config.values == "count")
    graded = bool((train.values != train.values[0]).any())
    start, timed = _DEFAULTS[config.kind], train.times is not None
    search = Search(trials, given(config), say, timed=timed, graded=graded, start=start)
    settings = search.best()
    best, popular = search.ndcg(settings), trials.most_popular()
    better = best.mean() / popular.mean() - 1 if popular.any() else 0.0
    say(
        f"validation nDCG@10 {best.mean():.4f}, that of the most popular list {popular.mean():.4f} "
        f"({better:+.0%}; {len(held_out):,} users)"
    )
    return _for_all_items(settings, train, every, config)


def _for_all_items(
    settings: Settings, train: Ratings, every: Ratings, config: LinearConfig | LocalConfig
) -> Settings:
    """The same λ for each item, though the mean that it is relative to is lower with more items."""
    if train is every or config.ridge != "auto":
        return settings
    fewer = (len(every) / every.n_items) / (len(train) / train.n_items)
    return settings.but(ridge=settings.ridge * fewer**settings.ridge_power)
