"""The paper's autoencoder in training."""

from collections.abc import Callable, Collection
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from refeed import kernels
from refeed.config import Config
from refeed.models.autoencoder.dropout import Dropout
from refeed.models.autoencoder.example import Example, corrupted, whole
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.paths import choose_paths
from refeed.models.autoencoder.step import takes_collapsed_path, train_step
from refeed.models.interface import Model
from refeed.models.learner import Choices
from refeed.models.share import Share
from refeed.optim.optimizer import takes_sparse_path
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime

__all__ = ["AutoencoderLearner"]


class AutoencoderLearner(nn.Module):
    """The paper's autoencoder in training.

    Args:
        model: is trained itself; nothing is copied.
        config: the model's and the training's.
        train: the training ratings.
    """

    def __init__(self, model: Autoencoder, config: Config, train: Ratings) -> None:
        super().__init__()
        self.model, self.rows = model, model.rows(train)
        self._config = config.train

    def parameter_groups(self) -> list[dict[str, Any]]:
        """All parameters alike; with `l2` the matrices have a penalty of their own.

        Losses are means over a batch's ratings, so its λ, which stands beside a sum, is divided by the number
        of all training ratings.
        """
        every, config = list(self.model.parameters()), self._config
        if not config.l2:
            return [{"params": every}]
        decay = config.weight_decay + config.l2 / len(self.rows)
        return [
            {"params": [parameter for parameter in every if parameter.dim() > 1], "weight_decay": decay},
            {"params": [parameter for parameter in every if parameter.dim() <= 1]},
        ]

    def sparse_matrices(self, touched: float) -> Collection[nn.Parameter]:
        """The matrices with a row an item, where that is cheaper."""
        compiled = kernels.serves(self.model.item_in)
        self.model.sparse_gradients = takes_sparse_path(
            self._config, self.model.n_items, touched, compiled=compiled
        )
        return self.model.item_matrices if self.model.sparse_gradients else ()

    def example(
        self, place: tuple[int, int, int], users: Int64[np.ndarray, " users"], mine: slice
    ) -> Example:
        """The users' ratings, some of them hidden from the input if the config says so."""
        example = self._example(place, users, mine)
        example.prepare()
        return example

    def _example(
        self, place: tuple[int, int, int], users: Int64[np.ndarray, " users"], mine: slice
    ) -> Example:
        dropped = self._config.input_dropout
        if not dropped:
            return whole(self.model, self.rows, users[mine])
        # Drawn for the whole batch, so that the numbers don't depend on how many processes share it.
        counts = self.rows.user_counts[users]
        bounds = np.concatenate([[0], np.cumsum(counts)])
        rng = np.random.default_rng(place)
        rates = np.repeat(rng.uniform(0, dropped, len(users)), counts)
        kept = (rng.random(bounds[-1]) >= rates)[bounds[mine.start] : bounds[mine.stop]]
        return corrupted(self.model, self.rows, users[mine], kept, self._config.kept_weight)

    def step(
        self,
        share: Share[Example],
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
        runtime: Runtime,
    ) -> list[Float[Tensor, ""]]:
        """An update from the ratings and one from each re-feed (`train_step`)."""
        dropout = Dropout(self.model.config.dropout, generator, share.rows, share.total)
        return train_step(self.model, share.example, optimizer, self._config, dropout, runtime)

    def choose_paths(self, choices: Choices, runtime: Runtime, say: Callable[[str], None]) -> None:
        """The precision of products, and the path of re-feeds (`paths.py`)."""
        choose_paths(self.model, self._config, choices, runtime, say)

    def facts(self, batch: int, touched: float, runtime: Runtime) -> list[str]:
        """Which way updates and re-feeds go, and why."""
        facts = []
        if self.model.sparse_gradients:
            facts.append(f"sparse updates: a batch touches {touched:.1%} of the items")
        if self._config.refeed:
            facts.append(self._refeed_fact(len(range(batch)[runtime.share(batch)])))
        return facts

    def _refeed_fact(self, users: int) -> str:
        path = "collapsed" if takes_collapsed_path(self.model, self._config, users) else "dense"
        why = "the cheaper one" if self.model.linear_output else "as the output has an activation"
        if self.model.collapse_from is not None:
            why = f"collapsed is the cheaper one from {self.model.collapse_from:,} users on"
        why = why if self._config.refeed_path == "auto" else "as set"
        return f"re-feeds of {users:,} users: {path}, {why}"

    def hints(self) -> list[str]:
        """A scale on which the network trains more easily."""
        return ["ratings on a smaller scale, or residuals (--set 'model.target=\"residual\"')"]

    def finished(self) -> Autoencoder:
        """The network itself."""
        return self.model

    def complete(self, model: Model, train: Ratings, held_out: Aligned | None) -> None:
        """Nothing is left to do."""
