"""From a config to the model it describes."""

import torch

from refeed.baselines.bias import BiasModel
from refeed.baselines.configs import RrnConfig, TimeSvdppConfig
from refeed.baselines.factors import FactorConfig, FactorModel
from refeed.baselines.mean import MeanModel
from refeed.baselines.rrn import RrnModel
from refeed.baselines.timesvdpp import TimeSvdppModel
from refeed.config import AutoencoderConfig, BiasConfig, Config
from refeed.model.autoencoder import Autoencoder

__all__ = ["build_model"]


def build_model(
    config: Config, *, n_users: int, n_items: int
) -> Autoencoder | BiasModel | MeanModel | FactorModel | TimeSvdppModel | RrnModel:
    """Make a model of the kind that the config names, at its start (of `train.seed`).

    Args:
        config: kind, sizes, precision and seed.
        n_users: users of the training ratings, whom alone an item-based model or one of factors knows.
        n_items: items of the training ratings.
    """
    if isinstance(config.model, BiasConfig):
        return BiasModel(config.model, n_items)
    if isinstance(config.model, RrnConfig):
        return RrnModel(config.model, n_users, n_items, config.train.seed)
    if isinstance(config.model, TimeSvdppConfig):
        return TimeSvdppModel(config.model, n_users, n_items, config.train.seed)
    if isinstance(config.model, FactorConfig):
        return FactorModel(config.model, n_users, n_items, config.train.seed)
    if not isinstance(config.model, AutoencoderConfig):
        return MeanModel(config.model, n_items)
    columns = n_items if config.model.axis == "user" else n_users
    model = Autoencoder(config.model, columns, torch.Generator().manual_seed(config.train.seed))
    # Drawn in float32 and widened, so that both precisions start from the same numbers. Buffers stay.
    if config.train.precision == "float64":
        for parameter in model.parameters():
            parameter.data = parameter.data.double()
    return model
