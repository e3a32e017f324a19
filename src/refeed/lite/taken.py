"""The second part of a model on numpy: who takes what up (`models/interactions/`), a history at a time.

score_j = popularity_j + Σ_i x_i B_ij, in float32 as the full model has it
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refeed.lite.ridge import History
from refeed.models.interactions.worth import Worth

__all__ = ["Dense", "Sparse", "Taken", "taken_of"]


@dataclass(frozen=True, eq=False)
class Dense:
    """A weight for every pair.

    Args:
        weights: B, [items, items].
    """

    weights: NDArray[np.float32]

    def sums(self, items: NDArray[np.int64], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Σ_i x_i B_ij of all items j, [items]."""
        found: NDArray[np.float32] = inputs @ self.weights[items]
        return found

    def column(self, items: NDArray[np.int64], target: int) -> NDArray[np.float32]:
        """B_ij of some items i and one j, [some]."""
        found: NDArray[np.float32] = self.weights[items, target]
        return found


@dataclass(frozen=True, eq=False)
class Sparse:
    """Weights between near items, compressed by row.

    Args:
        bounds: where each row's entries start, and their total at the end, [items + 1].
        columns: of each entry, ascending within a row.
        weights: of each entry.
    """

    bounds: NDArray[np.int64]
    columns: NDArray[np.int32]
    weights: NDArray[np.float32]

    def sums(self, items: NDArray[np.int64], inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """See `Dense`."""
        found = np.zeros(len(self.bounds) - 1)
        for item, value in zip(items.tolist(), inputs.tolist(), strict=True):
            row = slice(int(self.bounds[item]), int(self.bounds[item + 1]))
            found[self.columns[row]] += value * self.weights[row]
        return found.astype(np.float32)

    def column(self, items: NDArray[np.int64], target: int) -> NDArray[np.float32]:
        """See `Dense`."""
        found = np.zeros(len(items), dtype=np.float32)
        for at, item in enumerate(items.tolist()):
            first, last = int(self.bounds[item]), int(self.bounds[item + 1])
            place = first + int(np.searchsorted(self.columns[first:last], target))
            if place < last and self.columns[place] == target:
                found[at] = self.weights[place]
        return found


@dataclass(frozen=True, eq=False)
class Taken:
    """Who takes what up.

    Args:
        popularity: what everybody gets, [items].
        weights: B.
        worth: from values to inputs.
    """

    popularity: NDArray[np.float32]
    weights: Dense | Sparse
    worth: Worth

    def inputs(self, history: History, times: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """What each interaction is worth, [interactions]."""
        bounds = np.array([0, len(history[0])], dtype=np.int64)
        return self.worth.inputs(bounds, history[1], times)

    def scores(self, history: History, times: NDArray[np.int64] | None) -> NDArray[np.float32]:
        """The scores of all items, [items]."""
        scores: NDArray[np.float32] = self.weights.sums(history[0], self.inputs(history, times))
        return scores + self.popularity

    def explain(
        self, history: History, times: NDArray[np.int64] | None, item: int
    ) -> tuple[float, NDArray[np.float64]]:
        """What everybody gets of an item, and what each interaction adds, [interactions]."""
        inputs = self.inputs(history, times).astype(np.float64)
        return float(self.popularity[item]), inputs * self.weights.column(history[0], item)


def taken_of(arrays: Mapping[str, NDArray[Any]], kind: str) -> Taken | None:
    """The model that the weights hold; None where its kind needs PyTorch.

    Args:
        arrays: as in interactions.safetensors, without the prefix `interactions.`.
        kind: linear, local, or another.

    Raises:
        KeyError: these aren't the weights of such a model.
    """
    weights: Dense | Sparse
    if kind == "linear":
        weights = Dense(arrays["weights"])
    elif kind == "local":
        weights = Sparse(arrays["bounds"], arrays["columns"], arrays["weights"])
    else:
        return None
    numbers = {
        name: float(arrays[f"inputs.{name}"]) for name in ("mean", "deviation", "grade", "recency", "span")
    }
    return Taken(arrays["popularity"], weights, Worth(**numbers, counts=bool(arrays["inputs.counts"])))
