"""The two sparse products that make training cost what the ratings cost, and their gradients.

*encode*: Σ value × row of a weight matrix over each user's rated items.
*decode at*: the outputs at the rated (user, item) pairs only.

Both gradients are sums over the same pairs, once by user and once by item, so a batch carries both orders.
No users × items matrix is ever built, and no ratings × width matrix either. Compiled kernels serve where they
are there (`refeed/kernels`), PyTorch's operations elsewhere.
"""

import warnings
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int32, Int64
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import embedding_bag

from refeed import kernels

__all__ = ["Batch", "ItemOrder", "decode_at", "encode", "value_at"]

with warnings.catch_warnings():
    # PyTorch says once a process that its CSR matrices are "beta"; the user can do nothing about that.
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 0], [], [], (1, 1), check_invariants=False)


@dataclass(frozen=True)
class ItemOrder:
    """The pairs of a batch, sorted by item.

    Args:
        indptr: where each item's pairs start, and their total at the end.
        users: the user position (in the batch) of each pair.
        order: the place of each pair in the order by user.
    """

    indptr: Int32[Tensor, " item_bounds"]
    users: Int32[Tensor, " pairs"]
    order: Int32[Tensor, " pairs"]


@dataclass(frozen=True)
class Batch:
    """The (user, item, value) pairs of some users, compressed by user; a pair occurs at most once.

    Args:
        indptr: where each user's pairs start, and their total at the end.
        items: item positions.
        values: what the pairs are worth: ratings, or residuals.
        n_items: how many items there are.
    """

    indptr: Int32[Tensor, " bounds"]
    items: Int32[Tensor, " pairs"]
    values: Float[Tensor, " pairs"]
    n_items: int

    @classmethod
    def from_numpy(
        cls,
        indptr: NDArray[np.integer],
        items: NDArray[np.integer],
        values: NDArray[np.floating],
        *,
        n_items: int,
        device: torch.device,
        dtype: torch.dtype,
    ) -> "Batch":
        """Move a batch's arrays to a device."""
        return cls(
            indptr=torch.from_numpy(indptr.astype(np.int32)).to(device),
            # A store's mapped arrays can't be written to, of which PyTorch warns: these are copied.
            items=torch.from_numpy(np.require(items, np.int32, "W")).to(device),
            values=torch.from_numpy(np.require(values, requirements="W")).to(device, dtype),
            n_items=n_items,
        )

    def __len__(self) -> int:
        """The number of users."""
        return len(self.indptr) - 1

    @cached_property
    def counts(self) -> Int32[Tensor, " users"]:
        """The number of pairs of each user."""
        return self.indptr.diff()

    @cached_property
    def users(self) -> Int32[Tensor, " pairs"]:
        """The user position of each pair."""
        everyone = torch.arange(len(self), dtype=torch.int32, device=self.items.device)
        return everyone.repeat_interleave(self.counts, output_size=len(self.items))

    @cached_property
    def by_item(self) -> ItemOrder:
        """The same pairs sorted by item, users ascending within an item."""
        if kernels.serves(self.values):
            return ItemOrder(*kernels.by_item(self.indptr, self.items, self.n_items))
        items, order = self.items.sort(stable=True)
        bounds = torch.arange(self.n_items + 1, dtype=torch.int32, device=items.device)
        return ItemOrder(
            indptr=torch.searchsorted(items, bounds, out_int32=True),
            users=self.users[order],
            order=order.to(torch.int32),
        )

    @cached_property
    def rated_items(self) -> Int64[Tensor, " rated"]:
        """The items that have a pair, ascending."""
        return self.by_item.indptr.diff().nonzero()[:, 0]

    @cached_property
    def by_rated_item(self) -> ItemOrder:
        """As `by_item`, of `rated_items` alone."""
        pairs = self.by_item
        return replace(pairs, indptr=torch.cat([pairs.indptr[self.rated_items], pairs.indptr[-1:]]))


def encode(
    weight: Float[Tensor, "items width"],
    values: Float[Tensor, " pairs"],
    batch: Batch,
    *,
    sparse: bool = False,
) -> Float[Tensor, "users width"]:
    """Σ value × weight[item] over each user's pairs: the sparse batch times the matrix.

    Differentiable in `weight` only; if `sparse`, its gradient holds the rows of the rated items alone.
    """
    sums: Float[Tensor, "users width"] = _Encode.apply(weight, values, batch, sparse)  # type: ignore[no-untyped-call]
    return sums


def decode_at(
    hidden: Float[Tensor, "users width"],
    weight: Float[Tensor, "items width"],
    batch: Batch,
    *,
    sparse: bool = False,
) -> Float[Tensor, " pairs"]:
    """hidden[user] · weight[item] for each pair of the batch.

    Differentiable in `hidden` and `weight`; if `sparse`, the latter's gradient holds the rows of the rated
    items alone.
    """
    products: Float[Tensor, " pairs"] = _DecodeAt.apply(hidden, weight, batch, sparse)  # type: ignore[no-untyped-call]
    return products


def value_at(vector: Float[Tensor, " items"], batch: Batch) -> Float[Tensor, " pairs"]:
    """vector[item] for each pair of the batch.

    Differentiable in `vector`.
    """
    values: Float[Tensor, " pairs"] = _ValueAt.apply(vector, batch)  # type: ignore[no-untyped-call]
    return values


def _sums_by_user(table: Tensor, values: Tensor, batch: Batch) -> Tensor:
    if kernels.serves(table, values):
        return kernels.sums(batch.indptr, batch.items, values, table)
    return embedding_bag(batch.items, table, batch.indptr[:-1], mode="sum", per_sample_weights=values)


def _sums_by_item(table: Tensor, values: Tensor, batch: Batch, *, sparse: bool = False) -> Tensor:
    """A row an item: dense, or a sparse tensor of the rows of rated items."""
    if sparse:
        rows, sums = batch.rated_items[None], _sums_of(batch.by_rated_item, table, values)
        size = (batch.n_items, table.shape[1])
        return torch.sparse_coo_tensor(rows, sums, size, is_coalesced=True, check_invariants=False)
    return _sums_of(batch.by_item, table, values)


def _sums_of(pairs: ItemOrder, table: Tensor, values: Tensor) -> Tensor:
    if kernels.serves(table, values):
        return kernels.sums(pairs.indptr, pairs.users, values, table, pairs.order)
    return embedding_bag(
        pairs.users, table, pairs.indptr[:-1], mode="sum", per_sample_weights=values[pairs.order]
    )


class _Encode(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, values: Tensor, batch: Batch, sparse: bool) -> Tensor:
        ctx.save_for_backward(values)
        ctx.batch, ctx.sparse = batch, sparse
        return _sums_by_user(weight, values, batch)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        (values,) = ctx.saved_tensors
        by_item = _sums_by_item(gradients[0].contiguous(), values, ctx.batch, sparse=ctx.sparse)
        return by_item, None, None, None


class _DecodeAt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden: Tensor, weight: Tensor, batch: Batch, sparse: bool) -> Tensor:
        ctx.save_for_backward(hidden, weight)
        ctx.batch, ctx.sparse = batch, sparse
        if kernels.serves(hidden, weight):
            return kernels.dots(batch.indptr, batch.items, hidden, weight)
        pattern = torch.sparse_csr_tensor(
            batch.indptr,
            batch.items,
            torch.zeros(len(batch.items), dtype=hidden.dtype, device=hidden.device),
            (len(batch), batch.n_items),
            check_invariants=False,
        )
        products: Tensor = torch.sparse.sampled_addmm(pattern, hidden, weight.t(), beta=0.0).values()
        return products

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        hidden, weight = ctx.saved_tensors
        gradient = gradients[0].contiguous()
        by_user = by_item = None
        if ctx.needs_input_grad[0]:
            by_user = _sums_by_user(weight, gradient, ctx.batch)
        if ctx.needs_input_grad[1]:
            by_item = _sums_by_item(hidden, gradient, ctx.batch, sparse=ctx.sparse)
        return by_user, by_item, None, None


class _ValueAt(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vector: Tensor, batch: Batch) -> Tensor:
        ctx.batch = batch
        return vector[batch.items]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        batch = ctx.batch
        everyone = gradients[0].new_ones(len(batch), 1)
        return _sums_by_item(everyone, gradients[0].contiguous(), batch)[:, 0], None
