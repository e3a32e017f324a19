"""Several models of one kind, of different seeds, as one: its predictions are the means of theirs."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from refeed.errors import ModelError
from refeed.model.explaining import Explaining
from refeed.model.interface import Model, predict_blocks
from refeed.model.intervals import LEVELS, Uncertain
from refeed.ratings.store import Ratings

__all__ = ["Ensemble"]


class Ensemble(nn.Module):
    """A `Model` that averages others; what costs one model's time costs it as often as there are members.

    Args:
        members: models (and modules) of the same kind and size, at least one.
    """

    quantiles: Tensor

    def __init__(self, members: Sequence[Model]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)  # type: ignore[arg-type]  # models are modules, too
        self.axis: Literal["user", "item"] = members[0].axis
        self.register_buffer("quantiles", torch.zeros(len(LEVELS), dtype=torch.float64))

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

    def explain(
        self, histories: Ratings, user: int, item: int
    ) -> tuple[float, Float64[np.ndarray, " ratings"]]:
        """The means of the members' levels and parts (see `Explaining`).

        Raises:
            ModelError: the members' predictions are no sums.
        """
        each = [
            member.explain(histories, user, item) for member in self.each() if isinstance(member, Explaining)
        ]
        if not each:
            raise ModelError("a prediction of this kind of model is no sum; train a ridge autoencoder")
        parts: Float64[np.ndarray, " ratings"] = np.mean([parts for _, parts in each], axis=0)
        return float(np.mean([level for level, _ in each])), parts

    def spreads(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The mean of the members' spreads (see `Uncertain`).

        Raises:
            ModelError: the members don't know how sure they are.
        """
        spreads = [
            member.spreads(histories, users, items) for member in self.each() if isinstance(member, Uncertain)
        ]
        if not spreads:
            raise ModelError("models of this kind don't know how sure they are; train a ridge autoencoder")
        mean: Float64[np.ndarray, " pairs"] = np.mean(spreads, axis=0)
        return mean
