"""The updates of a recurrent recommender network: users with the items fixed, or the other way round."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from refeed.baselines.ranges import ranges
from refeed.baselines.rrn_side import Side
from refeed.baselines.steps import Steps
from refeed.config.baselines import RrnConfig
from refeed.models.autoencoder.dropout import Dropout
from refeed.optim.optimizer import uncompiled
from refeed.ratings.store import Ratings

__all__ = ["Learner", "learners"]

_ROWS_AT_ONCE = 4096  # where there is no gradient


@dataclass(frozen=True, eq=False)
class Learner:
    """A side with the training ratings in the order of its rows.

    Args:
        side: the network.
        steps: the sequences of its rows.
        bounds: where each row's ratings start in `places`, and their total at the end.
        places: which of the training ratings they are.
        rows: the row of every training rating.
        optimizers: of the network, and of the stationary factors.
    """

    side: Side
    steps: Steps
    bounds: Int64[np.ndarray, " bounds"]
    places: Int64[np.ndarray, " ratings"]
    rows: Int64[np.ndarray, " ratings"]
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer]

    def learn(
        self,
        other: "Learner",
        targets: Float32[Tensor, " ratings"],
        config: RrnConfig,
        unit: float,
        generator: torch.Generator,
    ) -> float:
        """One pass over the rows in random order, with the other side fixed; gives the sum of squared errors.

        Args:
            other: the other side.
            targets: the standardised training ratings.
            config: batch, dropout and clipping.
            unit: a time step on the clock.
            generator: draws the order and the dropout.
        """
        fixed = other.everything(unit)
        order = torch.randperm(len(self.bounds) - 1, generator=generator).numpy()
        order = order[np.diff(self.bounds)[order] > 0]
        total = 0.0
        for first in range(0, len(order), config.batch):
            rows = order[first : first + config.batch]
            places, starts = ranges(self.bounds, rows)
            ratings = torch.from_numpy(self.places[places])
            with torch.enable_grad():
                predicted = self._predicted(rows, starts, ratings, other, fixed, config, unit, generator)
                errors = (predicted - targets[ratings]).square()
                for optimizer in self.optimizers:
                    optimizer.zero_grad()
                errors.mean().backward()  # type: ignore[no-untyped-call]
            dense = [part for part in self.side.parameters() if part is not self.side.stationary.weight]
            torch.nn.utils.clip_grad_value_(dense, config.clip)
            for optimizer in self.optimizers:
                optimizer.step()
            total += float(errors.detach().sum())
        return total

    @torch.no_grad()
    def everything(self, unit: float) -> Float[Tensor, "entries hidden"]:
        """The dynamic factors at every entry."""
        rows = np.arange(len(self.bounds) - 1)
        blocks = (rows[first : first + _ROWS_AT_ONCE] for first in range(0, len(rows), _ROWS_AT_ONCE))
        states = [self.side.states(self.steps, block, unit)[0] for block in blocks]
        dynamic: Tensor = self.side.project(torch.cat(states))
        return dynamic

    def _predicted(
        self,
        rows: Int64[np.ndarray, " rows"],
        starts: Int64[np.ndarray, " bounds"],
        ratings: Int64[Tensor, " batch"],
        other: "Learner",
        fixed: Float[Tensor, "entries hidden"],
        config: RrnConfig,
        unit: float,
        generator: torch.Generator,
    ) -> Float[Tensor, " batch"]:
        h, _ = self.side.states(self.steps, rows, unit)
        dynamic = self.side.project(Dropout(config.dropout, generator, slice(0, len(h)), len(h))(h))
        owners = np.repeat(np.arange(len(rows)), np.diff(starts))
        _, entries = ranges(self.steps.bounds, rows)
        numbers = ratings.numpy()
        here = self.steps.of_ratings[numbers] + (entries[:-1] - self.steps.bounds[rows])[owners]
        there = other.steps.of_ratings[numbers]
        mine = self.side.stationary(torch.from_numpy(rows)).index_select(0, torch.from_numpy(owners))
        theirs = other.side.stationary.weight.detach()[torch.from_numpy(other.rows[numbers])]
        moving = dynamic.index_select(0, torch.from_numpy(here)) * fixed[torch.from_numpy(there)]
        return torch.add(stationary_part(mine, theirs), moving.sum(dim=1))


def stationary_part(
    mine: Float[Tensor, "pairs rank_and_bias"], theirs: Float[Tensor, "pairs rank_and_bias"]
) -> Float[Tensor, " pairs"]:
    """b_u + b_i + ⟨p_u, q_i⟩, where the biases are the last column."""
    return (mine[:, :-1] * theirs[:, :-1]).sum(dim=1) + mine[:, -1] + theirs[:, -1]


def learners(
    train: Ratings, sides: tuple[Side, Side], steps: tuple[Steps, Steps], config: RrnConfig
) -> tuple[Learner, Learner]:
    """The users and the items, ready to learn from ratings."""

    def optimizers(side: Side) -> tuple[torch.optim.Optimizer, torch.optim.Optimizer]:
        own = side.stationary.weight
        network = [part for part in side.parameters() if part is not own]
        return (
            uncompiled(torch.optim.Adam)(network, config.lr, weight_decay=config.l2),
            uncompiled(torch.optim.SparseAdam)([own], config.lr),
        )

    items = train.items.astype(np.int64)
    by_item = np.argsort(items, kind="stable")
    item_bounds = np.concatenate([[0], np.cumsum(train.item_counts)]).astype(np.int64)
    in_order = np.arange(len(train))
    indptr = np.asarray(train.indptr)
    return (
        Learner(sides[0], steps[0], indptr, in_order, train.users, optimizers(sides[0])),
        Learner(sides[1], steps[1], item_bounds, by_item, items, optimizers(sides[1])),
    )
