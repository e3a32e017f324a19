"""The training ratings of a model folder, read without DuckDB."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from refeed.errors import StoreError
from refeed.lite.ridge import History
from refeed.ratings.ids import Ids
from refeed.ratings.store_meta import checked_meta

__all__ = ["Histories"]


@dataclass(frozen=True, eq=False)
class Histories:
    """Who rated what how in training, by user.

    Args:
        user_ids: raw ids of the users, by position.
        indptr: where each user's ratings start, and their total at the end, [users + 1].
        items: item positions, [ratings].
        values: the ratings, [ratings].
        times: Unix seconds, [ratings]; None: unknown.
    """

    user_ids: Ids
    indptr: NDArray[np.int64]
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    times: NDArray[np.int64] | None

    @classmethod
    def load(cls, path: Path) -> "Histories":
        """Open the store of a model folder; the arrays stay on disk, memory-mapped.

        Raises:
            StoreError: it is incomplete or damaged, or of another version.
        """
        files = checked_meta(path)["sha256"]
        if "users.json" not in files:
            raise StoreError(
                f"{path} has no users.json: a refeed from before `refeed.lite` wrote it; train again, or "
                "remove the folder to serve only people who bring their ratings"
            )
        indptr, items, values, times = (
            np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            if f"{name}.npy" in files
            else None
            for name in ("indptr", "items", "values", "times")
        )
        user_ids = Ids(json.loads((path / "users.json").read_text(encoding="utf-8")))
        return cls(user_ids, indptr, items, values, times)

    def of(self, user: int) -> History:
        """The history of the user at a position."""
        rows = slice(int(self.indptr[user]), int(self.indptr[user + 1]))
        return self.items[rows].astype(np.int64), np.array(self.values[rows])

    def times_of(self, user: int) -> NDArray[np.int64] | None:
        """When the ratings of the user at a position were given, [ratings]; None: unknown."""
        rows = slice(int(self.indptr[user]), int(self.indptr[user + 1]))
        return None if self.times is None else np.array(self.times[rows])
