"""The linear autoencoder with few weights: each item from the items nearest to it alone.

Item j is regressed on the K items N(j) with the highest cosine to it in X, weighed as in `linear.py`:

    b_j = (G_NN + diag(λ_N))⁻¹ G_Nj          G = Xᵀ W X

Only the weights are kept, K an item, so there may be a million items. With K = all items it is `linear`.
"""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Float32, Int32, Int64
from torch import Tensor

from refeed.models.autoencoder.sparse import Batch
from refeed.models.interactions.gram import weighted
from refeed.models.interactions.inputs import Inputs
from refeed.models.interactions.item_to_item import ItemToItem
from refeed.models.interactions.linear import ridges
from refeed.models.interactions.nearest import local_grams, nearest
from refeed.models.interactions.sparse_rows import SparseTable

__all__ = ["Local", "learn_local", "local_memory"]

_MATRICES = 1 << 24  # numbers in the Gram matrices that are held at a time


class Local(ItemToItem):
    """An `InteractionModel` with weights between near items.

    Args:
        n_items: the number of items.
        inputs: see `ItemToItem`.
        weights: B; None: all 0, as before `load_state_dict`.
    """

    bounds: Tensor
    columns: Tensor
    weights: Tensor

    def __init__(
        self, n_items: int, inputs: Inputs | None = None, weights: SparseTable | None = None
    ) -> None:
        super().__init__(n_items, inputs)
        table = weights or SparseTable.empty(n_items)
        self.register_buffer("bounds", table.bounds)
        self.register_buffer("columns", table.columns)
        self.register_buffer("weights", table.values)

    @property
    def table(self) -> SparseTable:
        """B, a row an item of the history."""
        return SparseTable(self.bounds, self.columns, self.weights, self.n_items)

    def sums(self, inputs: Batch) -> Float32[Tensor, "users items"]:
        """Σ_i x_i B_ij (see `ItemToItem`)."""
        return self.table.sums(inputs)

    def scale(self, factor: Float32[Tensor, " items"]) -> None:
        """Multiply the weights of each item j (see `ItemToItem`)."""
        self.weights.mul_(factor[self.columns])

    def weights_at(
        self, rows: Int64[Tensor, " pairs"], columns: Int64[Tensor, " pairs"]
    ) -> Float[Tensor, " pairs"]:
        """B at some pairs (see `ItemToItem`)."""
        return self.table.at(rows, columns)


def local_memory(n_items: int, interactions: int, neighbours: int) -> int:
    """Bytes that the fit holds at its peak: the weights by target and by source, and the inputs."""
    return 28 * n_items * min(neighbours, n_items) + 24 * interactions + 8 * _MATRICES


def learn_local(
    inputs: Batch,
    *,
    neighbours: int,
    ridge: float,
    ridge_power: float = 0.0,
    user_power: float = 0.0,
) -> Local:
    """A model with these weights, and no popularity term yet.

    Args:
        inputs: X of all users, on the CPU.
        neighbours: K, at least 1.
        ridge: λ, above 0.
        ridge_power: b (see `linear.py`).
        user_power: a.
    """
    weighed = weighted(inputs, user_power)
    diagonal = torch.zeros(inputs.n_items).index_add_(0, weighed.items, weighed.values.square())
    strengths = ridges(diagonal, ridge, ridge_power)
    k = max(1, min(neighbours, inputs.n_items - 1))
    sources = torch.empty(inputs.n_items, k, dtype=torch.int32)
    weights = torch.empty(inputs.n_items, k)
    for first, count in _stretches(inputs.n_items, k):
        of = nearest(weighed, diagonal.sqrt(), k, first=first, count=count)
        sources[first : first + count] = of
        weights[first : first + count] = _solved(weighed, of, strengths, first=first)
    by_target = _by_target(sources, weights)
    del sources, weights  # before the same again by source
    return Local(inputs.n_items, weights=_by_source(by_target))


def _stretches(n_items: int, k: int) -> Iterator[tuple[int, int]]:
    at_once = max(64, min(4096, _MATRICES // k**2))
    for first in range(0, n_items, at_once):
        yield first, min(at_once, n_items - first)


def _solved(
    inputs: Batch, of: Int32[Tensor, "count k"], strengths: Float32[Tensor, " items"], *, first: int
) -> Float32[Tensor, "count k"]:
    """B of the items first, first + 1, …; 0 where there is no neighbour."""
    grams, products = local_grams(inputs, of, first=first)
    there = of >= 0
    ridge = torch.where(there, strengths[of.clamp(min=0).long()], torch.ones(()))
    grams.diagonal(dim1=1, dim2=2).add_(ridge)
    factors, _ = torch.linalg.cholesky_ex(grams, upper=True)
    return torch.cholesky_solve(products[..., None], factors, upper=True)[..., 0].mul_(there)


def _by_target(sources: Int32[Tensor, "items k"], weights: Float32[Tensor, "items k"]) -> Batch:
    """Bᵀ: rows are the items that are predicted; without the places that have no neighbour."""
    there = sources >= 0
    bounds = torch.zeros(len(sources) + 1, dtype=torch.int32)
    bounds[1:] = there.sum(dim=1).cumsum(dim=0)
    return Batch(bounds, sources[there], weights[there], len(sources))


def _by_source(by_target: Batch) -> SparseTable:
    """B: rows are the neighbours."""
    by_source = by_target.by_item
    values = by_target.values[by_source.order]
    return SparseTable(by_source.indptr.long(), by_source.users, values, by_target.n_items)
