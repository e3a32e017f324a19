"""Xᵀ W X of sparse inputs X: for each pair of items, what their common users weigh together."""

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy.typing import NDArray
from torch import Tensor

from refeed import kernels
from refeed.models.autoencoder.sparse import Batch
from refeed.models.interactions.nearest import sparse_rows

__all__ = ["gram", "weighted"]

_TERMS_AT_ONCE = 1 << 22


def weighted(inputs: Batch, power: float) -> Batch:
    """The inputs times √w_u, with w_u = (n_u / mean n)^−power: a person with a long history counts less.

    Args:
        inputs: of all users.
        power: 0: all alike.
    """
    if not power:
        return inputs
    counts = inputs.counts.double()
    known = counts[counts > 0]
    mean = float(known.mean()) if len(known) else 1.0
    weights = (counts.clamp(min=1) / mean).pow(-power / 2).to(inputs.values)
    values = inputs.values * weights.repeat_interleave(inputs.counts, output_size=len(inputs.items))
    return Batch(inputs.indptr, inputs.items, values, inputs.n_items)


def gram(inputs: Batch) -> Float32[Tensor, "items items"]:
    """The upper triangle of XᵀX, the diagonal with it; nothing is promised of the rest.

    Args:
        inputs: X, on the CPU; items ascend within a user.
    """
    matrix = torch.empty(inputs.n_items, inputs.n_items)
    if kernels.serves(inputs.values):
        kernels.gram(sparse_rows(inputs), matrix, upper=True)
        return matrix
    flat = matrix.zero_().view(-1)
    for places, terms in _terms(inputs):
        flat.index_add_(0, places, terms)
    return matrix


def _terms(inputs: Batch) -> Iterator[tuple[Tensor, Float[Tensor, " terms"]]]:
    """What to add where: for every pair of a user's items, some millions at a time."""
    items, values = inputs.items.numpy(), inputs.values.numpy()
    ends = np.repeat(inputs.indptr[1:].numpy().astype(np.int64), inputs.counts.numpy())
    for some in _stretches(ends - np.arange(len(items))):
        lengths = ends[some] - np.arange(some.start, some.stop)
        first = np.repeat(np.arange(some.start, some.stop), lengths)
        starts = np.cumsum(lengths) - lengths
        second = first + np.arange(len(first)) - np.repeat(starts, lengths)
        places = items[first].astype(np.int64) * inputs.n_items + items[second]
        yield torch.from_numpy(places), torch.from_numpy(values[first] * values[second])


def _stretches(lengths: NDArray[np.int64]) -> Iterator[slice]:
    """Slices of about as many terms each."""
    ends = np.cumsum(lengths)
    start = 0
    while start < len(ends):
        before = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, before + _TERMS_AT_ONCE, side="right")), start + 1)
        yield slice(start, stop)
        start = stop
