"""From a config to the model it describes."""

from collections.abc import Sequence

import torch

from refeed.baselines.bias import BiasModel
from refeed.baselines.factors import FactorModel
from refeed.baselines.mean import MeanModel
from refeed.baselines.rrn import RrnModel
from refeed.baselines.solution import FactorConfig
from refeed.baselines.timesvdpp import TimeSvdppModel
from refeed.config import AutoencoderConfig, BiasConfig, Config, MeanConfig, RidgeConfig
from refeed.config.baselines import RrnConfig, TimeSvdppConfig
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.blend.model import Blend
from refeed.models.ensemble import Ensemble, ensemble_of
from refeed.models.interface import Model
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.seeds import seed_of_member

__all__ = ["Member", "assemble", "build_member", "build_model", "config_of_member"]

Member = Autoencoder | RidgeAutoencoder | BiasModel | MeanModel | FactorModel | TimeSvdppModel | RrnModel


def build_model(config: Config, *, n_users: int, n_items: int) -> Member | Ensemble | Blend:
    """Make a model of the kind that the config names, at its start.

    Args:
        config: kind, sizes, precision, seed, how many members an ensemble has, and what it is blended with.
        n_users: users of the training ratings, whom alone an item-based model or one of factors knows.
        n_items: items of the training ratings.
    """
    members = [config_of_member(config, member) for member in range(config.members)]
    return assemble(config, [build_member(member, n_users=n_users, n_items=n_items) for member in members])


def assemble(config: Config, members: Sequence[Model]) -> Member | Ensemble | Blend:
    """The model that these members make, in the order of `config_of_member`."""
    if config.network:
        return Blend(
            [member for member in members if isinstance(member, RidgeAutoencoder)],
            [member for member in members if isinstance(member, Autoencoder)],
        )
    return members[0] if len(members) == 1 else ensemble_of(members)  # type: ignore[return-value]


def config_of_member(config: Config, member: int) -> Config:
    """What a member is and how it is trained.

    The first one has the config's seed, the others seeds drawn from it; after those of the ensemble come the
    networks that it is blended with.
    """
    model, train = config.model, config.train
    if member >= train.ensemble and config.network and config.network_train:
        model, train = config.network, config.network_train
    seed = seed_of_member(config.train.seed, member)
    return Config(model=model, train=train.model_copy(update={"seed": seed}))


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
