"""What the training loop trains: parameters, the examples they learn from, and how one batch moves them."""

from collections.abc import Callable, Collection
from typing import Any, Protocol, TypeVar, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from refeed.models.interface import Model
from refeed.models.share import Share
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime

__all__ = ["Choices", "Learner"]

E = TypeVar("E")

Choices = dict[str, int | bool]
"""What was decided at the start of a training, by name; kept in its checkpoint."""


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

    def choose_paths(self, choices: Choices, runtime: Runtime, say: Callable[[str], None]) -> None:
        """Decide how this machine computes the steps, and note it in `choices`; or take what is noted there.

        A training that goes on must compute as it did before, whatever the machine is busy with now.
        """
        ...

    def facts(self, batch: int, touched: float, runtime: Runtime) -> list[str]:
        """What the user wants to know at the start, beside the sizes.

        Args:
            batch: users a batch.
            touched: the share of the items that a batch touches.
            runtime: the processes that share the batch.
        """
        ...

    def hints(self) -> list[str]:
        """What to try where the loss diverged, beside a smaller rate."""
        ...

    def finished(self) -> Model:
        """The model as it stands (an `nn.Module`, too); later steps may change it."""
        ...

    def complete(self, model: Model, train: Ratings, held_out: Aligned | None) -> str | None:
        """Do what can be done only once a model is trained; say what came out, if there was a choice."""
        ...
