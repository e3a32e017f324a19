"""The ridge autoencoder and an autoencoder of the paper's kind, blended.

    r̂ = (1 − w) · ridge + w · network

Their errors have little in common where ratings come from the future: the network hides most of a history
while it is trained, the ridge autoencoder little. w is fitted on validation ratings (`weight.py`).
"""

from collections.abc import Iterator
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from refeed.models.autoencoder.network import Autoencoder
from refeed.models.ensemble import Ensemble, RidgeEnsemble, ensemble_of
from refeed.models.interface import Model, predict_blocks
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.store import Ratings

__all__ = ["Blend"]


class Blend(nn.Module):
    """A `Model`, and `Uncertain`; at its start (w = 0) it predicts as the ridge autoencoders do.

    Args:
        ridges: one, or the members of an ensemble.
        networks: user-based autoencoders, likewise.
    """

    axis: Literal["user", "item"] = "user"
    folds_in = True
    weight: Tensor
    quantiles: Tensor

    def __init__(self, ridges: list[RidgeAutoencoder], networks: list[Autoencoder]) -> None:
        super().__init__()
        self.ridge = ridges[0] if len(ridges) == 1 else RidgeEnsemble(ridges)
        self.network = networks[0] if len(networks) == 1 else ensemble_of(networks)
        self.register_buffer("weight", torch.zeros((), dtype=torch.float64))
        self.register_buffer("quantiles", self.ridge.quantiles.clone())

    def each(self) -> list[Model]:
        """All members, the ridge autoencoders first."""
        both: tuple[Model, Model] = (self.ridge, self.network)
        return [one for part in both for one in (part.each() if isinstance(part, Ensemble) else [part])]

    def alone(self) -> RidgeAutoencoder | RidgeEnsemble:
        """The ridge autoencoders without the network: the same model, if w is 0."""
        self.ridge.quantiles.copy_(self.quantiles)
        return self.ridge

    def _parts(self) -> list[tuple[Model, float]]:
        """What counts, and how much."""
        weight = float(self.weight)
        both: list[tuple[Model, float]] = [(self.ridge, 1 - weight), (self.network, weight)]
        return [(part, share) for part, share in both if share]

    def predict(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The predicted rating of each pair (see `Model`)."""
        predicted: Float64[np.ndarray, " pairs"] = np.zeros(len(users))
        for part, share in self._parts():
            predicted += share * part.predict(histories, users, items)
        return predicted

    def predict_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The predicted ratings of all items by each of the users (see `Model`)."""
        (first, share), *others = self._parts()
        predicted = first.predict_all(histories, users) * np.float32(share)
        for part, of_it in others:
            predicted += part.predict_all(histories, users) * np.float32(of_it)
        return predicted

    def predict_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """The rows of `predict_all`, `size` users at a time (see `InBlocks`)."""
        (_, share), *others = parts = self._parts()
        for first, *rest in zip(
            *(predict_blocks(part, histories, users, size) for part, _ in parts), strict=True
        ):
            first.mul_(share)
            for block, (_, of_it) in zip(rest, others, strict=True):
                first.add_(block, alpha=of_it)
            yield first

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
