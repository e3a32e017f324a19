"""From a config to the model it describes."""

import torch

from refeed.baselines.bias import BiasModel
from refeed.baselines.mean import MeanModel
from refeed.config import AutoencoderConfig, BiasConfig, Config, RidgeConfig
from refeed.model.autoencoder import Autoencoder
from refeed.model.ensemble import Ensemble, ensemble_of
from refeed.model.ridge import RidgeAutoencoder

__all__ = ["Member", "build_member", "build_model"]

Member = Autoencoder | RidgeAutoencoder | BiasModel | MeanModel


def build_model(config: Config, *, n_users: int, n_items: int) -> Member | Ensemble:
    """Make a model of the kind that the config names, at its start.

    Args:
        config: kind, sizes, precision, seed, and how many members an ensemble has.
        n_users: users of the training ratings; they are what an item-based model predicts for.
        n_items: items of the training ratings.
    """
    if config.train.ensemble == 1:
        return build_member(config, n_users=n_users, n_items=n_items)
    members = range(config.train.ensemble)
    return ensemble_of([build_member(config, n_users=n_users, n_items=n_items) for _ in members])


def build_member(config: Config, *, n_users: int, n_items: int) -> Member:
    """Make a single model, whatever the size of the ensemble it will be part of (see `build_model`)."""
    if isinstance(config.model, BiasConfig):
        return BiasModel(config.model, n_items)
    if isinstance(config.model, RidgeConfig):
        ridge = RidgeAutoencoder(config.model, n_items)
        return ridge.double() if config.train.precision == "float64" else ridge
    if not isinstance(config.model, AutoencoderConfig):
        return MeanModel(config.model, n_items)
    columns = n_items if config.model.axis == "user" else n_users
    model = Autoencoder(config.model, columns, torch.Generator().manual_seed(config.train.seed))
    # Drawn in float32 and widened, so that both precisions start from the same numbers. Buffers stay.
    if config.train.precision == "float64":
        for parameter in model.parameters():
            parameter.data = parameter.data.double()
    return model
