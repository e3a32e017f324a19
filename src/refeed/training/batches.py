"""The order of the users in an epoch, and the batches they make."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

import numpy as np
from jaxtyping import Int64

from refeed.config import TrainConfig
from refeed.models.learner import Learner
from refeed.models.share import Share
from refeed.runtime import Runtime

__all__ = ["Batches", "batch_size"]

E = TypeVar("E")


class Batches(Generic[E]):
    """All users with ratings, in an order that depends on (seed, epoch) alone: any place can be resumed.

    Args:
        learner: says what a batch of its rows teaches.
        config: batch size, seed, and whether to leave out the last partial batch.
        runtime: which share of each batch this process takes.
    """

    def __init__(self, learner: Learner[E], config: TrainConfig, runtime: Runtime) -> None:
        self.learner = learner
        self._users: Int64[np.ndarray, " users"] = np.flatnonzero(learner.rows.user_counts)
        self._config = config
        self._runtime = runtime
        self._batch = batch_size(config, len(self._users))

    @property
    def size(self) -> int:
        """Users of a full batch."""
        return min(self._batch, len(self._users))

    def __len__(self) -> int:
        """Batches an epoch; at least one, however few the users are."""
        full, rest = divmod(len(self._users), self._batch)
        return full + (rest > 0 and (full == 0 or not self._config.drop_last))

    @property
    def users_an_epoch(self) -> int:
        """How many users an epoch trains on."""
        return min(len(self._users), len(self) * self._batch)

    @property
    def touched(self) -> float:
        """The share of the items (of the users, if item-based) that a full batch has a rating of, on average.

        A batch of b of n rows misses a column of c ratings with a chance of about (1 − b/n)ᶜ.
        """
        counts = self.learner.rows.item_counts
        return float(np.mean(1 - (1 - self.size / len(self._users)) ** counts))

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Share[E]]:
        """The batches of an epoch, from the `first` on; the next one is made while one is trained on."""
        shares = self._shares(epoch, first)
        # The pool's end waits for its thread, also if the loop ends early.
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
            following = thread.submit(next, shares, None)
            while (share := following.result()) is not None:
                following = thread.submit(next, shares, None)
                yield share

    def _shares(self, epoch: int, first: int) -> Iterator[Share[E]]:
        order = np.random.default_rng([self._config.seed, epoch]).permutation(self._users)
        for number in range(first, len(self)):
            start = number * self._batch
            users = order[start : start + self._batch]
            rows = self._runtime.share(len(users))
            example = self.learner.example((self._config.seed, epoch, number), users, rows)
            yield Share(number, example, rows, len(users))


def batch_size(config: TrainConfig, users: int) -> int:
    """Users a batch: as set, or a twentieth of them, between 128 and 4096."""
    return min(max(users // 20, 128), 4096) if config.batch == "auto" else config.batch
