"""The ridge autoencoder on numpy: the formulas of `models/ridge/model.py`, a history at a time.

Codes are in float64. All items at once are decoded in the weights' precision, as the full model does
it, which halves what a list costs; single pairs in float64.

    z = A⁻¹ Σ (w x (r + g(r) − b) + λ Y / √n),   A = Σ w x xᵀ + λ + Σ a / (n_item + 5),   x = (v, s)
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refeed.models.quantiles import LEVELS

__all__ = ["Code", "History", "Person", "Ridge", "RidgeMean", "ridges_of"]

History = tuple[NDArray[np.int64], NDArray[np.float32]]
"""Positions of items, each once, and the ratings of them: [ratings] each."""

RARE = 5.0
"""Ratings added to an item's count where its uncertainty comes from it (as in `models/ridge/places.py`)."""


@dataclass(frozen=True, eq=False)
class Code:
    """What a history says of its user, in float64.

    Args:
        mean: z, [width + 1].
        covariance: A⁻¹, [width + 1, width + 1].
        vectors: x of what was rated, [ratings, width + 1].
        residuals: w (r + g(r) − b) of each rating, [ratings].
        pulls: λ Y / √n of each, [ratings, width + 1].
    """

    mean: NDArray[np.float64]
    covariance: NDArray[np.float64]
    vectors: NDArray[np.float64]
    residuals: NDArray[np.float64]
    pulls: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ridge:
    """One ridge autoencoder; the names of the weights are those in model.safetensors.

    Args:
        shrinkage: λ, from config.toml.
        mean: of the ratings, by which they are standardised.
        deviation: likewise.
        decoder: x = (v, s), the items' vectors and the weight of the user's own bias, [items, width + 1].
        bias: b, [items].
        drift: d, [items].
        implicit: Y, [items, width + 1].
        doubt: a.
        counts: n, the training ratings of each item, [items].
        weights: w, what a rating of each item counts, [items]; None: 1.
        noise: τ², the variance of the noise of each item's ratings, [items]; None: 1.
        knots: ratings, between which g is linear, [knots].
        spacing: g at the knots, standardised, [knots].
    """

    shrinkage: float
    mean: float
    deviation: float
    decoder: NDArray[np.floating]
    bias: NDArray[np.floating]
    drift: NDArray[np.floating]
    implicit: NDArray[np.floating]
    doubt: float
    counts: NDArray[np.int64]
    weights: NDArray[np.floating] | None = None
    noise: NDArray[np.floating] | None = None
    knots: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    spacing: NDArray[np.floating] = field(default_factory=lambda: np.zeros(1))

    @cached_property
    def levels(self) -> NDArray[np.float64]:
        """What is predicted of somebody who is unknown: b + d, as ratings, [items]."""
        levels = self.bias.astype(np.float64) + self.drift.astype(np.float64)
        return levels * self.deviation + self.mean

    @cached_property
    def item_noise(self) -> NDArray[np.float64]:
        """τ² of each item, [items]."""
        return np.ones(len(self.bias)) if self.noise is None else self.noise.astype(np.float64)

    @cached_property
    def _doubts(self) -> NDArray[np.float64]:
        doubts: NDArray[np.float64] = self.doubt / (self.counts.astype(np.float64) + RARE)
        return doubts

    def code(self, history: History) -> Code:
        """The posterior of the code: mean A⁻¹ Σ (w x (r + g(r) − b) + λ Y / √n), covariance A⁻¹."""
        items, values = history
        vectors = self.decoder[items].astype(np.float64)
        residuals = (values.astype(np.float64) - self.mean) / self.deviation
        residuals += np.interp(values, self.knots, self.spacing)
        residuals -= self.bias[items]
        pulls = self.implicit[items].astype(np.float64)
        pulls *= self.shrinkage / max(len(items), 1) ** 0.5
        weighed = vectors
        if self.weights is not None:
            weights = self.weights[items].astype(np.float64)
            residuals *= weights
            weighed = vectors * weights[:, None]
        precision = weighed.T @ vectors
        width = len(precision)
        precision.flat[:: width + 1] += self.shrinkage
        precision.flat[: -1 : width + 1] += self._doubts[items].sum()  # not of the user's own bias
        covariance = np.linalg.inv(precision).astype(np.float64, copy=False)
        told = residuals @ vectors + pulls.sum(axis=0)
        return Code(covariance @ told, covariance, vectors, residuals, pulls)

    def predict_all(self, codes: Sequence[Code]) -> NDArray[np.floating]:
        """The predicted ratings of all items, [codes, items], in the weights' precision."""
        dtype = self.decoder.dtype
        means = np.array([code.mean for code in codes]).reshape(len(codes), self.decoder.shape[1])
        predicted: NDArray[np.floating] = (means * self.deviation).astype(dtype) @ self.decoder.T
        predicted += self.levels.astype(dtype)
        return predicted

    def predict(
        self, code: Code, items: NDArray[np.int64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The predicted ratings of some items by one person, and √(τ² + xᵀ A⁻¹ x) of each, [some] each.

        The latter is τ for somebody of whom everything is known.
        """
        vectors = self.decoder[items].astype(np.float64)
        leverages = np.einsum("ij,ij->i", vectors @ code.covariance, vectors)
        std = np.sqrt(self.item_noise[items] + leverages)
        return vectors @ code.mean * self.deviation + self.levels[items], std

    def parts(self, code: Code, items: NDArray[np.int64]) -> NDArray[np.float64]:
        """What each rating adds to the predictions of some items, [some, ratings], in their order."""
        asked = self.decoder[items].astype(np.float64) @ code.covariance
        parts: NDArray[np.float64] = asked @ code.vectors.T * code.residuals + asked @ code.pulls.T
        return parts * self.deviation


@dataclass(frozen=True, eq=False)
class RidgeMean:
    """Ridge autoencoders of several seeds, or a single one: all results are the means of theirs.

    Args:
        members: at least one.
        quantiles: of the mean's errors, at `LEVELS`; zeros: they were never calibrated.
    """

    members: tuple[Ridge, ...]
    quantiles: NDArray[np.float64]

    @cached_property
    def item_noise(self) -> NDArray[np.float64]:
        """τ² of each item, [items]: what no rating of a person's lowers of a squared predictive deviation."""
        return _mean([member.item_noise for member in self.members])

    def fold(self, history: History) -> "Person":
        """Fold a person in, by what they rated: a code of each member."""
        return Person(self, tuple(member.code(history) for member in self.members))

    def predict_all(self, people: Sequence["Person"]) -> NDArray[np.floating]:
        """The predicted ratings of all items, [people, items], not clipped."""
        total, *others = (
            member.predict_all([person.codes[at] for person in people])
            for at, member in enumerate(self.members)
        )
        for other in others:
            total += other
        return total / total.dtype.type(len(self.members)) if others else total

    def item_vectors(self) -> NDArray[np.float32]:
        """The members' item vectors side by side, [items, widths]."""
        vectors = [member.decoder[:, :-1] for member in self.members]
        return np.concatenate(vectors, axis=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody, folded in; made by `RidgeMean.fold`.

    Args:
        model: folded them in.
        codes: of its members.
    """

    model: RidgeMean
    codes: tuple[Code, ...]

    def predict(self, items: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The predicted ratings of some items, not clipped, and how little is known of each, [some] each.

        The latter is the predictive standard deviation of `models/intervals.py`.
        """
        ratings, spreads = zip(*(member.predict(code, items) for member, code in self._pairs()), strict=True)
        return _mean(ratings), _mean(spreads)

    def explain(self, items: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The levels of some items, [some], and what each rating adds to each, [some, ratings]."""
        levels = _mean([member.levels[items] for member in self.model.members])
        return levels, _mean([member.parts(code, items) for member, code in self._pairs()])

    def _pairs(self) -> Iterable[tuple[Ridge, Code]]:
        return zip(self.model.members, self.codes, strict=True)


def _mean(each: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    if len(each) == 1:
        return each[0]
    mean: NDArray[np.float64] = np.mean(each, axis=0)
    return mean


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

    vectors = arrays[prefix + "vectors"]
    own = np.full((len(vectors), 1), scalar("scale"), dtype=vectors.dtype)
    return Ridge(
        shrinkage=shrinkage,
        mean=scalar("mean"),
        deviation=scalar("deviation"),
        decoder=np.concatenate([vectors, own], axis=1),
        bias=arrays[prefix + "bias"],
        drift=arrays[prefix + "drift"],
        implicit=arrays[prefix + "implicit"],
        doubt=scalar("doubt"),
        counts=arrays[prefix + "counts"],
        weights=_unless_ones(arrays.get(prefix + "rating_weights")),
        noise=_unless_ones(arrays.get(prefix + "rating_noise")),
        knots=arrays.get(prefix + "knots", np.zeros(1)),
        spacing=arrays.get(prefix + "spacing", np.zeros(1)),
    )


def _unless_ones(numbers: NDArray[np.floating] | None) -> NDArray[np.floating] | None:
    """None where there are none, as in folders of before, or all are 1."""
    return None if numbers is None or bool((numbers == 1).all()) else numbers
