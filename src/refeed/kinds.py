"""From a config to the model it describes."""

import torch

from refeed.baselines.bias import BiasModel
from refeed.baselines.configs import RrnConfig, TimeSvdppConfig
from refeed.baselines.factors import FactorConfig, FactorModel
from refeed.baselines.mean import MeanModel
from refeed.baselines.rrn import RrnModel
from refeed.baselines.timesvdpp import TimeSvdppModel
from refeed.config import AutoencoderConfig, BiasConfig, Config, MeanConfig, RidgeConfig
from refeed.model.autoencoder import Autoencoder
from refeed.model.ensemble import Ensemble, ensemble_of
from refeed.model.ridge import RidgeAutoencoder

__all__ = ["Member", "build_member", "build_model"]

Member = Autoencoder | RidgeAutoencoder | BiasModel | MeanModel | FactorModel | TimeSvdppModel | RrnModel


def build_model(config: Config, *, n_users: int, n_items: int) -> Member | Ensemble:
    """Make a model of the kind that the config names, at its start.

    Args:
        config: kind, sizes, precision, seed, and how many members an ensemble has.
        n_users: users of the training ratings, whom alone an item-based model or one of factors knows.
        n_items: items of the training ratings.
    """
    if config.train.ensemble == 1:
        return build_member(config, n_users=n_users, n_items=n_items)
    members = range(config.train.ensemble)
    return ensemble_of([build_member(config, n_users=n_users, n_items=n_items) for _ in members])


def build_member(config: Config, *, n_users: int, n_items: int) -> Member:
    """Make a single model, whatever the size of the ensemble it will be part of (see `build_model`)."""
    if isinstance(config.model, AutoencoderConfig):
        columns = n_items if config.model.axis == "user" else n_users
        model = Autoencoder(config.model, columns, torch.Generator().manual_seed(config.train.seed))
        # Drawn in float32 and widened, so that both precisions start from the same numbers. Buffers stay.
        if config.train.precision == "float64":
            for parameter in model.parameters():
                parameter.data = parameter.data.double()
        return model
    if isinstance(config.model, RidgeConfig):
        ridge = RidgeAutoencoder(config.model, n_items)
        return ridge.double() if config.train.precision == "float64" else ridge
    return _build_baseline(config, n_users, n_items)


def _build_baseline(
    config: Config, n_users: int, n_items: int
) -> BiasModel | MeanModel | FactorModel | TimeSvdppModel | RrnModel:
    if isinstance(config.model, BiasConfig):
        return BiasModel(config.model, n_items)
    if isinstance(config.model, RrnConfig):
        return RrnModel(config.model, n_users, n_items, config.train.seed)
    if isinstance(config.model, TimeSvdppConfig):
        return TimeSvdppModel(config.model, n_users, n_items, config.train.seed)
    if isinstance(config.model, FactorConfig):
        return FactorModel(config.model, n_users, n_items, config.train.seed)
    if isinstance(config.model, MeanConfig):
        return MeanModel(config.model, n_items)
    raise TypeError(f"{config.model.kind} is no baseline")
