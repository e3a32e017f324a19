"""Ratings: one immutable object, compressed by user, and its folder on disk.

The folder:

    meta.json       format, counts, scale, source, checksums of all files (its own: with zeros in its place)
    indptr.npy      int64 [users + 1]   where each user's ratings start
    items.npy       int32 [ratings]     item positions, ascending within a user
    values.npy      float32 [ratings]
    times.npy       int64 [ratings]     Unix seconds; absent if the ratings have no times
    users.parquet   column user
    users.json      the same as a list, for runtimes without DuckDB; absent from a store of `prepare`
    items.parquet   columns item, title (null where unknown)
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from jaxtyping import Bool, Float32, Float64, Int32, Int64
from numpy.typing import NDArray

from refeed.errors import StoreError
from refeed.files import atomic_folder
from refeed.ratings.ids import Ids
from refeed.ratings.store_meta import FORMAT, NO_CHECKSUM, checked_meta, checksum_of_meta, sha256

__all__ = ["FORMAT", "Ratings", "is_store", "write_meta"]

_BLOCK = 1 << 22
_ARRAYS = {"indptr": np.int64, "items": np.int32, "values": np.float32, "times": np.int64}


@dataclass(frozen=True, eq=False)
class Ratings:
    """Who rated what how, compressed sparse rows by user.

    Args:
        indptr: where each user's ratings start, and their total at the end.
        items: item positions, ascending within a user; a pair occurs at most once.
        values: the ratings, any finite numbers; 0 is a rating.
        times: Unix seconds of each rating, or None.
        user_ids: raw ids of the users, by position.
        item_ids: raw ids of the items, by position.
        titles: titles of the items, by position ("" where unknown), or None.
        source: where the ratings came from, and what was done to them, in words.
    """

    indptr: Int64[np.ndarray, " starts"]
    items: Int32[np.ndarray, " ratings"]
    values: Float32[np.ndarray, " ratings"]
    times: Int64[np.ndarray, " ratings"] | None
    user_ids: Ids
    item_ids: Ids
    titles: tuple[str, ...] | None = None
    source: Mapping[str, str | int | float] = field(default_factory=dict)

    @classmethod
    def from_arrays(
        cls,
        users: Int64[np.ndarray, " ratings"],
        items: Int64[np.ndarray, " ratings"],
        values: NDArray[np.floating],
        *,
        user_ids: Ids,
        item_ids: Ids,
        times: Int64[np.ndarray, " ratings"] | None = None,
        titles: Sequence[str] | None = None,
        source: Mapping[str, str | int | float] | None = None,
    ) -> "Ratings":
        """Sort (user, item, value[, time]) rows, given as positions in any order, each pair once."""
        order = np.lexsort((items, users))
        counts = np.bincount(users, minlength=len(user_ids))
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        return cls(
            indptr=indptr,
            items=items[order].astype(np.int32),
            values=values[order].astype(np.float32),
            times=None if times is None else times[order].astype(np.int64),
            user_ids=user_ids,
            item_ids=item_ids,
            titles=None if titles is None else tuple(titles),
            source=source or {},
        )

    def __len__(self) -> int:
        """The number of ratings."""
        return len(self.items)

    @property
    def n_users(self) -> int:
        """The number of users, with or without ratings."""
        return len(self.user_ids)

    @property
    def n_items(self) -> int:
        """The number of items, with or without ratings."""
        return len(self.item_ids)

    @cached_property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest rating."""
        return float(self.values.min()), float(self.values.max())

    @cached_property
    def mean(self) -> float:
        """The mean rating."""
        return float(self.values.mean(dtype=np.float64))

    @cached_property
    def users(self) -> Int64[np.ndarray, " ratings"]:
        """The user position of every rating."""
        return np.repeat(np.arange(self.n_users), np.diff(self.indptr))

    @cached_property
    def user_counts(self) -> Int64[np.ndarray, " users"]:
        """How many ratings each user gave."""
        return np.diff(self.indptr)

    @cached_property
    def item_counts(self) -> Int64[np.ndarray, " items"]:
        """How many ratings each item received."""
        counts: NDArray[np.int64] = np.zeros(self.n_items, dtype=np.int64)
        for block in _blocks(len(self)):
            counts += np.bincount(self.items[block], minlength=self.n_items)
        return counts

    @cached_property
    def item_means(self) -> Float64[np.ndarray, " items"]:
        """The mean rating of each item; NaN where it has none."""
        sums = np.bincount(self.items, weights=self.values, minlength=self.n_items)
        means: NDArray[np.float64] = np.full(self.n_items, np.nan)
        np.divide(sums, self.item_counts, out=means, where=self.item_counts > 0)
        return means

    def select(
        self, mask: NDArray[np.bool_], source: Mapping[str, str | int | float] | None = None
    ) -> "Ratings":
        """Keep the ratings where `mask` is true; users and items stay, with or without ratings."""
        return replace(
            self,
            indptr=_kept_before(mask, self.indptr),
            items=self.items[mask],
            values=self.values[mask],
            times=None if self.times is None else self.times[mask],
            source={**self.source, **(source or {})},
        )

    def compact(self) -> "Ratings":
        """Drop the users and items that have no rating; the rest keep their order."""
        users, items = np.flatnonzero(self.user_counts).tolist(), np.flatnonzero(self.item_counts).tolist()
        renumber = np.zeros(self.n_items, dtype=np.int32)
        renumber[items] = np.arange(len(items), dtype=np.int32)
        renumbered = np.empty_like(self.items, subok=False)
        for block in _blocks(len(self)):
            renumbered[block] = renumber[self.items[block]]
        return replace(
            self,
            indptr=np.concatenate([self.indptr[users], self.indptr[-1:]]),
            items=renumbered,
            user_ids=Ids(self.user_ids[u] for u in users),
            item_ids=Ids(self.item_ids[i] for i in items),
            titles=None if self.titles is None else tuple(self.titles[i] for i in items),
        )

    def rows(
        self, users: Int64[np.ndarray, " some"]
    ) -> tuple[
        Int64[np.ndarray, " some+1"], Int32[np.ndarray, " rows_ratings"], Float32[np.ndarray, " rows_ratings"]
    ]:
        """The histories of some users, one after the other: (indptr, items, values)."""
        starts = self.indptr[users]
        counts = self.indptr[users + 1] - starts
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        index = np.repeat(starts - indptr[:-1], counts) + np.arange(indptr[-1])
        return indptr, self.items[index], self.values[index]

    def transpose(self) -> "Ratings":
        """Swap users and items (for item-based models); titles are dropped. Made once, then kept."""
        return self._transposed

    @cached_property
    def _transposed(self) -> "Ratings":
        return Ratings.from_arrays(
            self.items.astype(np.int64),
            self.users,
            self.values,
            times=self.times,
            user_ids=self.item_ids,
            item_ids=self.user_ids,
            source=self.source,
        )

    def save(self, path: Path) -> None:
        """Write the folder, whole or not at all.

        Raises:
            StoreError: the path exists already.
        """
        try:
            with atomic_folder(path) as folder:
                for name in _ARRAYS:
                    array = getattr(self, name)
                    if array is not None:
                        np.save(folder / f"{name}.npy", array, allow_pickle=False)
                users = {"user": self.user_ids.as_array()}  # noqa: F841 - DuckDB reads it by its name
                titles = np.empty(self.n_items, dtype=np.object_)
                titles[:] = [None] * self.n_items if self.titles is None else [t or None for t in self.titles]
                items = {"item": self.item_ids.as_array(), "title": titles}  # noqa: F841
                with duckdb.connect() as db:
                    for table in ("users", "items"):
                        db.execute(f"COPY {table} TO '{_quoted(folder / table)}.parquet' (FORMAT parquet)")
                (folder / "users.json").write_text(json.dumps(list(self.user_ids)), encoding="utf-8")
                write_meta(folder, dict(self.source))
        except FileExistsError as error:
            raise StoreError(f"{path} exists already; choose another path, or remove it first") from error

    @classmethod
    def load(cls, path: Path) -> "Ratings":
        """Open a folder that `save` wrote; the arrays stay on disk, memory-mapped.

        Raises:
            StoreError: there is no store, it is incomplete or damaged, or of another version.
        """
        meta = checked_meta(path)
        arrays = {
            name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in _ARRAYS
            if f"{name}.npy" in meta["sha256"]
        }
        with duckdb.connect() as db:
            users = db.execute(f"SELECT \"user\" FROM '{_quoted(path)}/users.parquet'").fetchnumpy()["user"]
            items = db.execute(f"SELECT item, title FROM '{_quoted(path)}/items.parquet'").fetchall()
        titles = tuple(title or "" for _, title in items)
        return cls(
            indptr=arrays["indptr"],
            items=arrays["items"],
            values=arrays["values"],
            times=arrays.get("times"),
            user_ids=Ids(users),
            item_ids=Ids(item for item, _ in items),
            titles=titles if any(titles) else None,
            source=meta["source"],
        )


def _blocks(length: int) -> Iterator[slice]:
    """Slices that cover all ratings: numpy widens an index or a bin to 8 bytes, and not for all at once."""
    for start in range(0, length, _BLOCK):
        yield slice(start, min(start + _BLOCK, length))


def _kept_before(
    mask: Bool[np.ndarray, " ratings"], indptr: Int64[np.ndarray, " starts"]
) -> Int64[np.ndarray, " starts"]:
    """How many ratings are kept before each user's start: the indptr of a selection."""
    kept = np.zeros_like(indptr, subok=False)
    total = 0
    for block in _blocks(len(mask)):
        running = total + np.cumsum(mask[block], dtype=np.int64)
        first, last = np.searchsorted(indptr, [block.start, block.stop], side="right")
        kept[first:last] = running[indptr[first:last] - block.start - 1]
        total = int(running[-1])
    return kept


def write_meta(folder: Path, source: dict[str, str | int | float]) -> None:
    """Write `meta.json` for the other files of a store folder, which must all be there."""
    indptr = np.load(folder / "indptr.npy", mmap_mode="r", allow_pickle=False)
    values = np.load(folder / "values.npy", mmap_mode="r", allow_pickle=False)
    meta: dict[str, Any] = {
        "format": FORMAT,
        "users": len(indptr) - 1,
        "ratings": len(values),
        "scale": [float(values.min()), float(values.max())] if len(values) else None,
        "source": source,
        "sha256": {file.name: sha256(file) for file in sorted(folder.iterdir())},
    }
    meta["sha256"]["meta.json"] = NO_CHECKSUM
    text = json.dumps(meta, indent=2, ensure_ascii=False) + "\n"
    (folder / "meta.json").write_bytes(text.replace(NO_CHECKSUM, checksum_of_meta(text)).encode())


def is_store(path: Path) -> bool:
    """Whether the path looks like a ratings store, damaged or not."""
    return path.is_dir() and ((path / "meta.json").exists() or (path / "indptr.npy").exists())


def _quoted(path: Path) -> str:
    """A path inside a SQL string."""
    return str(path).replace("'", "''")
