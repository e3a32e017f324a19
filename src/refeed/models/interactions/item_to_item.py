"""What models have in common whose scores are sums over a user's items, of a weight for each pair of items.

score_j = popularity_j + Σ_i x_i B_ij
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64, Int64
from torch import Tensor, nn

from refeed.models.autoencoder.sparse import Batch
from refeed.models.interactions.inputs import Inputs
from refeed.ratings.store import Ratings

__all__ = ["ItemToItem"]

_ENTRIES_AT_ONCE = 1 << 23  # scores that a block holds, unless the caller says otherwise
_TERMS_AT_ONCE = 1 << 22


class ItemToItem(nn.Module, ABC):
    """An `InteractionModel`: the inputs, the popularity term, and weights that a subclass keeps as it likes.

    Args:
        n_items: the number of items.
        inputs: from histories to x; a new one if None, as before `load_state_dict`.
    """

    popularity: Tensor

    def __init__(self, n_items: int, inputs: Inputs | None = None) -> None:
        super().__init__()
        self.n_items = n_items
        self.inputs = Inputs() if inputs is None else inputs
        self.register_buffer("popularity", torch.zeros(n_items))

    @abstractmethod
    def sums(self, inputs: Batch) -> Float32[Tensor, "users items"]:
        """Σ_i x_i B_ij for all items j of some users; the caller may change it."""

    @abstractmethod
    def scale(self, factor: Float32[Tensor, " items"]) -> None:
        """Multiply the weights B_ij of each item j by its factor, in place."""

    @abstractmethod
    def weights_at(
        self, rows: Int64[Tensor, " pairs"], columns: Int64[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """B at some pairs (i, j)."""

    @torch.no_grad()
    def score_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """The scores of all items, `size` users at a time (see `InteractionModel`)."""
        for first in range(0, len(users), size):
            inputs = self.inputs.batch(histories, users[first : first + size], self.popularity.device)
            yield self.sums(inputs).add_(self.popularity)

    def score_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The scores of all items for each of the users (see `InteractionModel`)."""
        scores = np.empty((len(users), self.n_items), dtype=np.float32)
        size = max(1, min(1024, _ENTRIES_AT_ONCE // max(self.n_items, 1)))
        for at, block in enumerate(self.score_blocks(histories, users, size)):
            scores[at * size : at * size + len(block)] = block.cpu().numpy()
        return scores

    @torch.no_grad()
    def score(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The score of each pair (see `InteractionModel`); costs the length of the history for each."""
        each, owners = np.unique(users, return_inverse=True)
        inputs = self.inputs.batch(histories, each, self.popularity.device)
        scores: Float64[np.ndarray, " pairs"] = self.popularity.cpu().double().numpy()[items]
        bounds = inputs.indptr.cpu().numpy().astype(np.int64)
        lengths = np.diff(bounds)[owners]
        ends = np.cumsum(lengths)
        start = 0
        while start < len(users):
            done = ends[start] - lengths[start]
            stop = max(int(np.searchsorted(ends, done + _TERMS_AT_ONCE, side="right")), start + 1)
            some = slice(start, stop)
            scores[some] += self._sums_at(inputs, bounds[owners[some]], lengths[some], items[some])
            start = stop
        return scores

    def _sums_at(
        self,
        inputs: Batch,
        starts: Int64[np.ndarray, " pairs"],
        lengths: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        pairs = np.repeat(np.arange(len(items)), lengths)
        places = np.arange(len(pairs)) + np.repeat(starts - (np.cumsum(lengths) - lengths), lengths)
        chosen = torch.from_numpy(places).to(inputs.items.device)
        columns = torch.from_numpy(items[pairs]).to(inputs.items.device)
        terms = inputs.values[chosen].double() * self.weights_at(inputs.items[chosen].long(), columns)
        weights = terms.cpu().double().numpy()
        sums = np.bincount(pairs, weights=weights, minlength=len(items))
        of_pairs: Float64[np.ndarray, " pairs"] = sums.astype(np.float64)  # whole numbers, if of nothing
        return of_pairs

    @torch.no_grad()
    def explain(
        self, histories: Ratings, user: int, item: int
    ) -> tuple[float, Float64[np.ndarray, " interactions"]]:
        """The item's popularity term, and x_i B_ij of each of the user's items (see `InteractionModel`)."""
        inputs = self.inputs.batch(histories, np.array([user]), self.popularity.device)
        rows = inputs.items.long()
        parts = inputs.values.double() * self.weights_at(rows, torch.full_like(rows, item))
        return float(self.popularity[item]), parts.cpu().double().numpy()
