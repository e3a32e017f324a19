"""The ridge autoencoder and an autoencoder of the paper's kind, blended.

    r̂ = (1 − w) · ridge + w · network,    w = a + b · 20 / (n + 20), kept within [0, 1]

Their errors have little in common where ratings come from the future: the network hides most of a history
while it is trained, the ridge autoencoder little. So it may be worth more for people of few ratings, n being
their number. a and b are fitted on validation ratings (`weight.py`).
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from refeed.models.autoencoder.network import Autoencoder
from refeed.models.ensemble import Ensemble, RidgeEnsemble, ensemble_of
from refeed.models.interface import Model, predict_blocks
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.store import Ratings

__all__ = ["THIN", "Blend", "thinness"]

THIN = 20.0
"""Ratings of a history that is half way between none and very many."""


def thinness(counts: Int64[np.ndarray, " users"]) -> Float64[np.ndarray, " users"]:
    """20 / (n + 20), from 1 for people without ratings to 0.

    Args:
        counts: n.
    """
    thin: Float64[np.ndarray, " users"] = THIN / (counts + THIN)
    return thin


class Blend(nn.Module):
    """A `Model`, and `Uncertain`; at its start (a = b = 0) it predicts as the ridge autoencoders do.

    Args:
        ridges: one, or the members of an ensemble.
        networks: user-based autoencoders, likewise.
    """

    axis: Literal["user", "item"] = "user"
    folds_in = True
    weight: Tensor
    weight_if_thin: Tensor
    quantiles: Tensor

    def __init__(self, ridges: list[RidgeAutoencoder], networks: list[Autoencoder]) -> None:
        super().__init__()
        self.ridge = ridges[0] if len(ridges) == 1 else RidgeEnsemble(ridges)
        self.network = networks[0] if len(networks) == 1 else ensemble_of(networks)
        self.register_buffer("weight", torch.zeros((), dtype=torch.float64))  # a
        self.register_buffer("weight_if_thin", torch.zeros((), dtype=torch.float64))  # b
        self.register_buffer("quantiles", self.ridge.quantiles.clone())

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """As any module, but weights of before b was there are read, too."""
        state_dict.setdefault(f"{prefix}weight_if_thin", self.weight_if_thin)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def each(self) -> list[Model]:
        """All members, the ridge autoencoders first."""
        both: tuple[Model, Model] = (self.ridge, self.network)
        return [one for part in both for one in (part.each() if isinstance(part, Ensemble) else [part])]

    def alone(self) -> RidgeAutoencoder | RidgeEnsemble:
        """The ridge autoencoders without the network: the same model, if it is idle."""
        self.ridge.quantiles.copy_(self.quantiles)
        return self.ridge

    @property
    def idle(self) -> bool:
        """Whether the network weighs nothing, whatever the history."""
        return not self.weights(np.array([0, np.iinfo(np.int64).max])).any()

    def weights(self, counts: Int64[np.ndarray, " users"]) -> Float64[np.ndarray, " users"]:
        """The network's weight w in what is predicted of people.

        Args:
            counts: how many ratings each has.
        """
        return np.clip(float(self.weight) + float(self.weight_if_thin) * thinness(counts), 0, 1)

    def _weights(self, histories: Ratings, users: Int64[np.ndarray, " some"]) -> Float64[np.ndarray, " some"]:
        return self.weights(histories.indptr[users + 1] - histories.indptr[users])

    def predict(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The predicted rating of each pair (see `Model`)."""
        predicted = self.ridge.predict(histories, users, items)
        weights = self._weights(histories, users)
        heard = np.flatnonzero(weights)
        if len(heard):
            of_network = self.network.predict(histories, users[heard], items[heard])
            predicted[heard] += weights[heard] * (of_network - predicted[heard])
        return predicted

    def predict_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The predicted ratings of all items by each of the users (see `Model`)."""
        predicted = self.ridge.predict_all(histories, users)
        if not self.idle:
            weights = self._weights(histories, users).astype(np.float32)[:, None]
            predicted += weights * (self.network.predict_all(histories, users) - predicted)
        return predicted

    def predict_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """The rows of `predict_all`, `size` users at a time (see `InBlocks`)."""
        ridges = predict_blocks(self.ridge, histories, users, size)
        if self.idle:
            yield from ridges
            return
        weights = torch.from_numpy(self._weights(histories, users).astype(np.float32))[:, None]
        networks = predict_blocks(self.network, histories, users, size)
        for number, (block, of_network) in enumerate(zip(ridges, networks, strict=True)):
            own = weights[number * size : number * size + len(block)]
            yield block.lerp_(of_network, own.to(block.device))

    def item_vectors(self) -> Float32[np.ndarray, "items width"] | None:
        """Those of the ridge autoencoders."""
        return self.ridge.item_vectors()

    def predictive_std(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """Those of the ridge autoencoders (see `Uncertain`)."""
        return self.ridge.predictive_std(histories, users, items)

    def predictive_std_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """Those of the ridge autoencoders, of all items (see `Uncertain`)."""
        return self.ridge.predictive_std_all(histories, users)

    def item_noise(self) -> Float32[np.ndarray, " items"]:
        """That of the ridge autoencoders (see `Uncertain`)."""
        return self.ridge.item_noise()
