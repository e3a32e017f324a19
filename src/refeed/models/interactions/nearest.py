"""The items nearest to each item by cosine, and the Gram matrices among them."""

import torch
from jaxtyping import Float32, Int32
from torch import Tensor

from refeed import kernels
from refeed.models.autoencoder.sparse import Batch

__all__ = ["local_grams", "nearest", "sparse_rows"]


def nearest(
    inputs: Batch, lengths: Float32[Tensor, " items"], k: int, *, first: int, count: int
) -> Int32[Tensor, "count k"]:
    """The k items with the highest positive cosine to each item, ascending; −1 at the end for want of any.

    Of equal cosines the earlier items.

    Args:
        inputs: X, above 0.
        lengths: of its columns.
        k: how many, below the number of items or 1.
        first: the first item whose neighbours are wanted.
        count: of so many items.
    """
    if kernels.serves(inputs.values):
        return kernels.neighbours(sparse_rows(inputs), lengths, k, first=first, count=count)
    cosines = _products(inputs, torch.arange(first, first + count))
    cosines /= lengths[first : first + count, None] * lengths
    cosines[torch.arange(count), torch.arange(first, first + count)] = 0
    cosines.nan_to_num_(0.0)
    order = cosines.argsort(dim=1, descending=True, stable=True)[:, :k]
    found = torch.where(cosines.gather(1, order) > 0, order, inputs.n_items).sort(dim=1).values
    return torch.where(found == inputs.n_items, -1, found).to(torch.int32)


def local_grams(
    inputs: Batch, of: Int32[Tensor, "count k"], *, first: int
) -> tuple[Float32[Tensor, "count k k"], Float32[Tensor, "count k"]]:
    """The Gram matrix of each item's neighbours (its upper triangle), and their products with the item.

    Args:
        inputs: X.
        of: as `nearest` gives them; 0 in rows and columns of −1.
        first: whose neighbours they are.
    """
    if kernels.serves(inputs.values):
        return kernels.local_grams(sparse_rows(inputs), of, first=first)
    there = of >= 0
    columns = of.clamp(min=0).long()
    grams = torch.stack(
        [
            _products(inputs, neighbours)[:, neighbours] * known[:, None] * known
            for neighbours, known in zip(columns, there, strict=True)
        ]
    )
    own = _products(inputs, torch.arange(first, first + len(of)))
    return grams, own.gather(1, columns) * there


def sparse_rows(inputs: Batch) -> kernels.SparseRows:
    """A batch as the kernels want it; sorted by item once for all calls."""
    order = inputs.by_item
    by_item = order.indptr, order.users, order.order
    return kernels.SparseRows(inputs.indptr, inputs.items, inputs.values, inputs.n_items, by_item)


def _products(inputs: Batch, items: Tensor) -> Float32[Tensor, "some items"]:
    """Rows of XᵀX, without the compiled kernels: as a product with a dense part of X."""
    place = torch.full((inputs.n_items,), -1)
    place[items] = torch.arange(len(items))
    chosen = place[inputs.items.long()] >= 0
    part = torch.zeros(len(inputs), len(items))
    rows = inputs.users.long()
    part[rows[chosen], place[inputs.items.long()[chosen]]] = inputs.values[chosen]
    products = torch.zeros(inputs.n_items, len(items))
    return products.index_add_(0, inputs.items, part[rows] * inputs.values[:, None]).t().contiguous()
