"""Who takes what up, for lists: the scores of all items, and why.

The kinds linear and local are computed on numpy (`refeed.lite`); every other one is asked by its own methods
(`any_model.py`).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from refeed.lite.taken import Taken
from refeed.models.liking import Liking
from refeed.ratings.store import Ratings
from refeed.serve.passes import histories_of

__all__ = ["InteractionScorer", "ItemToItemScorer", "Lists", "TakenSums"]


@dataclass(frozen=True, eq=False)
class TakenSums:
    """Scores as sums: `everybody` + Σ `parts`.

    Args:
        everybody: what everybody gets: the items' popularity.
        parts: what each item of the person's history adds, in its order; 0 beyond their last.
    """

    everybody: Float64[np.ndarray, "people lines"]
    parts: Float32[np.ndarray, "people lines longest"]

    @property
    def scores(self) -> Float64[np.ndarray, "people lines"]:
        """The sums."""
        total: Float64[np.ndarray, "people lines"] = self.everybody + self.parts.sum(axis=2, dtype=np.float64)
        return total


@runtime_checkable
class InteractionScorer(Protocol):
    """Scores who takes what up.

    Attributes:
        quick: whether a score is a sum by itself; where it is none, its parts take many passes.
    """

    quick: bool

    def scores(
        self, histories: Ratings, rows: Int64[np.ndarray, " people"]
    ) -> Float32[np.ndarray, "people items"]:
        """Of all items for some people; the caller may change it."""
        ...

    def sums(
        self, histories: Ratings, rows: Int64[np.ndarray, " people"], items: Int64[np.ndarray, "people lines"]
    ) -> TakenSums:
        """The scores of some items of each of some people, as sums."""
        ...


@dataclass(frozen=True, eq=False)
class Lists:
    """What makes lists of a model: its second part (`models/list_part.py`).

    Args:
        scorer: who takes what up.
        liking: what "liked" means; None for interactions without ratings.
        beta: β, the weight of log P(liked).
        floor: the least that a score counts as.
        values: the distinct training ratings, ascending.
    """

    scorer: InteractionScorer
    liking: Liking | None
    beta: float
    floor: float
    values: Float64[np.ndarray, " values"]


class ItemToItemScorer:
    """The kinds whose scores are sums over the items of a history.

    Args:
        model: as `refeed.lite` has it.
    """

    quick = True

    def __init__(self, model: Taken) -> None:
        self._model = model

    def scores(
        self, histories: Ratings, rows: Int64[np.ndarray, " people"]
    ) -> Float32[np.ndarray, "people items"]:
        """See `InteractionScorer`."""
        scores = np.empty((len(rows), len(self._model.popularity)), dtype=np.float32)
        for at, (row, history) in enumerate(
            zip(rows.tolist(), histories_of(histories, rows.tolist()), strict=True)
        ):
            scores[at] = self._model.scores(history, _times(histories, row))
        return scores

    def sums(
        self, histories: Ratings, rows: Int64[np.ndarray, " people"], items: Int64[np.ndarray, "people lines"]
    ) -> TakenSums:
        """See `InteractionScorer`."""
        longest = int(histories.user_counts[rows].max(initial=0))
        everybody, parts = np.zeros(items.shape), np.zeros((*items.shape, longest), dtype=np.float32)
        for at, (row, history) in enumerate(
            zip(rows.tolist(), histories_of(histories, rows.tolist()), strict=True)
        ):
            everybody[at], adds = self._model.explain(history, _times(histories, row), items[at])
            parts[at, :, : adds.shape[1]] = adds
        return TakenSums(everybody, parts)


def _times(histories: Ratings, row: int) -> NDArray[np.int64] | None:
    if histories.times is None:
        return None
    return np.asarray(histories.times[int(histories.indptr[row]) : int(histories.indptr[row + 1])])
