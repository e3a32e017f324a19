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

__all__ = ["KINDS", "Dense", "Sparse", "Taken", "taken_of"]

KINDS = ("linear", "local")
"""The kinds of interaction models that numpy computes: sums over the items of a history."""


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

    def between(self, items: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.float32]:
        """B_ij of some items i and some j, [targets, items]."""
        found: NDArray[np.float32] = self.weights[items, targets[:, None]]
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
        owners, entries = self._entries(items)
        terms = inputs[owners] * self.weights[entries]
        found = np.bincount(self.columns[entries], weights=terms, minlength=len(self.bounds) - 1)
        return found.astype(np.float32)

    def between(self, items: NDArray[np.int64], targets: NDArray[np.int64]) -> NDArray[np.float32]:
        """See `Dense`."""
        owners, entries = self._entries(items)
        each, places = np.unique(targets, return_inverse=True)
        rows = np.searchsorted(each, self.columns[entries]).clip(max=len(each) - 1)
        wanted = each[rows] == self.columns[entries]
        found = np.zeros((len(each), len(items)), dtype=np.float32)
        found[rows[wanted], owners[wanted]] = self.weights[entries[wanted]]
        return found[places]

    def _entries(self, items: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All entries of some rows: which of these rows each one is of, and its position, [entries] each."""
        starts = self.bounds[items].astype(np.int64)
        lengths = self.bounds[items + 1] - starts
        owners = np.repeat(np.arange(len(items)), lengths)
        before = np.cumsum(lengths) - lengths
        return owners, np.arange(len(owners)) + (starts - before)[owners]


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
        self, history: History, times: NDArray[np.int64] | None, items: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """What everybody gets of some items, [some], and what each interaction adds, [some, interactions]."""
        inputs = self.inputs(history, times).astype(np.float64)
        return self.popularity[items], self.weights.between(history[0], items) * inputs


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
