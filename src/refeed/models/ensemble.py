"""Several models of one kind and different seeds as one: its predictions are the means of theirs."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from refeed.models.interface import Model, predict_blocks
from refeed.models.intervals import LEVELS
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.store import Ratings

__all__ = ["Ensemble", "RidgeEnsemble", "ensemble_of"]


class Ensemble(nn.Module):
    """A `Model` that averages others; what costs one model's time costs it as often as there are members.

    Args:
        members: models (and modules) of the same kind and size, at least one.
    """

    def __init__(self, members: Sequence[Model]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)  # type: ignore[arg-type]  # models are modules, too
        self.axis: Literal["user", "item"] = members[0].axis
        self.folds_in = members[0].folds_in

    def each(self) -> list[Model]:
        """The members."""
        return list(self.members)  # type: ignore[arg-type]

    def predict(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The mean of the members' predictions of each pair (see `Model`)."""
        mean: Float64[np.ndarray, " pairs"] = np.mean(
            [member.predict(histories, users, items) for member in self.each()], axis=0
        )
        return mean

    def predict_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The mean of the members' predictions of all items (see `Model`)."""
        total: Float32[np.ndarray, "users items"] = sum(
            (member.predict_all(histories, users) for member in self.each()[1:]),
            start=self.each()[0].predict_all(histories, users),
        )
        return total / np.float32(len(self.members))

    def predict_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """The rows of `predict_all`, `size` users at a time (see `InBlocks`)."""
        each = [predict_blocks(member, histories, users, size) for member in self.each()]
        for first, *others in zip(*each, strict=True):
            for other in others:
                first.add_(other)
            yield first.div_(len(each))

    def item_vectors(self) -> Float32[np.ndarray, "items width"] | None:
        """The members' vectors side by side; None if they have none."""
        vectors = [member.item_vectors() for member in self.each()]
        return None if vectors[0] is None else np.concatenate(vectors, axis=1)  # type: ignore[arg-type]


class RidgeEnsemble(Ensemble):
    """An ensemble of ridge autoencoders: `Uncertain` and `Explaining` as they are."""

    quantiles: Tensor

    def __init__(self, members: Sequence[RidgeAutoencoder]) -> None:
        super().__init__(members)
        self.register_buffer("quantiles", torch.zeros(len(LEVELS), dtype=torch.float64))
        self.quantiles.copy_(torch.stack([member.quantiles for member in members]).mean(dim=0))

    def ridges(self) -> list[RidgeAutoencoder]:
        """The members."""
        return list(self.members)  # type: ignore[arg-type]

    def predictive_std(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The mean of the members' predictive_std."""
        mean: Float64[np.ndarray, " pairs"] = np.mean(
            [member.predictive_std(histories, users, items) for member in self.ridges()], axis=0
        )
        return mean

    def predictive_std_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The mean of the members' predictive_std, of all items."""
        first, *others = self.ridges()
        total = first.predictive_std_all(histories, users)
        for other in others:
            total += other.predictive_std_all(histories, users)
        return total / np.float32(len(self.members))

    def item_noise(self) -> Float32[np.ndarray, " items"]:
        """The mean of the members' τ²."""
        noise: Float32[np.ndarray, " items"] = np.mean(
            [member.item_noise() for member in self.ridges()], axis=0
        )
        return noise

    def explain(
        self, histories: Ratings, user: int, item: int
    ) -> tuple[float, Float64[np.ndarray, " ratings"]]:
        """The means of the members' levels and parts."""
        levels, parts = zip(*(member.explain(histories, user, item) for member in self.ridges()), strict=True)
        mean: Float64[np.ndarray, " ratings"] = np.mean(parts, axis=0)
        return float(np.mean(levels)), mean


def ensemble_of(members: Sequence[Model]) -> Ensemble:
    """The ensemble that these members make."""
    ridges = [member for member in members if isinstance(member, RidgeAutoencoder)]
    return RidgeEnsemble(ridges) if len(ridges) == len(members) else Ensemble(members)
