"""Settings of the models of interactions, a class a kind. "auto": chosen on the validation interactions."""

from typing import Annotated, Literal

from pydantic import Field

from refeed.config.strict import Probability, Strict, Width

__all__ = [
    "AutoInteractionsConfig",
    "InteractionsConfig",
    "ItemToItemConfig",
    "LinearConfig",
    "ListsConfig",
    "LocalConfig",
    "MultinomialConfig",
]

_Strength = Annotated[float, Field(ge=0)] | Literal["auto"]
_Positive = Annotated[float, Field(gt=0)] | Literal["auto"]


class ItemToItemConfig(Strict):
    """What all models have whose scores are sums over the items of a history.

    Without validation interactions, "auto" is the number in brackets.

    Args:
        values: what the values of the interactions are: ratings or counts; where all are equal, no matter.
        ridge: λ, against people [500].
        ridge_power: b: how much more closely popular items are held [0].
        user_power: a: how much less a person counts whose history is long [0].
        grade: w: how much more an interaction counts as input that its user liked, a standard deviation [0].
        recency: ρ: how much more the latest interaction of a history counts than an early one [0].
        recency_span: τ: interactions after which that wears off.
        popularity: c: the weight of the share of people who took the item [0.1]; not 0, as it is all there
            is for somebody without a history.
        trend: g: the power of the items' trend, what they are taken of late against ever [0].
        half_life: days over which "of late" fades, for the trend.
    """

    values: Literal["rating", "count"] = "rating"
    ridge: _Positive = "auto"
    ridge_power: _Strength = "auto"
    user_power: _Strength = "auto"
    grade: _Strength = "auto"
    recency: _Strength = "auto"
    recency_span: _Positive = "auto"
    popularity: _Positive = "auto"
    trend: _Strength = "auto"
    half_life: _Positive = "auto"


class LinearConfig(ItemToItemConfig):
    """The linear autoencoder in closed form, a weight for every pair of items (see `ItemToItemConfig`)."""

    kind: Literal["linear"] = "linear"


class LocalConfig(ItemToItemConfig):
    """The linear autoencoder with a weight for near items alone (see `ItemToItemConfig`).

    Without validation, λ is 100, a and b are 0.5.

    Args:
        neighbours: K: how many items each item is predicted from.
    """

    kind: Literal["local"] = "local"
    neighbours: Annotated[int, Field(ge=1)] = 100


class MultinomialConfig(Strict):
    """The deep autoencoder with a softmax over the items.

    Args:
        values: see `ItemToItemConfig`.
        encoder: widths of the encoder's layers, the last one that of the code; the decoder mirrors it.
        grade: w: how much more an interaction counts that its user liked, a standard deviation.
        dropout: share of the interactions that the network does not see, drawn anew in every step.
        popularity: c: the weight of the share of people who took the item; "auto": chosen on validation.
        lr: learning rate of AdamW.
        weight_decay: of AdamW.
        batch: users a step.
        epochs: passes over the users, at most.
        patience: epochs without a better validation before it stops.
        seed: of the start, the order and the dropout; that of the whole training (`train.seed`) unless given.
    """

    kind: Literal["multinomial"] = "multinomial"
    values: Literal["rating", "count"] = "rating"
    encoder: Annotated[list[Width], Field(min_length=1)] = [200]
    grade: Annotated[float, Field(ge=0)] = 0.0
    dropout: Probability = 0.5
    popularity: _Positive = "auto"
    lr: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 0.01
    batch: Annotated[int, Field(ge=1)] = 100
    epochs: Annotated[int, Field(ge=1)] = 100
    patience: Annotated[int, Field(ge=1)] = 8
    seed: int = 0


class AutoInteractionsConfig(Strict):
    """The kind that fits the data: chosen by its size and on validation.

    Args:
        values: see `ItemToItemConfig`.
        memory: bytes that fitting may take; "auto": half of what the machine has.
    """

    kind: Literal["auto"] = "auto"
    values: Literal["rating", "count"] = "rating"
    memory: Annotated[int, Field(ge=1)] | Literal["auto"] = "auto"


InteractionsConfig = AutoInteractionsConfig | LinearConfig | LocalConfig | MultinomialConfig


class ListsConfig(Strict):
    """How lists weigh who will take an item up against how much they will like it (`models/list_score.py`).

    Args:
        liked: the lowest rating that counts as liked; "auto": that of the upper 40 % of training ratings.
        beta: β, the weight of log P(liked); "auto": 1, unless validation says otherwise beyond chance.
        floor: the least that an interaction score counts as; "auto": likewise, [0.003].
    """

    liked: Annotated[float, Field(allow_inf_nan=False)] | Literal["auto"] = "auto"
    beta: Annotated[float, Field(ge=0)] | Literal["auto"] = "auto"
    floor: Annotated[float, Field(gt=0)] | Literal["auto"] = "auto"
