"""What an interaction is worth as an input: more if the user liked it, and if it is recent.

    x_uj = max(1 + w (r_uj − m_u) / s, 0.05) · recency_uj

with the rating (or log(1 + count)) r, its standard deviation s over all training interactions, and the user's
mean m_u, which five ratings at the mean of all are added to. Recency goes by order, not by days:

    recency_uj ∝ 1 + ρ exp(−(interactions of the user later than j) / τ)

with mean 1 in each history, so that a history keeps its weight. Where times are unknown, it is 1.
"""

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray
from torch import Tensor, nn

from refeed.models.autoencoder.sparse import Batch
from refeed.ratings.store import Ratings

__all__ = ["Inputs", "later_interactions"]

_LEAST = 0.05
_PRIOR = 5.0


class Inputs(nn.Module):
    """From histories to inputs; its buffers are numbers, saved with the model.

    Args:
        grade: w, at least 0; 0: every interaction counts alike, whatever its value.
        recency: ρ, at least 0.
        span: τ, in interactions.
        counts: values are counts rather than ratings.
    """

    mean: Tensor
    deviation: Tensor
    grade: Tensor
    recency: Tensor
    span: Tensor
    counts: Tensor

    def __init__(
        self, *, grade: float = 0.0, recency: float = 0.0, span: float = 1.0, counts: bool = False
    ) -> None:
        super().__init__()
        numbers = {"mean": 0.0, "deviation": 1.0, "grade": grade, "recency": recency, "span": span}
        for name, number in numbers.items():
            self.register_buffer(name, torch.tensor(number, dtype=torch.float64))
        self.register_buffer("counts", torch.tensor(counts))

    def fit(self, train: Ratings) -> "Inputs":
        """Take the mean and the deviation over; where all values are equal, they are of no account."""
        values = self._levels(train.values)
        if len(values) and float(values.std()) > 0:
            self.mean.fill_(float(values.mean()))
            self.deviation.fill_(float(values.std()))
        else:
            self.grade.fill_(0.0)
        return self

    def batch(self, histories: Ratings, users: Int64[np.ndarray, " users"], device: torch.device) -> Batch:
        """The inputs of some users, one after the other."""
        indptr, items, values = histories.rows(users)
        inputs = self.graded(indptr, values)
        if float(self.recency) and histories.times is not None:
            starts = histories.indptr[users]
            index = np.repeat(starts - indptr[:-1], np.diff(indptr)) + np.arange(indptr[-1])
            inputs *= self._recencies(indptr, np.asarray(histories.times)[index])
        return Batch.from_numpy(
            indptr, items, inputs, n_items=histories.n_items, device=device, dtype=torch.float32
        )

    def graded(
        self, indptr: Int64[np.ndarray, " bounds"], values: NDArray[np.floating]
    ) -> Float32[np.ndarray, " pairs"]:
        """max(1 + w (r − m_u) / s, 0.05) of each interaction of users one after the other."""
        grade = float(self.grade)
        if not grade:
            return np.ones(len(values), dtype=np.float32)
        levels, counts = self._levels(values), np.diff(indptr)
        sums = _sums_by_user(indptr, levels - float(self.mean))
        means = float(self.mean) + sums / (counts + _PRIOR)
        graded = 1 + grade * (levels - np.repeat(means, counts)) / float(self.deviation)
        return np.maximum(graded, _LEAST).astype(np.float32)

    def _levels(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        levels = np.asarray(values, dtype=np.float64)
        return np.log1p(np.maximum(levels, 0)) if bool(self.counts) else levels

    def _recencies(
        self, indptr: Int64[np.ndarray, " bounds"], times: Int64[np.ndarray, " pairs"]
    ) -> Float32[np.ndarray, " pairs"]:
        weights = 1 + float(self.recency) * np.exp(-later_interactions(indptr, times) / float(self.span))
        counts = np.diff(indptr)
        means = _sums_by_user(indptr, weights) / np.maximum(counts, 1)
        recencies: NDArray[np.float32] = (weights / np.repeat(means, counts)).astype(np.float32)
        return recencies


def later_interactions(
    indptr: Int64[np.ndarray, " bounds"], times: Int64[np.ndarray, " pairs"]
) -> Int64[np.ndarray, " pairs"]:
    """How many interactions of the same user are later than each one; those at the same time are not."""
    counts = np.diff(indptr)
    owners = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-times, owners))
    sorted_times, sorted_owners = times[order], owners[order]
    places = np.arange(len(times))
    new = np.ones(len(times), dtype=bool)
    new[1:] = (sorted_times[1:] != sorted_times[:-1]) | (sorted_owners[1:] != sorted_owners[:-1])
    firsts = np.maximum.accumulate(np.where(new, places, 0))
    later = np.empty(len(times), dtype=np.int64)
    later[order] = firsts - indptr[sorted_owners]
    return later


def _sums_by_user(indptr: Int64[np.ndarray, " bounds"], values: NDArray[np.floating]) -> NDArray[np.float64]:
    owners = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    sums = np.bincount(owners, weights=values, minlength=len(indptr) - 1)
    return sums.astype(np.float64)  # bincount of nothing counts in whole numbers
