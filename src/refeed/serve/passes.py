"""One forward pass over a batch of histories, with all that answers are made of.

Ridge autoencoders, the default, are computed on numpy (`refeed.lite`), each person by themselves: a batch of
one costs a few dozen operations. Every other model is asked by its own methods (`any_model.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from refeed.lite.ridge import History, RidgeMean
from refeed.ratings.store import Ratings

__all__ = ["Details", "Fold", "MeanPass", "Pass", "RidgePass", "histories_of"]


@dataclass(frozen=True)
class Details:
    """More about some predictions of some people, a row each.

    Args:
        predictions: not clipped.
        spread: `Uncertain.predictive_std`; None if the model doesn't know how sure it is.
        levels: what would be predicted of somebody unknown; None if predictions are no sums, or nobody asked.
        parts: what each rating of the person adds to each prediction, 0 beyond their last; likewise.
    """

    predictions: Float64[np.ndarray, "people lines"]
    spread: Float64[np.ndarray, "people lines"] | None
    levels: Float64[np.ndarray, "people lines"] | None
    parts: Float32[np.ndarray, "people lines longest"] | None


@runtime_checkable
class Fold(Protocol):
    """What a pass found of a batch of people."""

    @property
    def predictions(self) -> Float32[np.ndarray, "people items"]:
        """Of all items, not clipped; made when first asked for."""
        ...

    def details(
        self, rows: Int64[np.ndarray, " people"], items: Int64[np.ndarray, "people lines"], *, parts: bool
    ) -> Details:
        """More about some predictions.

        Args:
            rows: of the people in the batch.
            items: of each of them, positions.
            parts: whether levels and parts are wanted, too.
        """
        ...


@runtime_checkable
class Pass(Protocol):
    """From histories to a `Fold`.

    Attributes:
        quantiles: those of the model (`Uncertain`), or None.
    """

    quantiles: Float64[np.ndarray, " levels"] | None

    def __call__(self, histories: Ratings) -> Fold:
        """Fold people in."""
        ...


def histories_of(ratings: Ratings, rows: Sequence[int]) -> list[History]:
    """The histories of some people, as `refeed.lite` takes them."""
    bounds = ratings.indptr.tolist()
    return [
        (
            ratings.items[bounds[row] : bounds[row + 1]].astype(np.int64),
            ratings.values[bounds[row] : bounds[row + 1]],
        )
        for row in rows
    ]


class _RidgeFold:
    def __init__(self, model: RidgeMean, histories: Ratings, *, sure: bool) -> None:
        self._model, self._counts, self._sure = model, histories.user_counts, sure
        self._people = [model.fold(one) for one in histories_of(histories, range(histories.n_users))]

    @cached_property
    def predictions(self) -> Float32[np.ndarray, "people items"]:
        """Of all items."""
        found: NDArray[np.float32] = self._model.predict_all(self._people).astype(np.float32, copy=False)
        return found

    def details(
        self, rows: Int64[np.ndarray, " people"], items: Int64[np.ndarray, "people lines"], *, parts: bool
    ) -> Details:
        predictions, spread = np.empty(items.shape), np.empty(items.shape)
        people = [self._people[row] for row in rows.tolist()]
        for at, person in enumerate(people):
            predictions[at], spread[at] = person.predict(items[at])
        known = spread if self._sure else None
        if not parts:
            return Details(predictions, known, None, None)
        levels, longest = np.empty(items.shape), int(self._counts[rows].max(initial=0))
        added = np.zeros((*items.shape, longest), dtype=np.float32)
        for at, person in enumerate(people):
            levels[at], adds = person.explain(items[at])
            added[at, :, : adds.shape[1]] = adds
        return Details(predictions, known, levels, added)


class RidgePass:
    """Of ridge autoencoders.

    Args:
        model: one, or an ensemble.
    """

    def __init__(self, model: RidgeMean) -> None:
        self._model = model
        self.quantiles = model.quantiles if model.quantiles.any() else None

    def __call__(self, histories: Ratings) -> _RidgeFold:
        """Fold people in."""
        return _RidgeFold(self._model, histories, sure=self.quantiles is not None)


class _MeanFold:
    def __init__(self, mean: float, shape: tuple[int, int]) -> None:
        self._mean, self._shape = mean, shape

    @property
    def predictions(self) -> Float32[np.ndarray, "people items"]:
        return np.full(self._shape, self._mean, dtype=np.float32)

    def details(
        self,
        rows: Int64[np.ndarray, " people"],  # noqa: ARG002 - as every fold's
        items: Int64[np.ndarray, "people lines"],
        *,
        parts: bool,  # noqa: ARG002
    ) -> Details:
        return Details(np.full(items.shape, self._mean), None, None, None)


class MeanPass:
    """The same for everybody and everything: what stands beside a model of interactions.

    Args:
        mean: of all training ratings.
        n_items: the number of items.
    """

    quantiles: Float64[np.ndarray, " levels"] | None = None

    def __init__(self, mean: float, n_items: int) -> None:
        self._mean, self._n_items = mean, n_items

    def __call__(self, histories: Ratings) -> _MeanFold:
        """Fold people in."""
        return _MeanFold(self._mean, (histories.n_users, self._n_items))
