"""What a model is and how it is trained: strict, frozen, read from TOML and written to it."""

from refeed.config.interactions import (
    AutoInteractionsConfig,
    InteractionsConfig,
    LinearConfig,
    ListsConfig,
    LocalConfig,
    MultinomialConfig,
)
from refeed.config.models import Activation, AutoencoderConfig, BiasConfig, MeanConfig, RidgeConfig
from refeed.config.recipe import Config, config_from_toml, load_recipe, recipe_names
from refeed.config.train import TrainConfig

__all__ = [
    "Activation",
    "AutoInteractionsConfig",
    "AutoencoderConfig",
    "BiasConfig",
    "Config",
    "InteractionsConfig",
    "LinearConfig",
    "ListsConfig",
    "LocalConfig",
    "MeanConfig",
    "MultinomialConfig",
    "RidgeConfig",
    "TrainConfig",
    "config_from_toml",
    "load_recipe",
    "recipe_names",
]
