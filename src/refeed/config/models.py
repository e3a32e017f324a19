"""Settings of refeed's own models, a class a kind."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from refeed.config.strict import Damping, Probability, Strict, Width

__all__ = ["Activation", "AutoencoderConfig", "BiasConfig", "MeanConfig", "RidgeConfig"]

Activation = Literal["sigmoid", "relu", "relu6", "tanh", "elu", "lrelu", "swish", "selu", "none"]


class AutoencoderConfig(Strict):
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
    bias_damping: Damping | None = None
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


class RidgeConfig(Strict):
    """The ridge autoencoder: a closed-form code, trained on exact leave-one-out errors.

    Args:
        width: of the code; "auto": 24 below 200 thousand ratings, 32 below 600 thousand, else 48; 16 where
            there are fewer than 6 for each user and item.
        shrinkage: λ, the precision of the code's prior against that of a rating.
        hidden: share of the ratings that the code does not see, drawn anew in every step.
        noise: deviation of the noise that item vectors are multiplied by in every step.
        prior_vectors: precision of the items' vectors V; "auto": chosen on the validation ratings; without
            these, by the number of ratings.
        prior_users: precision of what users add to the vectors of the items they rated, F; "auto": likewise.
        prior_implicit: precision of what having rated an item says of a user, Y.
        prior_bias: precision of the items' biases; "auto": from how much the items' levels differ, by the
            marginal likelihood of the training ratings (`models/ridge/mixed_levels.py`).
        prior_user_bias: precision of what users add to the biases of the items they rated, f; "auto":
            likewise.
        spacing: whether it is learned how far apart the levels of the scale are, as codes see them.
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
    prior_implicit: Annotated[float, Field(ge=0)] = 3.0
    prior_bias: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    prior_user_bias: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    spacing: bool = True
    drift: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"


class BiasConfig(Strict):
    """Baseline: mean + damped user bias + damped item bias.

    Args:
        damping: [user, item], added to the counts; None picks them on the validation ratings.
    """

    kind: Literal["bias"] = "bias"
    damping: Damping | None = None


class MeanConfig(Strict):
    """Baseline: the mean of all training ratings."""

    kind: Literal["mean"] = "mean"
