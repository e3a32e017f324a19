"""A recipe, resolved: a TOML file under `recipes/` or of the user's own, with settings laid over it."""

import json
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from refeed.config.baselines import (
    CornacMFConfig,
    LenskitMFConfig,
    MyFMConfig,
    PmfConfig,
    RrnConfig,
    SurpriseConfig,
    SvdppConfig,
    TimeSvdppConfig,
)
from refeed.config.interactions import InteractionsConfig, ListsConfig
from refeed.config.models import AutoencoderConfig, BiasConfig, MeanConfig, RidgeConfig
from refeed.config.strict import Strict
from refeed.config.train import TrainConfig
from refeed.errors import ConfigError

__all__ = ["Config", "config_from_toml", "load_recipe", "recipe_names"]


class Config(Strict):
    """A recipe, resolved: what `config.toml` of a model folder holds.

    Args:
        model: which model, and its sizes.
        train: how it is trained.
        network: of a ridge autoencoder: the autoencoder that it is blended with (`models/blend/model.py`).
        network_train: how that one is trained.
        interactions: the model of who takes what up, for lists; None: lists go by the predicted rating alone.
        lists: how lists weigh the two.
    """

    model: Annotated[
        AutoencoderConfig
        | RidgeConfig
        | BiasConfig
        | MeanConfig
        | PmfConfig
        | SvdppConfig
        | TimeSvdppConfig
        | RrnConfig
        | SurpriseConfig
        | CornacMFConfig
        | LenskitMFConfig
        | MyFMConfig,
        Field(discriminator="kind"),
    ]
    train: TrainConfig = TrainConfig()
    network: AutoencoderConfig | None = None
    network_train: TrainConfig | None = None
    interactions: Annotated[InteractionsConfig, Field(discriminator="kind")] | None = None
    lists: ListsConfig = ListsConfig()

    @property
    def members(self) -> int:
        """How many networks are trained: those of the ensemble, and those that it is blended with."""
        return self.train.ensemble + (self.network_train.ensemble if self.network_train else 0)

    @model_validator(mode="after")
    def _networks_are_blended_with_ridges(self) -> "Config":
        if (self.network is None) != (self.network_train is None):
            raise ValueError("network and network_train go together: give both sections, or neither")
        if self.network and not isinstance(self.model, RidgeConfig):
            raise ValueError(f"a network is blended with the kind ridge, not with {self.model.kind}")
        if self.network and self.network.axis != "user":
            raise ValueError("a network that is blended is user-based: leave network.axis out")
        if self.network_train and self.network_train.seed:
            raise ValueError("the network's seed is drawn from train.seed: leave network_train.seed out")
        return self

    @model_validator(mode="after")
    def _ensembles_are_trained(self) -> "Config":
        if self.train.ensemble > 1 and not isinstance(self.model, AutoencoderConfig | RidgeConfig):
            raise ValueError(
                f"ensemble = {self.train.ensemble} is for the kinds autoencoder and ridge, not for "
                f"{self.model.kind}; leave it out"
            )
        return self

    @model_validator(mode="after")
    def _ridge_has_priors(self) -> "Config":
        others = ("input_dropout", "l2", "refeed", "weight_decay")
        given = [key for key in others if getattr(self.train, key)]
        given += ["update_path = sparse"] if self.train.update_path == "sparse" else []
        given += ["precision = bf16"] if self.train.precision == "bf16" else []
        if isinstance(self.model, RidgeConfig) and given:
            raise ValueError(
                f"a ridge autoencoder has no {', '.join(given)}; leave it out (its priors, hidden and noise "
                "are in the section model)"
            )
        return self

    @model_validator(mode="after")
    def _collapsed_is_linear(self) -> "Config":
        for model, train in ((self.model, self.train), (self.network, self.network_train)):
            linear = isinstance(model, AutoencoderConfig) and (
                not model.output_activation or model.activation == "none"
            )
            if train and train.refeed_path == "collapsed" and not linear:
                raise ValueError(
                    "refeed_path = collapsed needs a linear output: model.output_activation = false"
                )
        return self

    @model_validator(mode="after")
    def _sparse_has_no_refeeds(self) -> "Config":
        for train in (self.train, self.network_train):
            if not train or train.update_path != "sparse":
                continue
            if train.refeed:
                raise ValueError(
                    "update_path = sparse needs train.refeed = 0, as a re-feed touches every item"
                )
            if train.optimizer == "adam" or train.l2:
                raise ValueError(
                    "update_path = sparse is for the optimizers sgd and adamw, without l2; leave it out"
                )
        return self

    def laid_over(self, values: Mapping[str, Any]) -> "Config":
        """The same with other settings: `{"train.steps": 100}`.

        Raises:
            ConfigError: unknown keys, or values out of range.
        """
        table = self.model_dump(exclude_none=True)
        for key, value in values.items():
            _lay_over(table, key, value)
        return _validated(table, "the config")

    def to_toml(self) -> str:
        """This config as TOML; `config_from_toml` reads it back."""
        lines: list[str] = []
        for section, table in self.model_dump(exclude_none=True).items():
            # JSON's strings, numbers, booleans and flat lists are TOML's too.
            lines += [f"[{section}]", *(f"{key} = {json.dumps(value)}" for key, value in table.items()), ""]
        return "\n".join(lines)


def recipe_names() -> list[str]:
    """The names of the recipes that come with the package."""
    return sorted(
        entry.name.removesuffix(".toml")
        for entry in resources.files("refeed.recipes").iterdir()
        if entry.name.endswith(".toml")
    )


def load_recipe(
    name_or_file: str, settings: Iterable[str] = (), *, values: Mapping[str, Any] | None = None
) -> Config:
    """A packaged recipe or a TOML file, with settings laid over it.

    Args:
        name_or_file: the recipe.
        settings: `section.key=value` each.
        values: the same from Python: `{"section.key": value}`.

    Raises:
        ConfigError: no such recipe or file, no TOML, unknown keys, values out of range; all at once.
    """
    if name_or_file in recipe_names():
        text = (resources.files("refeed.recipes") / f"{name_or_file}.toml").read_text(encoding="utf-8")
    elif Path(name_or_file).is_file():
        text = Path(name_or_file).read_text(encoding="utf-8")
    else:
        raise ConfigError(
            f"{name_or_file!r} is neither a file nor one of the recipes: {', '.join(recipe_names())}"
        )
    return config_from_toml(text, where=name_or_file, settings=settings, values=values)


def config_from_toml(
    text: str, *, where: str, settings: Iterable[str] = (), values: Mapping[str, Any] | None = None
) -> Config:
    """Read a config from TOML.

    Args:
        text: the TOML.
        where: what to call it in a message.
        settings: `section.key=value` each, laid over the text.
        values: the same from Python.

    Raises:
        ConfigError: as `load_recipe`.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    for setting in settings:
        _lay_over(table, *_parsed(setting))
    for key, value in (values or {}).items():
        _lay_over(table, key, value)
    return _validated(table, where)


def _validated(table: Mapping[str, Any], where: str) -> Config:
    try:
        return Config.model_validate(table)
    except ValidationError as error:
        lines = [_line(problem) for problem in error.errors()]
        raise ConfigError(f"{where} can't be used:\n" + "\n".join(lines)) from error


def _parsed(setting: str) -> tuple[str, Any]:
    """A setting of the command line: its key and its value."""
    key, equals, value = setting.partition("=")
    if not equals:
        raise ConfigError(_malformed(setting))
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()  # a bare word is a string: train.optimizer=adamw


def _lay_over(table: dict[str, Any], key: str, value: object) -> None:
    section, dot, name = key.partition(".")
    if not (dot and section and name):
        raise ConfigError(_malformed(key))
    table.setdefault(section, {})[name] = value


def _malformed(setting: str) -> str:
    return f"the setting {setting!r} is not of the form section.key=value, such as train.lr=0.005"


_KINDS = {"model": "ridge", "interactions": "auto"}
"""What the default recipe has."""


def _line(problem: Mapping[str, Any]) -> str:
    path = [str(part) for part in problem["loc"]]
    if path[:1] in (["model"], ["interactions"]):
        del path[1:2]  # the kind: a part of pydantic's path, and no key that the user wrote
    # Nor are the types that a value could have had; places in a list are.
    path = path[:2] + [part for part in path[2:] if part.isdigit()]
    if problem["type"] == "extra_forbidden":
        return f"  {'.'.join(path)}: there is no such key"
    if problem["type"] == "union_tag_not_found":
        return f"  [{'.'.join(path)}] has no kind; give one, such as kind = {_KINDS[path[0]]!r}"
    if problem["type"] == "union_tag_invalid":
        known = problem["ctx"]["expected_tags"].replace("'", "")
        return f"  {'.'.join(path)}.kind = {problem['ctx']['tag']!r}: it is none of {known}"
    if problem["type"] == "value_error":  # ours, of several keys together: the message names them
        return f"  {'.'.join(path) or 'together'}: {problem['ctx']['error']}"
    return f"  {'.'.join(path)} = {problem['input']!r}: {problem['msg']}"
