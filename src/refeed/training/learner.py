"""What the loop trains: parameters, the examples they learn from, and how one batch moves them."""

from collections.abc import Collection
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from refeed import kernels
from refeed.config import Config, RidgeConfig
from refeed.factory import build_member
from refeed.models.autoencoder.dropout import Dropout
from refeed.models.autoencoder.example import Example, corrupted, whole
from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.step import train_step
from refeed.models.interface import Model
from refeed.models.ridge.learner import RidgeLearner
from refeed.models.share import Share
from refeed.optim.optimizer import takes_sparse_path
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime

__all__ = ["AutoencoderLearner", "Learner", "make_learner"]

E = TypeVar("E")


@runtime_checkable
class Learner(Protocol[E]):
    """One network in training. It is an `nn.Module`, too: its state is what a checkpoint holds."""

    rows: Ratings
    """What is trained on: a row is a user (of an item-based model: an item)."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """What the optimizer moves."""
        ...

    def sparse_matrices(self, touched: float) -> Collection[nn.Parameter]:
        """Those parameters whose gradients are to be sparse.

        Args:
            touched: the share of the items that a batch touches.
        """
        ...

    def example(self, place: tuple[int, int, int], users: Int64[np.ndarray, " users"], mine: slice) -> E:
        """What a batch of users teaches.

        Args:
            place: seed, epoch and batch: all that is random follows from it, for any number of processes.
            users: of the whole batch, rows of `rows`.
            mine: which of them are this process's share.
        """
        ...

    def step(
        self,
        share: Share[E],
        optimizer: torch.optim.Optimizer,
        generator: torch.Generator,
        runtime: Runtime,
    ) -> list[Float[Tensor, ""]]:
        """Learn from a batch; the loss of every pass, the first being the mean squared error of its ratings.

        Args:
            share: the batch.
            optimizer: of `parameter_groups`.
            generator: seeded by the place, so that a resumed training goes on with the same numbers.
            runtime: the processes that share the batch.
        """
        ...

    def finished(self) -> Model:
        """The model as it stands (an `nn.Module`, too)."""
        ...


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

    def finished(self) -> Autoencoder:
        """The network itself."""
        return self.model


def make_learner(
    config: Config, train: Ratings, valid: Ratings | None, device: torch.device
) -> AutoencoderLearner | RidgeLearner:
    """A network at its start.

    Args:
        config: says which.
        train: the training ratings.
        valid: held-out ratings, on which a residual model's damping is chosen and a ridge's intervals rest.
        device: where to train.
    """
    if isinstance(config.model, RidgeConfig):
        return RidgeLearner(config, train, device, calibrated=valid is None)
    model = build_member(config, n_users=train.n_users, n_items=train.n_items)
    if not isinstance(model, Autoencoder):
        raise TypeError(f"a model of kind {config.model.kind} is not trained in steps")
    model.fit_biases(train, valid)
    return AutoencoderLearner(model.to(device), config, train)
