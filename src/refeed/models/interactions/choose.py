"""From a config of interactions to the fitted model, and from saved tensors back to it."""

import os
from collections.abc import Callable, Mapping

from torch import Tensor

from refeed.config.interactions import (
    AutoInteractionsConfig,
    InteractionsConfig,
    LinearConfig,
    LocalConfig,
    MultinomialConfig,
)
from refeed.errors import ConfigError
from refeed.models.interactions.fit_item_to_item import fit_item_to_item
from refeed.models.interactions.fit_multinomial import fit_multinomial
from refeed.models.interactions.interface import InteractionModel
from refeed.models.interactions.linear import Linear, linear_memory
from refeed.models.interactions.local import Local
from refeed.models.interactions.multinomial import Multinomial
from refeed.models.interactions.sparse_rows import SparseTable
from refeed.ratings.store import Ratings

__all__ = ["FittedConfig", "fit_interactions", "load_interactions"]

_MANY = 20_000
"""Items from which on the closed form of all of them takes minutes, and `local` is as good."""

Say = Callable[[str], None]
FittedConfig = LinearConfig | LocalConfig | MultinomialConfig


def fit_interactions(
    config: InteractionsConfig,
    train: Ratings,
    valid: Ratings | None = None,
    say: Say = print,
    *,
    seed: int = 0,
) -> tuple[FittedConfig, InteractionModel]:
    """The config without "auto", and the model that it describes, fitted.

    Args:
        config: which kind of model, and its settings.
        train: the interactions to learn from: who took what, with ratings or counts as values.
        valid: held-out interactions, on which what is "auto" is chosen; None: defaults.
        say: hears what is done and why, a line at a time.
        seed: of what is drawn, such as some of very many users to validate with.

    Raises:
        ConfigError: settings that can't be used with these interactions, or take more memory than there is.
    """
    chosen = _kind(config, train, say) if isinstance(config, AutoInteractionsConfig) else config
    if isinstance(chosen, MultinomialConfig):
        return fit_multinomial(chosen, train, valid, say, seed=seed)
    if isinstance(chosen, LinearConfig):
        _check_memory(train)
        return fit_item_to_item(chosen, train, valid, say, seed=seed)
    return fit_item_to_item(chosen, train, valid, say, seed=seed)


def _check_memory(train: Ratings) -> None:
    """Refuse the closed form before its search begins, where it can't be held in the end."""
    needed, there = linear_memory(train.n_items, len(train)), _memory()
    if needed > there:
        raise ConfigError(
            f"interactions.kind = linear: a weight for every pair of {train.n_items:,} items takes "
            f"{needed / 1e9:.2f} GB, and this machine has {there / 1e9:.2f}; take interactions.kind = local"
        )


def _kind(config: AutoInteractionsConfig, train: Ratings, say: Say) -> LinearConfig | LocalConfig:
    limit = _memory() // 2 if config.memory == "auto" else config.memory
    needed = linear_memory(train.n_items, len(train))
    sizes = f"{train.n_items:,} items would take {needed / 1e9:.2f} GB, of {limit / 1e9:.2f} GB that it may"
    if needed > limit:
        say(f"interactions: local, as a weight for every pair of {sizes}")
        return LocalConfig(values=config.values)
    if train.n_items > _MANY:
        say(f"interactions: local, as the closed form takes long with more than {_MANY:,} items")
        return LocalConfig(values=config.values)
    say(f"interactions: linear, as a weight for every pair of {sizes}")
    return LinearConfig(values=config.values)


def _memory() -> int:
    """Bytes that this machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def load_interactions(config: FittedConfig, n_items: int, tensors: Mapping[str, Tensor]) -> InteractionModel:
    """The model whose `state_dict` was saved.

    Args:
        config: as `fit_interactions` returned it.
        n_items: the number of items.
        tensors: what its `state_dict` gave; the model keeps them, not copies.

    Raises:
        RuntimeError: they are not those of such a model.
    """
    model: Linear | Local | Multinomial
    if isinstance(config, LinearConfig):
        model = Linear(n_items)
    elif isinstance(config, MultinomialConfig):
        model = Multinomial(config, n_items)
    else:
        missing = {"bounds", "columns", "weights"} - tensors.keys()
        if missing:
            raise RuntimeError(f"the weights of a local model lack {', '.join(sorted(missing))}")
        table = SparseTable(tensors["bounds"], tensors["columns"], tensors["weights"], n_items)
        model = Local(n_items, weights=table)
    model.load_state_dict(dict(tensors), assign=True)
    return model.eval()
