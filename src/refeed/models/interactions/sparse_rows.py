"""A sparse matrix of items × items, compressed by row."""

from dataclasses import dataclass

import torch
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from refeed import kernels
from refeed.models.autoencoder.sparse import Batch

__all__ = ["SparseTable"]


@dataclass(frozen=True, eq=False)
class SparseTable:
    """A sparse matrix.

    Args:
        bounds: where each row's entries start, and their total at the end.
        columns: of each entry, ascending within a row.
        values: of each entry.
        width: how many columns there are.
    """

    bounds: Int64[Tensor, " row_bounds"]
    columns: Int32[Tensor, " entries"]
    values: Float32[Tensor, " entries"]
    width: int

    @classmethod
    def empty(cls, size: int) -> "SparseTable":
        """A square one without entries."""
        bounds = torch.zeros(size + 1, dtype=torch.int64)
        return cls(bounds, torch.zeros(0, dtype=torch.int32), torch.zeros(0), size)

    def sums(self, inputs: Batch) -> Float32[Tensor, "users columns"]:
        """Σ value × row of the pairs of each user: the sparse batch times the matrix, dense."""
        if kernels.serves(inputs.values, self.values):
            table = self.bounds, self.columns, self.values
            return kernels.sparse_sums(inputs.indptr, inputs.items, inputs.values, table, self.width)
        rows = inputs.items.long()
        lengths = self.bounds[rows + 1] - self.bounds[rows]
        pairs = torch.arange(len(rows), device=rows.device).repeat_interleave(lengths)
        starts = self.bounds[rows] - (lengths.cumsum(0) - lengths)
        entries = torch.arange(len(pairs), device=rows.device) + starts[pairs]
        places = inputs.users[pairs].long() * self.width + self.columns[entries]
        sums = self.values.new_zeros(len(inputs), self.width)
        sums.view(-1).index_add_(0, places, self.values[entries] * inputs.values[pairs])
        return sums

    def at(
        self, rows: Int64[Tensor, " pairs"], columns: Int64[Tensor, " pairs"]
    ) -> Float32[Tensor, " pairs"]:
        """The entries at some pairs, 0 where there is none: a binary search in all rows at once."""
        if not len(self.columns):
            return self.values.new_zeros(len(rows))
        low, ends = self.bounds[rows], self.bounds[rows + 1]
        high = ends.clone()
        for _ in range(int((ends - low).max().item()).bit_length() if len(rows) else 0):
            middle = (low + high) // 2
            before = self.columns[middle.clamp(max=len(self.columns) - 1)] < columns
            searching = low < high
            low = torch.where(searching & before, middle + 1, low)
            high = torch.where(searching & ~before, middle, high)
        place = low.clamp(max=len(self.columns) - 1)
        found = (low < ends) & (self.columns[place] == columns)
        return self.values[place] * found
