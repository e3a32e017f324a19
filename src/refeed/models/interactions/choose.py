"""From a config of interactions to the fitted model, and from saved tensors back to it."""

from collections.abc import Callable, Mapping

from torch import Tensor

from refeed.config.interactions import InteractionsConfig
from refeed.models.interactions.fit_linear import fit_linear
from refeed.models.interactions.interface import InteractionModel
from refeed.models.interactions.linear import Linear
from refeed.ratings.store import Ratings

__all__ = ["fit_interactions", "load_interactions"]

Say = Callable[[str], None]


def fit_interactions(
    config: InteractionsConfig, train: Ratings, valid: Ratings | None = None, say: Say = print
) -> tuple[InteractionsConfig, InteractionModel]:
    """The config without "auto", and the model that it describes, fitted.

    Args:
        config: which kind of model, and its settings.
        train: the interactions to learn from: who took what, with ratings or counts as values.
        valid: held-out interactions, on which what is "auto" is chosen; None: defaults.
        say: hears what is done and why, a line at a time.

    Raises:
        ConfigError: settings that can't be used with these interactions.
    """
    return fit_linear(config, train, valid, say)


def load_interactions(
    config: InteractionsConfig, n_items: int, tensors: Mapping[str, Tensor]
) -> InteractionModel:
    """The model whose `state_dict` was saved.

    Args:
        config: as `fit_interactions` returned it.
        n_items: the number of items.
        tensors: what its `state_dict` gave; the model keeps them, not copies.

    Raises:
        RuntimeError: they are not those of such a model.
    """
    model = Linear(n_items)
    model.load_state_dict(dict(tensors), assign=True)
    return model.eval()
