"""Recurrent recommender networks: users and items that change with time (Wu et al. 2017).

    r̂_ui|t = μ + b_u + b_i + ⟨p_u, q_i⟩ + ⟨W_u h_u,t + c_u, W_i h_i,t + c_i⟩

h are the states of two LSTMs (`rrn_side`); b, p and q are stationary, and start as matrix factorisation.
"""

import math
from collections.abc import Iterator
from typing import Literal
from weakref import WeakKeyDictionary

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from refeed.baselines.clock import DAY, times_of
from refeed.baselines.epochs import best_epoch
from refeed.baselines.pmf import solve_pmf
from refeed.baselines.rrn_side import Side
from refeed.baselines.rrn_training import learners, stationary_part
from refeed.baselines.scale import Scale
from refeed.baselines.steps import Steps
from refeed.config.baselines import PmfConfig, RrnConfig
from refeed.errors import TrainingDivergedError
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["RrnModel"]

_PAIRS_AT_ONCE = 1 << 16  # bounds what the gathered factors take
_USERS_AT_ONCE = 1024


class RrnModel(nn.Module):
    """A `Model` that follows users and items; without a time it predicts for the latest training time.

    It wants the training ratings, with their times, as histories.

    Args:
        config: sizes and training.
        n_users: the number of users.
        n_items: the number of items.
        seed: of the start, the order and the dropout.
    """

    axis: Literal["user", "item"] = "user"
    folds_in = False
    mean: Tensor
    spread: Tensor
    span: Tensor

    def __init__(self, config: RrnConfig, n_users: int, n_items: int, seed: int) -> None:
        super().__init__()
        self.config = config
        self._seed = seed
        generator = torch.Generator().manual_seed(seed)
        self.users = Side(config, n_users, n_items, generator)
        self.items = Side(config, n_items, n_users, generator)
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("spread", torch.ones((), dtype=torch.float64))
        self.register_buffer("span", torch.zeros(2, dtype=torch.int64))  # first and last training second
        self._sequences: WeakKeyDictionary[Ratings, tuple[Steps, Steps]] = WeakKeyDictionary()

    # ------------------------------------------------------------------ training

    def fit(self, train: Ratings, valid: Ratings | None = None) -> None:
        """Fit to ratings with times; keep the best epoch on the validation ratings, if there are any.

        Raises:
            DataError: the ratings have no times.
            TrainingDivergedError: the error became NaN or infinite.
        """
        times = times_of(train, "rrn")
        self.mean.fill_(train.mean)
        self.spread.fill_(float(train.values.std(dtype=np.float64)) or 1.0)
        self.span.copy_(torch.tensor([int(times.min()), int(times.max())]))
        self._start_from_factors(train, valid)

        def predict(_: object, pairs: Aligned) -> Float64[np.ndarray, " pairs"]:
            return self._predicted(train, pairs.users, pairs.items, pairs.times)

        self.load_state_dict(best_epoch(self._epochs(train), predict, train, valid))

    @torch.no_grad()
    def _start_from_factors(self, train: Ratings, valid: Ratings | None) -> None:
        scale, config = Scale.of(train), PmfConfig(rank=self.config.rank, biases=True)
        held_out = None if valid is None else scale.mapped(valid)
        found = solve_pmf(config, scale.mapped(train), held_out, self._seed)
        unit = scale.unit / float(self.spread)
        users = unit * torch.cat([found.users, found.user_biases[:, None]], dim=1)
        self.users.stationary.weight.copy_(users)
        self.items.stationary.weight.copy_(torch.cat([found.items, unit * found.item_biases[:, None]], dim=1))

    def _epochs(self, train: Ratings) -> Iterator[dict[str, Tensor]]:
        config, unit = self.config, self._unit
        generator = torch.Generator().manual_seed(self._seed)
        users, items = learners(train, (self.users, self.items), self._steps(train), config)
        targets = torch.from_numpy(self._standardised(train))
        for epoch in range(config.epochs):
            error = users.learn(items, targets, config, unit, generator)
            error += items.learn(users, targets, config, unit, generator)
            if not math.isfinite(error):
                raise TrainingDivergedError(
                    f"the error became {error:g} in epoch {epoch + 1}; try a smaller rate "
                    f"(--set model.lr={config.lr / 5:.2g})"
                )
            yield self.state_dict()

    def _standardised(self, ratings: Ratings) -> Float32[np.ndarray, " ratings"]:
        values: Float32[np.ndarray, " ratings"] = ratings.values - np.float32(self.mean)
        return values / np.float32(self.spread)

    # ------------------------------------------------------------------ time

    def _steps(self, histories: Ratings) -> tuple[Steps, Steps]:
        """The sequences of users and items; made once for the same histories."""
        if histories not in self._sequences:
            numbers = self._numbers(times_of(histories, "rrn"))
            self._sequences[histories] = Steps.both(histories, self._standardised(histories), numbers)
        return self._sequences[histories]

    def _numbers(self, times: Int64[np.ndarray, " some"]) -> Int64[np.ndarray, " some"]:
        """The time steps of some seconds; 0 for what is before training."""
        numbers: Int64[np.ndarray, " some"] = (times - int(self.span[0])) // int(self.config.step_days * DAY)
        return numbers.clip(min=0)

    @property
    def _unit(self) -> float:
        """A time step on a clock that shows 0 at the start of training and about 1 at its end."""
        return 1 / (1 + int(self._numbers(self.span.numpy())[1]))

    # ------------------------------------------------------------------ predictions

    @torch.no_grad()
    def _predicted(
        self,
        histories: Ratings,
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
        times: Int64[np.ndarray, " pairs"] | None,
    ) -> Float64[np.ndarray, " pairs"]:
        numbers = self._numbers(np.full(len(users), int(self.span[1])) if times is None else times)
        parts = []
        for side, steps, rows in zip(
            (self.users, self.items), self._steps(histories), (users, items), strict=True
        ):
            # Each row at each time step once.
            keys, back = np.unique(np.stack([rows, numbers]), axis=1, return_inverse=True)
            parts.append(
                (side.dynamic(steps, keys[0], keys[1], self._unit), torch.from_numpy(back.reshape(-1)))
            )
        predicted = np.empty(len(users))
        for first in range(0, len(users), _PAIRS_AT_ONCE):
            some = slice(first, first + _PAIRS_AT_ONCE)
            (of_users, u), (of_items, i) = parts
            moving = (of_users[u[some]] * of_items[i[some]]).sum(dim=1)
            mine = self.users.stationary(torch.from_numpy(users[some]))
            theirs = self.items.stationary(torch.from_numpy(items[some]))
            predicted[some] = (stationary_part(mine, theirs) + moving).double().numpy()
        return predicted * float(self.spread) + float(self.mean)

    def predict_at(
        self,
        histories: Ratings,
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
        times: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        """The rating of each pair at its time, from what is known before that time step (see `InTime`)."""
        return self._predicted(histories, users, items, times)

    def predict(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """The rating of each pair at the latest training time (see `Model`)."""
        return self._predicted(histories, users, items, None)

    def predict_all(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[np.ndarray, "users items"]:
        """The ratings of all items by each of the users at the latest training time (see `Model`)."""
        predicted = np.empty((len(users), histories.n_items), dtype=np.float32)
        for at, block in enumerate(self.predict_blocks(histories, users, _USERS_AT_ONCE)):
            predicted[at * _USERS_AT_ONCE : at * _USERS_AT_ONCE + len(block)] = block.numpy()
        return predicted

    @torch.no_grad()
    def predict_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """The rows of `predict_all`, `size` users at a time (see `InBlocks`); the items are computed once."""
        of_users, of_items = self._steps(histories)
        latest = self._numbers(self.span.numpy())[1]
        everything = np.arange(histories.n_items)
        moving = self.items.dynamic(of_items, everything, np.full(len(everything), latest), self._unit)
        standing = self.items.stationary.weight
        items = torch.cat([standing[:, :-1], moving], dim=1).t()

        @torch.no_grad()
        def block(some: Int64[np.ndarray, " some"]) -> Tensor:
            dynamic = self.users.dynamic(of_users, some, np.full(len(some), latest), self._unit)
            own = self.users.stationary(torch.from_numpy(some))
            ratings: Tensor = torch.cat([own[:, :-1], dynamic], dim=1) @ items + own[:, -1:] + standing[:, -1]
            return ratings.mul_(float(self.spread)).add_(float(self.mean))

        return (block(users[first : first + size]) for first in range(0, len(users), size))

    def item_vectors(self) -> Float32[np.ndarray, "items rank"]:
        """q_i of each item."""
        vectors: Float32[np.ndarray, "items rank"] = self.items.stationary.weight[:, :-1].detach().numpy()
        return vectors
