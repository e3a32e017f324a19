"""The thing to beat: the paper's step on dense matrices, as one would write it down first (section 2.2)."""

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from refeed.ratings.store import Ratings

__all__ = ["DenseStep", "dense_rows"]


def dense_rows(ratings: Ratings, users: np.ndarray) -> Tensor:
    """The ratings of some users over all items, 0 where there is none."""
    indptr, items, values = ratings.rows(users)
    x = torch.zeros(len(users), ratings.n_items)
    rows = np.repeat(np.arange(len(users)), np.diff(indptr))
    x[torch.from_numpy(rows), torch.from_numpy(items.astype(np.int64))] = torch.from_numpy(values)
    return x


class DenseStep:
    """SGD with momentum 0.9 on the masked squared error, then on that of each re-feed.

    Args:
        items: the number of items.
        widths: of the encoder; the decoder mirrors it.
        dropout: on the code.
        output_activation: whether selu follows the last layer too.
        lr: learning rate.
        seed: of the Xavier-uniform start; biases start at 0.
    """

    def __init__(
        self,
        items: int,
        widths: list[int],
        dropout: float,
        *,
        output_activation: bool,
        lr: float = 1e-4,
        seed: int = 0,
    ) -> None:
        sizes = [items, *widths, *widths[-2::-1], items]
        self.layers = nn.ModuleList([nn.Linear(a, b) for a, b in pairwise(sizes)])
        generator = torch.Generator().manual_seed(seed)
        for layer in self.layers:
            nn.init.xavier_uniform_(layer.weight, generator=generator)  # type: ignore[arg-type]
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.optimizer = torch.optim.SGD(self.layers.parameters(), lr=lr, momentum=0.9)
        self.output_activation = output_activation
        self.code, self.dropout = len(widths), dropout

    def forward(self, x: Tensor, *, training: bool = True) -> Tensor:
        """f(x) of dense rows."""
        for number, layer in enumerate(self.layers, start=1):
            x = layer(x)
            if number < len(self.layers) or self.output_activation:
                x = nn.functional.selu(x)
            if number == self.code:
                x = nn.functional.dropout(x, self.dropout, training=training)
        return x

    def step(self, ratings: Ratings, users: np.ndarray, refeeds: int) -> None:
        """One update from the users' ratings, and one from each re-feed."""
        x = dense_rows(ratings, users)
        for _ in range(1 + refeeds):
            y = self.forward(x)
            mask = x != 0
            loss = ((y - x) * mask).square().sum() / mask.sum()
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            x = y.detach()
