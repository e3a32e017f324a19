"""Ratings as one sequence a row (a user, or an item): its time steps that have ratings, in order."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from refeed.baselines.ranges import ranges
from refeed.models.autoencoder.sparse import Batch
from refeed.ratings.store import Ratings

__all__ = ["Steps"]


@dataclass(frozen=True, eq=False)
class Steps:
    """The entries of all rows, one after the other; an entry is a time step in which a row has ratings.

    Args:
        bounds: where each row's entries start, and their total at the end.
        numbers: the number of each entry's time step.
        starts: where each entry's ratings start, and their total at the end.
        columns: the other side's position of each rating.
        values: what each rating counts in the input.
        of_ratings: the entry of each rating, in the order of the ratings that they were made from.
        n_columns: how many the other side are.
    """

    bounds: Int64[np.ndarray, " row_bounds"]
    numbers: Int64[np.ndarray, " entries"]
    starts: Int64[np.ndarray, " entry_bounds"]
    columns: Int64[np.ndarray, " ratings"]
    values: Float32[np.ndarray, " ratings"]
    of_ratings: Int64[np.ndarray, " ratings"]
    n_columns: int

    @classmethod
    def of(
        cls,
        rows: Int64[np.ndarray, " ratings"],
        columns: Int64[np.ndarray, " ratings"],
        values: NDArray[np.floating],
        steps: Int64[np.ndarray, " ratings"],
        sizes: tuple[int, int],
    ) -> "Steps":
        """Sort ratings into entries.

        Args:
            rows: position of each rating's row.
            columns: of its column.
            values: standardised ratings; an entry's are divided by the root of their number.
            steps: number of its time step.
            sizes: how many rows and columns there are.
        """
        order = np.lexsort((steps, rows))
        changes = (np.diff(rows[order]) != 0) | (np.diff(steps[order]) != 0)
        entry = np.concatenate([[0], np.cumsum(changes)]).astype(np.int64)[: len(rows)]
        firsts = np.flatnonzero(np.concatenate([[True], changes])[: len(rows)])
        counts = np.bincount(entry, minlength=len(firsts))
        of_ratings = np.empty_like(entry)
        of_ratings[order] = entry
        return cls(
            bounds=np.searchsorted(rows[order][firsts], np.arange(sizes[0] + 1)).astype(np.int64),
            numbers=steps[order][firsts],
            starts=np.append(firsts, len(rows)).astype(np.int64),
            columns=columns[order],
            values=(values[order] / np.sqrt(counts[entry])).astype(np.float32),
            of_ratings=of_ratings,
            n_columns=sizes[1],
        )

    @classmethod
    def both(
        cls, ratings: Ratings, values: NDArray[np.floating], steps: NDArray[np.int64]
    ) -> "tuple[Steps, Steps]":
        """The sequences of the users and of the items."""
        users, items = ratings.users, ratings.items.astype(np.int64)
        sizes = ratings.n_users, ratings.n_items
        return cls.of(users, items, values, steps, sizes), cls.of(items, users, values, steps, sizes[::-1])

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " rows"]:
        """Entries of each row."""
        return np.diff(self.bounds)

    def before(
        self, rows: Int64[np.ndarray, " queries"], steps: Int64[np.ndarray, " queries"]
    ) -> Int64[np.ndarray, " queries"]:
        """How many entries each row has before a time step."""
        span = int(max(self.numbers.max(initial=0), steps.max(initial=0))) + 2
        owners = np.repeat(np.arange(len(self.lengths)), self.lengths)
        reached = np.searchsorted(owners * span + self.numbers, rows * span + np.maximum(steps, 0))
        before: Int64[np.ndarray, " queries"] = reached - self.bounds[rows]
        return before

    def contents(self, entries: Int64[np.ndarray, " some"]) -> Batch:
        """The ratings of some entries; those of entry −1 are none."""
        bounds = np.append(self.starts, self.starts[-1])  # of an empty one behind the last, too
        places, starts = ranges(bounds, np.where(entries < 0, len(self.numbers), entries))
        return Batch.from_numpy(
            starts,
            self.columns[places],
            self.values[places],
            n_items=self.n_columns,
            device=torch.device("cpu"),
            dtype=torch.float32,
        )
