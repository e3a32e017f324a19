"""The ridge autoencoder on numpy: the formulas of `models/ridge/model.py`, a history at a time.

Codes are in float64. All items at once are decoded in the weights' precision, as the full model does
it, which halves what a list costs; single pairs in float64.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refeed.models.quantiles import LEVELS

__all__ = ["Code", "History", "Ridge", "RidgeMean", "ridges_of"]

History = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Positions of items, each once, and the ratings of them: [ratings] each."""

RARE = 5.0
"""Ratings added to an item's count where its uncertainty is taken from it (as in `models/ridge/model.py`)."""


@dataclass(frozen=True)
class Code:
    """What a history says of its user, in float64.

    Args:
        mean: z, [width + 1].
        covariance: A⁻¹, [width + 1, width + 1].
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ridge:
    """One ridge autoencoder; the names of the weights are those in model.safetensors.

    Args:
        shrinkage: λ, from config.toml.
        mean: of the ratings, by which they are standardised.
        deviation: likewise.
        vectors: v, [items, width].
        bias: b, [items].
        drift: d, [items].
        implicit: Y, [items, width + 1].
        scale: s, the weight of the user's own bias.
        doubt: a.
        counts: n, the training ratings of each item, [items].
    """

    shrinkage: float
    mean: float
    deviation: float
    vectors: NDArray[np.floating]
    bias: NDArray[np.floating]
    drift: NDArray[np.floating]
    implicit: NDArray[np.floating]
    scale: float
    doubt: float
    counts: NDArray[np.int64]

    @cached_property
    def _levels(self) -> NDArray[np.floating]:
        """What is predicted of somebody who is unknown: b + d, as ratings."""
        levels: NDArray[np.floating] = (self.bias + self.drift) * self.deviation + self.mean
        return levels

    def _decoder(self, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """X of some items, [some, width + 1], in float64."""
        vectors = self.vectors[items].astype(np.float64)
        return np.concatenate([vectors, np.full((len(items), 1), self.scale)], axis=1)

    def _told(self, history: History) -> NDArray[np.float64]:
        """What each rating adds to the right side, [ratings, width + 1]: x (r − b) + λ Y / √n."""
        items, values = history
        residuals = (values.astype(np.float64) - self.mean) / self.deviation - self.bias[items]
        pull = self.implicit[items] * (self.shrinkage / max(len(items), 1) ** 0.5)
        told: NDArray[np.float64] = self._decoder(items) * residuals[:, None] + pull
        return told

    def code(self, history: History) -> Code:
        """The posterior of the code: mean A⁻¹ Σ told, covariance A⁻¹."""
        items, _ = history
        vectors = self._decoder(items)
        precision = np.full(vectors.shape[1], self.shrinkage)
        precision[:-1] += self.doubt * (1 / (self.counts[items] + RARE)).sum()
        covariance = np.linalg.inv((vectors.T @ vectors + np.diag(precision)).astype(np.float64))
        return Code(covariance @ self._told(history).sum(axis=0), covariance)

    def predict_all(self, codes: Sequence[Code]) -> NDArray[np.floating]:
        """The predicted ratings of all items, [codes, items]."""
        width, dtype = self.vectors.shape[1], self.vectors.dtype
        means = np.array([code.mean for code in codes]).reshape(len(codes), width + 1).astype(dtype)
        products = means[:, :width] @ self.vectors.T + means[:, width:] * dtype.type(self.scale)
        predicted: NDArray[np.floating] = self._levels + products * dtype.type(self.deviation)
        return predicted

    def predict(self, code: Code, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """The predicted ratings of some items by one person, [some]."""
        levels = self.bias[items].astype(np.float64) + self.drift[items]
        predicted: NDArray[np.float64] = (self._decoder(items) @ code.mean + levels) * self.deviation
        return predicted + self.mean

    def predictive_std(self, code: Code, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """√(1 + xᵀ A⁻¹ x) of some items, [some]: 1 for somebody of whom everything is known."""
        vectors = self._decoder(items)
        leverages: NDArray[np.float64] = ((vectors @ code.covariance) * vectors).sum(axis=1)
        return np.sqrt(1 + leverages)

    def explain(self, history: History, item: int) -> tuple[float, NDArray[np.float64]]:
        """The item's level, and what each rating adds to the prediction, [ratings], in their order."""
        (asked,) = self._decoder(np.array([item])) @ self.code(history).covariance
        level = (float(self.bias[item]) + float(self.drift[item])) * self.deviation + self.mean
        parts: NDArray[np.float64] = self._told(history) @ asked * self.deviation
        return level, parts


@dataclass(frozen=True, eq=False)
class RidgeMean:
    """Ridge autoencoders of several seeds, or a single one: all results are the means of theirs.

    Args:
        members: at least one.
        quantiles: of the mean's errors, at `LEVELS`.
    """

    members: tuple[Ridge, ...]
    quantiles: NDArray[np.float64]

    def codes(self, histories: Sequence[History]) -> list[list[Code]]:
        """The codes of each history by each member: [members][histories]."""
        return [[member.code(history) for history in histories] for member in self.members]

    def predict_all(self, histories: Sequence[History]) -> NDArray[np.floating]:
        """The predicted ratings of all items, [histories, items], not clipped."""
        total, *others = (
            member.predict_all(codes)
            for member, codes in zip(self.members, self.codes(histories), strict=True)
        )
        for other in others:
            total += other
        return total / total.dtype.type(len(self.members))

    def predict(self, history: History, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """The predicted ratings of some items by one person, [some], not clipped."""
        each = [member.predict(member.code(history), items) for member in self.members]
        mean: NDArray[np.float64] = np.mean(each, axis=0)
        return mean

    def predictive_std(self, history: History, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """How little is known of the person, as to some items, [some] (see `models/intervals.py`)."""
        each = [member.predictive_std(member.code(history), items) for member in self.members]
        mean: NDArray[np.float64] = np.mean(each, axis=0)
        return mean

    def explain(self, history: History, item: int) -> tuple[float, NDArray[np.float64]]:
        """The item's level, and what each rating adds to the prediction, [ratings], in their order."""
        levels, parts = zip(*(member.explain(history, item) for member in self.members), strict=True)
        mean: NDArray[np.float64] = np.mean(parts, axis=0)
        return float(np.mean(levels)), mean

    def item_vectors(self) -> NDArray[np.float32]:
        """The members' item vectors side by side, [items, widths]."""
        return np.concatenate([member.vectors for member in self.members], axis=1).astype(np.float32)


def ridges_of(arrays: Mapping[str, NDArray[Any]], shrinkage: float) -> RidgeMean:
    """The model that the weights of a folder hold.

    Args:
        arrays: as in model.safetensors: those of a single model, or of `members.0`, `members.1`, ….
        shrinkage: λ.

    Raises:
        KeyError: these aren't the weights of ridge autoencoders.
    """
    count = len({name.split(".")[1] for name in arrays if name.startswith("members.")})
    prefixes = [f"members.{member}." for member in range(count)] or [""]
    members = tuple(_ridge(arrays, prefix, shrinkage) for prefix in prefixes)
    quantiles = arrays["quantiles"]
    if quantiles.shape != LEVELS.shape:
        raise KeyError("quantiles")
    return RidgeMean(members, quantiles)


def _ridge(arrays: Mapping[str, NDArray[Any]], prefix: str, shrinkage: float) -> Ridge:
    def scalar(name: str) -> float:
        return float(arrays[prefix + name])

    return Ridge(
        shrinkage=shrinkage,
        mean=scalar("mean"),
        deviation=scalar("deviation"),
        vectors=arrays[prefix + "vectors"],
        bias=arrays[prefix + "bias"],
        drift=arrays[prefix + "drift"],
        implicit=arrays[prefix + "implicit"],
        scale=scalar("scale"),
        doubt=scalar("doubt"),
        counts=arrays[prefix + "counts"],
    )
