"""Settings tried out on held-out interactions, with nothing computed twice that needs not be."""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from refeed.models.autoencoder.sparse import Batch
from refeed.models.interactions.inputs import Inputs
from refeed.models.interactions.item_to_item import ItemToItem
from refeed.models.interactions.popularity import shares, trends
from refeed.models.interactions.settings import Settings
from refeed.models.interactions.validation import HeldOut
from refeed.ratings.store import Ratings

__all__ = ["Learn", "Trials", "inputs_of", "inputs_of_all"]

_KEPT = 1 << 26  # numbers: sums that are kept for the next trial, some 256 MB
_CPU = torch.device("cpu")


Learn = Callable[[Batch, Settings], ItemToItem]
"""From the inputs of all users and the settings to a model, without popularity and trends."""


def inputs_of(settings: Settings, train: Ratings, *, counts: bool) -> Inputs:
    """The inputs that these settings make of histories.

    Args:
        settings: grade, recency and its span.
        train: of whose values the mean and the deviation are taken.
        counts: values are counts.
    """
    return Inputs(
        grade=settings.grade, recency=settings.recency, span=settings.recency_span, counts=counts
    ).fit(train)


def inputs_of_all(settings: Settings, train: Ratings, *, counts: bool) -> Batch:
    """What weights are learned from: graded, but whether recent or not."""
    plain = inputs_of(settings.but(recency=0.0), train, counts=counts)
    return plain.batch(train, np.arange(train.n_users), _CPU)


class Trials:
    """A `Trial` for a kind of weights.

    Args:
        train: the training interactions.
        held_out: those that lists are judged by.
        learn: from the inputs of all users and the settings to a model; called once for each `of_weights`.
        counts: values are counts.
    """

    def __init__(
        self,
        train: Ratings,
        held_out: HeldOut,
        learn: Learn,
        *,
        counts: bool,
    ) -> None:
        self._train, self._held_out, self._learn, self._counts = train, held_out, learn, counts
        self._shares = torch.from_numpy(shares(train)).float()
        self._fitted: tuple[tuple[float, ...], ItemToItem] | None = None
        self._kept: tuple[tuple[float, ...], dict[int, Tensor]] = ((), {})

    def __call__(self, settings: Settings) -> Float64[np.ndarray, " users"]:
        """The nDCG of each user."""
        trend = torch.from_numpy(trends(self._train, settings.trend, settings.half_life)).float()
        popularity = self._shares * settings.popularity

        def scores(users: Int64[np.ndarray, " some"]) -> Tensor:
            return (self._sums(settings, users) + popularity).mul_(trend)

        return self._held_out.ndcg(scores)

    def most_popular(self) -> Float64[np.ndarray, " users"]:
        """The nDCG of the list of what most people took."""
        return self._held_out.ndcg(lambda users: self._shares.repeat(len(users), 1))

    def _sums(self, settings: Settings, users: Int64[np.ndarray, " some"]) -> Tensor:
        if self._kept[0] != settings.of_sums:
            self._kept = (settings.of_sums, {})
        kept, first = self._kept[1], int(users[0])
        if first in kept:
            return kept[first]
        inputs = inputs_of(settings, self._train, counts=self._counts)
        sums = self._model(settings).sums(inputs.batch(self._train, users, _CPU))
        if len(self._held_out) * self._train.n_items <= _KEPT:
            kept[first] = sums
        return sums

    def _model(self, settings: Settings) -> ItemToItem:
        if self._fitted is None or self._fitted[0] != settings.of_weights:
            self._fitted = None  # the old weights' memory is free before the new ones take theirs
            everybody = inputs_of_all(settings, self._train, counts=self._counts)
            self._fitted = settings.of_weights, self._learn(everybody, settings)
        return self._fitted[1]
