"""Stochastic gradients for SVD++ and timeSVD++: a learning rate and a decay for each group of parameters.

A block of users at a time, whose parameters are gathered, updated and written back. Their ratings come in a
few batches, so that Σ y_j over what a user has rated is summed once a batch and not once a rating, and an
update costs what the block has, however many users there are.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from refeed.baselines.ranges import ranges
from refeed.config.baselines import SvdppConfig
from refeed.errors import TrainingDivergedError
from refeed.models.autoencoder.sparse import Batch, encode
from refeed.ratings.store import Ratings

__all__ = ["Group", "Pairs", "Parameters", "history_of", "implicit_sums", "train_epochs"]

_PARTS = 10  # batches of a block
_BATCH = (64, 8192)  # few enough that no user or item has many in one: their gradients are summed

Parameters = dict[str, Tensor]
Pairs = dict[str, Tensor]
"""What a formula needs to know of some (user, item) pairs: for each kind of parameter its row, and more."""

Formula = Callable[[Parameters, Tensor, Pairs], Tensor]
Locate = Callable[[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64] | None], Pairs]


@dataclass(frozen=True, eq=False)
class Group:
    """Parameters that belong together.

    Args:
        start: their values before training; a row a user, an item, or whatever they are of.
        kind: what a row is of: a key of `Pairs`, or "implicit" for the items in the users' histories.
        rate: learning rate a rating; with 0 they stay as they are.
        decay: λ, for each rating.
    """

    start: Tensor
    kind: str
    rate: float
    decay: float


def train_epochs(
    config: SvdppConfig,
    groups: Mapping[str, Group],
    train: Ratings,
    locate: Locate,
    formula: Formula,
    generator: torch.Generator,
    owned: Mapping[str, Int64[np.ndarray, " bounds"]] | None = None,
) -> Iterator[Parameters]:
    """Minimise ½ Σ (e² + Σ λ θ²), a term for each rating; give the parameters, detached, after every epoch.

    Args:
        config: epochs and how the rates cool.
        groups: the parameters; "users" and "implicit" are those that make a user's own factors.
        train: the training ratings.
        locate: from users, items and times to `Pairs`.
        formula: from parameters, the users' own factors and `Pairs` to predictions less μ.
        generator: draws the order.
        owned: for kinds whose rows belong to one user each, besides "user": where each user's rows start.

    Raises:
        TrainingDivergedError: the error became NaN or infinite.
    """
    at = {name: group.start.clone() for name, group in groups.items()}
    size = min(max(len(train) // 100, _BATCH[0]), _BATCH[1])
    bounds = {"user": np.arange(train.n_users + 1), **(owned or {})}
    for epoch in range(config.epochs):
        error = 0.0
        for users in _blocks(train, size * _PARTS, generator):
            block = _Block.of(at, groups, users, train, locate, bounds)
            order = torch.randperm(len(block.values), generator=generator)
            for first in range(0, len(order), size):
                some = order[first : first + size]
                error += block.step(some, groups, formula, config.cooling**epoch)
            block.write_back(at)
        if not np.isfinite(error):
            raise TrainingDivergedError(
                f"the error became {error:g} in epoch {epoch + 1}; try smaller rates, such as "
                f'--set "model.factors={[config.factors[0] / 5, config.factors[1]]}"'
            )
        yield at


def history_of(indptr: NDArray[np.integer], items: NDArray[np.integer], n_items: int) -> Batch:
    """What some users have rated, each with weight |R(u)|^-½."""
    counts = np.diff(indptr)
    weights = np.repeat(1 / np.sqrt(np.maximum(counts, 1)), counts)
    return Batch.from_numpy(
        indptr, items, weights, n_items=n_items, device=torch.device("cpu"), dtype=torch.float32
    )


def implicit_sums(implicit: Float[Tensor, "items rank"], history: Batch) -> Float[Tensor, "users rank"]:
    """|R(u)|^-½ Σ y_j of each user of a history."""
    return encode(implicit, history.values, history)


@dataclass(frozen=True, eq=False)
class _Block:
    """The ratings of some users, and all parameters that they touch."""

    values: Tensor
    pairs: Pairs
    history: Batch
    at: Parameters
    rows: dict[str, Tensor]  # of the groups that were gathered: where they came from

    @classmethod
    def of(
        cls,
        at: Parameters,
        groups: Mapping[str, Group],
        users: NDArray[np.int64],
        train: Ratings,
        locate: Locate,
        bounds: Mapping[str, NDArray[np.int64]],
    ) -> "_Block":
        places, starts = ranges(train.indptr, users)
        counts = np.diff(starts)
        items = train.items[places]
        times = None if train.times is None else train.times[places]
        owners = np.repeat(np.arange(len(users)), counts)
        pairs = locate(users[owners], items.astype(np.int64), times)
        rows: dict[str, Tensor] = {}
        for kind, bound in bounds.items():
            gathered, first = ranges(bound, users)
            # From a row among all to the row among those of the block.
            pairs[kind] = pairs[kind] + torch.from_numpy((first[:-1] - bound[users])[owners])
            of_kind = [name for name, group in groups.items() if group.kind == kind]
            rows.update(dict.fromkeys(of_kind, torch.from_numpy(gathered)))
        return cls(
            values=torch.from_numpy(train.values[places] - np.float32(train.mean)),
            pairs=pairs,
            history=history_of(starts, items, train.n_items),
            at={name: part[rows[name]] if name in rows else part for name, part in at.items()},
            rows=rows,
        )

    def step(
        self, some: Int64[Tensor, " batch"], groups: Mapping[str, Group], formula: Formula, cooled: float
    ) -> float:
        """One update from some of the ratings; gives their squared error."""
        pairs = {name: of_pairs[some] for name, of_pairs in self.pairs.items()}
        with torch.enable_grad():
            leaves = {name: part.detach().requires_grad_() for name, part in self.at.items()}
            own = leaves["users"] + implicit_sums(leaves["implicit"], self.history)
            error = (formula(leaves, own, pairs) - self.values[some]).square().sum()
            moved = [name for name, group in groups.items() if group.rate]
            gradients = torch.autograd.grad(error / 2, [leaves[name] for name in moved])
        for name, gradient in zip(moved, gradients, strict=True):
            group, part = groups[name], self.at[name]
            counts = self._counts(group.kind, pairs, len(part))
            rate = cooled * group.rate
            counts = counts if part.dim() == 1 else counts[:, None]
            # An implicit step, as if the curvature were 1 a rating: the many ratings of a busy row, whose
            # gradients are summed, can't overshoot. What is spread over a history has next to none.
            curvature = group.decay + (group.kind != "implicit")
            downhill = gradient + group.decay * counts * part
            part.sub_(rate * downhill / (1 + rate * curvature * counts))
        return float(error.detach())

    def write_back(self, at: Parameters) -> None:
        for name, rows in self.rows.items():
            at[name][rows] = self.at[name]

    def _counts(self, kind: str, pairs: Pairs, rows: int) -> Float[Tensor, " rows"]:
        """How many ratings of the batch have each row in them."""
        if kind != "implicit":
            return torch.bincount(pairs[kind], minlength=rows).float()
        of_users = torch.bincount(pairs["user"], minlength=len(self.history)).float()
        return torch.bincount(self.history.items, of_users[self.history.users], minlength=rows).float()


def _blocks(train: Ratings, size: int, generator: torch.Generator) -> Iterator[NDArray[np.int64]]:
    """All users with ratings, in random order, in blocks with about `size` ratings."""
    order = torch.randperm(train.n_users, generator=generator).numpy()
    order = order[train.user_counts[order] > 0]
    ends = np.cumsum(train.user_counts[order])
    first = 0
    while first < len(order):
        before = ends[first - 1] if first else 0
        last = max(first + 1, int(np.searchsorted(ends, before + size, side="right")))
        yield order[first:last]
        first = last
