"""What a model is and how it is trained: strict, frozen, read from TOML and written to it.

A recipe is such a file under `recipes/`; the resolved config is saved with every model.
"""

import json
import tomllib
from collections.abc import Iterable, Mapping
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from refeed.baselines.configs import (
    CornacMFConfig,
    LenskitMFConfig,
    MyFMConfig,
    PmfConfig,
    RrnConfig,
    SurpriseConfig,
    SvdppConfig,
    TimeSvdppConfig,
)
from refeed.errors import ConfigError

__all__ = [
    "Activation",
    "AutoencoderConfig",
    "BiasConfig",
    "Config",
    "MeanConfig",
    "RidgeConfig",
    "TrainConfig",
    "config_from_toml",
    "load_recipe",
    "recipe_names",
]

Activation = Literal["sigmoid", "relu", "relu6", "tanh", "elu", "lrelu", "swish", "selu", "none"]
Width = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]
_Damping = Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2, max_length=2)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class AutoencoderConfig(_Strict):
    """The paper's deep autoencoder (section 2), and the `simple` variant of it.

    Args:
        axis: "user": a row is a user over the items; "item": an item over the users (I-AutoRec).
        encoder: widths of the encoder's layers; the last one is the code.
        decoder: widths of the decoder's hidden layers; None mirrors the encoder.
        tied: decoder weights are the encoder's, transposed (the paper's "constrained").
        activation: after every layer.
        output_activation: whether it is applied to the last decoder layer too.
        output_start: what the output starts from, with a linear last layer: "zero", or "mean", its biases at
            the mean of the training ratings.
        dropout: probability of dropping a unit of the code layer.
        dropout_everywhere: apply that dropout after every hidden layer, not on the code alone.
        target: "rating": raw ratings in and out (the paper); "residual": what is left after damped biases.
        bias_damping: [user, item], added to the counts in the damped biases of the residual; None picks them
            on the validation ratings.
        input_scale: "none" (the paper), or "sqrt": inputs divided by the root of the number of ratings.
        rated_channel: a second input for each item that says whether it is rated.
    """

    kind: Literal["autoencoder"] = "autoencoder"
    axis: Literal["user", "item"] = "user"
    encoder: Annotated[list[Width], Field(min_length=1)]
    decoder: list[Width] | None = None
    tied: bool = False
    activation: Activation = "selu"
    output_activation: bool = True
    output_start: Literal["zero", "mean"] = "zero"
    dropout: Probability = 0.0
    dropout_everywhere: bool = False
    target: Literal["rating", "residual"] = "rating"
    bias_damping: _Damping | None = None
    input_scale: Literal["none", "sqrt"] = "none"
    rated_channel: bool = False

    @model_validator(mode="after")
    def _tied_mirrors(self) -> "AutoencoderConfig":
        if self.tied and self.decoder not in (None, self.encoder[-2::-1]):
            raise ValueError(
                f"a tied decoder mirrors the encoder: decoder must be {self.encoder[-2::-1]} or left out"
            )
        return self

    @model_validator(mode="after")
    def _start_is_linear(self) -> "AutoencoderConfig":
        if self.output_start == "mean" and (self.output_activation and self.activation != "none"):
            raise ValueError("output_start = mean needs a linear output: model.output_activation = false")
        if self.output_start == "mean" and self.target == "residual":
            raise ValueError("output_start = mean is for target = rating; residuals start at the biases")
        return self


class RidgeConfig(_Strict):
    """The ridge autoencoder: a closed-form code, trained on exact leave-one-out errors.

    Args:
        width: of the code; "auto": 24 below 200 thousand ratings, 32 below 600 thousand, else 48.
        shrinkage: λ, the precision of the code's prior against that of a rating.
        hidden: share of the ratings that the code does not see, drawn anew in every step.
        noise: deviation of the noise that item vectors are multiplied by in every step.
        prior_vectors: precision of the items' vectors V; "auto": chosen on the validation ratings; without
            these, by the number of ratings.
        prior_users: precision of what users add to the items they rated, F; "auto": likewise.
        prior_pulls: precision of what having rated an item says of a user, Y.
        prior_bias: precision of the items' biases.
        drift: days over which the past of an item's level counts for its future; 0: its past counts alike,
            however long ago; "auto": chosen on the validation ratings, 0 without these or without times.
    """

    kind: Literal["ridge"] = "ridge"
    width: Width | Literal["auto"] = "auto"
    shrinkage: Annotated[float, Field(gt=0)] = 0.7
    hidden: Probability = 0.2
    noise: Annotated[float, Field(ge=0)] = 0.3
    prior_vectors: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    prior_users: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    prior_pulls: Annotated[float, Field(ge=0)] = 3.0
    prior_bias: Annotated[float, Field(ge=0)] = 10.0
    drift: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"


class BiasConfig(_Strict):
    """Baseline: mean + damped user bias + damped item bias.

    Args:
        damping: [user, item], added to the counts; None picks them on the validation ratings.
    """

    kind: Literal["bias"] = "bias"
    damping: _Damping | None = None


class MeanConfig(_Strict):
    """Baseline: the mean of all training ratings."""

    kind: Literal["mean"] = "mean"


class TrainConfig(_Strict):
    """How a network is trained (paper section 3; reference-semantics of the published software).

    Args:
        optimizer: "sgd" with momentum, "adam" (L2), or "adamw" (decoupled weight decay).
        lr: learning rate.
        lr_for_batch: the batch that `lr` was chosen for: with another one the rate is scaled, by the ratio of
            the two for SGD and its root for AdamW; None: `lr` is taken as it is.
        momentum: of SGD.
        weight_decay: L2 for SGD and Adam, decoupled for AdamW; on all parameters, biases too.
        l2: λ of λ/2 Σ‖W‖² beside the squared errors, both summed over all training ratings; on the matrices
            alone (AutoRec: Sedhain et al. 2015). Not for AdamW.
        schedule: "constant", "steps" (lr × gamma at each milestone) or "cosine" (to 0 over all epochs).
        milestones: epochs, counted from 0, at which "steps" lowers the rate.
        gamma: the factor of "steps".
        warmup: updates over which the rate rises linearly from 0.
        input_dropout: in every step, a share of each user's ratings, drawn between 0 and this, is hidden from
            the input (a denoising autoencoder: Strub & Mary 2015); all are predicted.
        kept_weight: weight, in the loss, of the ratings that the input shows, where some are hidden.
        batch: users a batch; "auto": a twentieth of the users, between 128 and 4096.
        drop_last: leave the last, partial batch of an epoch out (the published software does).
        epochs: passes over the users.
        steps: batches in all, instead of `epochs`.
        patience: stop after so many epochs without a better validation RMSE; 0: never.
        refeed: K, dense re-feeds a batch (paper section 2.2).
        refeed_label: what a re-feed is compared with: "output" (its own input; the paper), "ratings" (the
            user's ratings), or "joint" (as "output", but all losses in one update).
        refeed_path: how a re-feed is computed: "dense", "collapsed" (for a linear output layer; the same
            numbers, at a cost that does not grow with the batch), or "auto", the cheaper one.
        update_path: how the matrices with a row an item are updated: "dense", "sparse" (only the rows that a
            batch touches, the others before they are read; the same numbers, at a cost that does not grow
            with the items), or "auto", the cheaper one. A re-feed touches every row.
        precision: "float32" or "float64", of the weights and all arithmetic; "bf16": as float32, but what
            goes into a training step's matrix products is rounded to bf16; "auto": bf16 where this machine
            multiplies it much faster, else float32.
        ensemble: how many models of different seeds to train; predictions are the means of theirs.
        seed: of the start, the order of the users and the dropout; below 2³¹, as the libraries of some peers
            take no larger one.
        checkpoint_minutes: also checkpoint within an epoch when so much time has passed.
    """

    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    lr: Annotated[float, Field(gt=0)] = 0.001
    lr_for_batch: Annotated[int, Field(ge=1)] | None = None
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    l2: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "steps", "cosine"] = "constant"
    milestones: list[Annotated[int, Field(ge=1)]] = [24, 36, 48, 66, 72]
    gamma: Annotated[float, Field(gt=0, le=1)] = 0.5
    warmup: Annotated[int, Field(ge=0)] = 0
    input_dropout: Probability = 0.0
    kept_weight: Annotated[float, Field(ge=0, le=1)] = 1.0
    batch: Annotated[int, Field(ge=1)] | Literal["auto"] = 128
    drop_last: bool = False
    epochs: Annotated[int, Field(ge=1)] = 100
    steps: Annotated[int, Field(ge=1)] | None = None
    patience: Annotated[int, Field(ge=0)] = 0
    refeed: Annotated[int, Field(ge=0)] = 0
    refeed_label: Literal["output", "ratings", "joint"] = "output"
    refeed_path: Literal["auto", "dense", "collapsed"] = "auto"
    update_path: Literal["auto", "dense", "sparse"] = "auto"
    precision: Literal["auto", "float32", "bf16", "float64"] = "float32"
    ensemble: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    checkpoint_minutes: Annotated[float, Field(gt=0)] = 10.0

    @model_validator(mode="after")
    def _l2_is_coupled(self) -> "TrainConfig":
        if self.l2 and self.optimizer == "adamw":
            raise ValueError("l2 is part of the loss, which AdamW's decay is not: take optimizer = adam")
        return self


class Config(_Strict):
    """A recipe, resolved: what `config.toml` of a model folder holds.

    Args:
        model: which model, and its sizes.
        train: how it is trained.
        network: of a ridge autoencoder: the autoencoder that it is blended with (`model/blend.py`).
        network_train: how that one is trained.
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


def load_recipe(name_or_file: str, settings: Iterable[str] = ()) -> Config:
    """A packaged recipe or a TOML file, with `section.key=value` settings laid over it.

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
    return config_from_toml(text, where=name_or_file, settings=settings)


def config_from_toml(text: str, *, where: str, settings: Iterable[str] = ()) -> Config:
    """Read a config from TOML.

    Args:
        text: the TOML.
        where: what to call it in a message.
        settings: `section.key=value` each, laid over the text.

    Raises:
        ConfigError: as `load_recipe`.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where} is not TOML: {error}") from error
    for setting in settings:
        _lay_over(table, setting)
    try:
        return Config.model_validate(table)
    except ValidationError as error:
        lines = [_line(problem) for problem in error.errors()]
        raise ConfigError(f"{where} can't be used:\n" + "\n".join(lines)) from error


def _lay_over(table: dict[str, Any], setting: str) -> None:
    key, equals, value = setting.partition("=")
    section, dot, name = key.strip().partition(".")
    if not (equals and dot and section and name):
        raise ConfigError(f"--set {setting!r} is not of the form section.key=value, such as train.lr=0.005")
    try:
        parsed = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()  # a bare word is a string: train.optimizer=adamw
    table.setdefault(section, {})[name] = parsed


def _line(problem: Mapping[str, Any]) -> str:
    path = [str(part) for part in problem["loc"]]
    if path[:1] == ["model"]:
        del path[1:2]  # the kind: a part of pydantic's path, and no key that the user wrote
    # Nor are the types that a value could have had; places in a list are.
    path = path[:2] + [part for part in path[2:] if part.isdigit()]
    if problem["type"] == "extra_forbidden":
        return f"  {'.'.join(path)}: there is no such key"
    if problem["type"] == "value_error":  # ours, of several keys together: the message names them
        return f"  {'.'.join(path) or 'together'}: {problem['ctx']['error']}"
    return f"  {'.'.join(path)} = {problem['input']!r}: {problem['msg']}"
