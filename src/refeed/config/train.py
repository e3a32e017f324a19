"""Settings of the training."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from refeed.config.strict import Probability, Strict

__all__ = ["TrainConfig"]


class TrainConfig(Strict):
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
        keep_state: keep resume.pt once the training is over, so that it can go on for more epochs.
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
    keep_state: bool = False

    @model_validator(mode="after")
    def _l2_is_coupled(self) -> "TrainConfig":
        if self.l2 and self.optimizer == "adamw":
            raise ValueError("l2 is part of the loss, which AdamW's decay is not: take optimizer = adam")
        return self
