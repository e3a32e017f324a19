"""The order of the users in an epoch, and the batches they make."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from refeed.config import TrainConfig
from refeed.model.autoencoder import Autoencoder
from refeed.ratings.store import Ratings
from refeed.training.example import Example, corrupted, whole
from refeed.training.runtime import Runtime

__all__ = ["Batches", "Share"]


@dataclass(frozen=True)
class Share:
    """This process's share of a batch.

    Args:
        number: of the batch in its epoch, counted from 0.
        example: the ratings of the share's users.
        rows: which of the batch's users they are.
        total: how many users the whole batch has.
    """

    number: int
    example: Example
    rows: slice
    total: int


class Batches:
    """All users with ratings, in an order that depends on (seed, epoch) alone: any place can be resumed.

    Args:
        model: makes batches of its rows.
        train: the training ratings.
        config: batch size, seed, and whether to leave out the last partial batch.
        runtime: which share of each batch this process takes.
    """

    def __init__(self, model: Autoencoder, train: Ratings, config: TrainConfig, runtime: Runtime) -> None:
        self._model = model
        self._rows = model.rows(train)
        self._users: Int64[np.ndarray, " users"] = np.flatnonzero(self._rows.user_counts)
        self._config = config
        self._runtime = runtime
        automatic = min(max(len(self._users) // 20, 128), 4096)
        self._batch = automatic if config.batch == "auto" else config.batch

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
        counts = self._rows.item_counts
        return float(np.mean(1 - (1 - self.size / len(self._users)) ** counts))

    def epoch(self, epoch: int, first: int = 0) -> Iterator[Share]:
        """The batches of an epoch, from the `first` on; the next one is made while one is trained on."""
        shares = self._shares(epoch, first)
        # The pool's end waits for its thread, also if the loop ends early.
        with ThreadPoolExecutor(1, thread_name_prefix="batches") as thread:
            following = thread.submit(next, shares, None)
            while (share := following.result()) is not None:
                following = thread.submit(next, shares, None)
                yield share

    def _shares(self, epoch: int, first: int) -> Iterator[Share]:
        order = np.random.default_rng([self._config.seed, epoch]).permutation(self._users)
        for number in range(first, len(self)):
            start = number * self._batch
            users = order[start : start + self._batch]
            rows = self._runtime.share(len(users))
            example = self._example(epoch, number, users, rows)
            example.prepare()
            yield Share(number, example, rows, len(users))

    def _example(self, epoch: int, number: int, users: Int64[np.ndarray, " users"], rows: slice) -> Example:
        dropped = self._config.input_dropout
        if not dropped:
            return whole(self._model, self._rows, users[rows])
        # Drawn for the whole batch, so that the numbers don't depend on how many processes share it.
        counts = self._rows.user_counts[users]
        bounds = np.concatenate([[0], np.cumsum(counts)])
        rng = np.random.default_rng([self._config.seed, epoch, number])
        rates = np.repeat(rng.uniform(0, dropped, len(users)), counts)
        mine = slice(bounds[rows.start], bounds[rows.stop])
        kept = (rng.random(bounds[-1]) >= rates)[mine]
        return corrupted(self._model, self._rows, users[rows], kept, self._config.kept_weight)
