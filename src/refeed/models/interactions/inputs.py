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
from refeed.models.interactions.worth import Worth, later_interactions
from refeed.ratings.store import Ratings

__all__ = ["Inputs", "later_interactions"]


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
        values = self.worth.levels(train.values)
        if len(values) and float(values.std()) > 0:
            self.mean.fill_(float(values.mean()))
            self.deviation.fill_(float(values.std()))
        else:
            self.grade.fill_(0.0)
        return self

    def batch(self, histories: Ratings, users: Int64[np.ndarray, " users"], device: torch.device) -> Batch:
        """The inputs of some users, one after the other."""
        indptr, items, values = histories.rows(users)
        times = None
        if float(self.recency) and histories.times is not None:
            starts = histories.indptr[users]
            index = np.repeat(starts - indptr[:-1], np.diff(indptr)) + np.arange(indptr[-1])
            times = np.asarray(histories.times)[index]
        inputs = self.worth.inputs(indptr, values, times)
        return Batch.from_numpy(
            indptr, items, inputs, n_items=histories.n_items, device=device, dtype=torch.float32
        )

    def graded(
        self, indptr: Int64[np.ndarray, " bounds"], values: NDArray[np.floating]
    ) -> Float32[np.ndarray, " pairs"]:
        """max(1 + w (r − m_u) / s, 0.05) of each interaction of users one after the other."""
        return self.worth.graded(indptr, values)

    @property
    def worth(self) -> Worth:
        """The same numbers, without PyTorch."""
        return Worth(
            mean=float(self.mean),
            deviation=float(self.deviation),
            grade=float(self.grade),
            recency=float(self.recency),
            span=float(self.span),
            counts=bool(self.counts),
        )
