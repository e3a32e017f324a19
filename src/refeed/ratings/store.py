"""Ratings: one immutable object, compressed by user, and its folder on disk.

The folder:

    meta.json       format, kind, counts, scale, source, checksums of all files (its own: with zeros there)
    indptr.npy      int64 [users + 1]   where each user's ratings start
    items.npy       int32 [ratings]     item positions, ascending within a user
    values.npy      float32 [ratings]
    times.npy       int64 [ratings]     Unix seconds; absent if the ratings have no times
    users.parquet   column user
    users.json      raw ids of the users as a list, for runtimes without DuckDB; absent after `prepare`
    items.parquet   columns item, title (null where unknown), and the items' attributes, if there are any
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from jaxtyping import Float32, Float64, Int32, Int64
from numpy.typing import ArrayLike, NDArray

from refeed.errors import DataError, StoreError
from refeed.files import atomic_folder, given_path
from refeed.ratings.blocks import blocks, kept_before
from refeed.ratings.columns import Kind
from refeed.ratings.frames import Column, frame_arrays
from refeed.ratings.ids import Ids
from refeed.ratings.positions import compressed, compressed_once
from refeed.ratings.report import described
from refeed.ratings.store_meta import FORMAT, DataKind, checked_meta, is_store, quoted, write_meta

__all__ = ["FORMAT", "Attributes", "DataKind", "Ratings", "is_store", "write_meta"]

Attributes = Mapping[str, tuple[str | float | None, ...]]
"""Of items: what a column of the titles table says of each, by position; None where it says nothing."""

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
        kind: "ratings"; or "interactions", whose values are 1, or how often or how much (positive counts).
        attributes: what else is known of the items (genre, year, price, …): name → a text or a number each,
            by position.
    """

    indptr: Int64[np.ndarray, " starts"]
    items: Int32[np.ndarray, " ratings"]
    values: Float32[np.ndarray, " ratings"]
    times: Int64[np.ndarray, " ratings"] | None
    user_ids: Ids
    item_ids: Ids
    titles: tuple[str, ...] | None = None
    source: Mapping[str, str | int | float] = field(default_factory=dict)
    kind: DataKind = "ratings"
    attributes: Attributes = field(default_factory=dict)

    @classmethod
    def from_arrays(
        cls,
        users: ArrayLike,
        items: ArrayLike,
        values: ArrayLike,
        *,
        user_ids: Iterable[object],
        item_ids: Iterable[object],
        times: ArrayLike | None = None,
        titles: Sequence[str] | None = None,
        source: Mapping[str, str | int | float] | None = None,
        kind: DataKind = "ratings",
    ) -> "Ratings":
        """Check and sort (user, item, value[, time]) rows, given as positions in any order.

        Of several rows of the same user and item the latest stays, by time, then by place; how many are left
        out is counted in `source["duplicates"]`.

        Args:
            users: `[rows]`, positions in `user_ids`, from 0.
            items: `[rows]`, positions in `item_ids`.
            values: `[rows]`, finite numbers within the range of float32.
            user_ids: raw ids, each once: text or whole numbers, which stand for their decimals.
            item_ids: likewise.
            times: `[rows]`, Unix seconds; or None.
            titles: of the items, "" where unknown; or None.
            source: where the ratings came from, in words.
            kind: what the values are.

        Raises:
            DataError: lengths differ; a position is negative, beyond the ids, or not whole; a value is NaN or
                infinite; a time is not whole; an id is there twice or is neither text nor a whole number.
        """
        who, what = Ids.of(user_ids), Ids.of(item_ids)
        rows = compressed(users, items, values, times, n_users=len(who), n_items=len(what))
        if titles is not None and len(titles) != len(what):
            raise DataError(f"{len(titles):,} titles for {len(what):,} items; give one for each, or None")
        facts = dict(source or {})
        if rows.duplicates:
            facts["duplicates"] = rows.duplicates
        return cls(
            rows.indptr,
            rows.items,
            rows.values,
            rows.times,
            who,
            what,
            titles=None if titles is None else tuple(titles),
            source=facts,
            kind=kind,
        )

    @classmethod
    def from_frame(
        cls,
        data: object,
        *,
        user: Column | None = None,
        item: Column | None = None,
        rating: Column | None = None,
        timestamp: Column | None = None,
        count: Column | None = None,
        user_ids: object = None,
        item_ids: object = None,
        titles: object = None,
        missing: object = (),
        skip_bad: bool = False,
        kind: Kind = "auto",
    ) -> "Ratings":
        """Read a table in memory: the rows are checked and put together as `prepare` does it with a file.

        Nothing is written anywhere. What was left out is counted in `source` (duplicates, bad, missing) and
        logged under the name `refeed`.

        Args:
            data: a frame of pandas, polars, pyarrow or DuckDB, or anything else with `__arrow_c_stream__`; a
                numpy array, structured or `[rows, 3 or 4]`; a `scipy.sparse` matrix, users × items, whose
                ids are its rows and columns; a mapping from names to columns; tuples or dicts, a row each,
                in a list or from a generator.
            user: the column of users, of text or whole numbers: 1, "1" and 1.0 are the same id. A name; or,
                where columns have no names, a place counted from 0. Without it usual names are recognised,
                and where there are no names the order is user, item, rating, time.
            item: likewise.
            rating: likewise; finite numbers, of which 0 is one, too.
            timestamp: likewise, if there are times: datetimes (UTC unless they say otherwise), Unix seconds,
                or milliseconds where they are beyond 10^11, or ISO dates as text; "none" reads none.
            count: of interactions, a column of how often or how much.
            user_ids: of a sparse matrix, the raw ids of its rows; without them their numbers, from 0.
            item_ids: likewise of its columns.
            titles: of items: a mapping from ids to titles, a table with the columns item and title, or a file
                that `prepare` takes for titles.
            missing: ratings that mean "not rated", such as -1; NaN is a missing rating.
            skip_bad: leave out rows that are no ratings instead of refusing them.
            kind: "ratings"; "interactions", added up where a pair occurs several times; "auto": interactions
                where there is no column that could be the rating, or all ratings are equal.

        Raises:
            DataError: it is no table; its columns can't be told; ids are of a type that is neither text nor
                whole numbers; or rows are bad: the first 20 are named by row (from 1), value and cause.
        """
        given = {"user": user, "item": item, "rating": rating, "timestamp": timestamp, "count": count}
        arrays, counts, source = frame_arrays(
            data,
            given,
            user_ids=user_ids,
            item_ids=item_ids,
            titles=titles,
            missing=missing,
            skip_bad=skip_bad,
            kind=kind,
        )
        return cls(
            arrays.indptr,
            arrays.items,
            arrays.values,
            arrays.times,
            Ids.trusted(arrays.user_ids),
            Ids.trusted(arrays.item_ids),
            titles=None if arrays.titles is None else tuple(arrays.titles),
            attributes=arrays.attributes,
            source=source,
            kind=counts.kind,
        )

    def __repr__(self) -> str:
        times = self.times if len(self) else None
        return described(
            f"Ratings ({self.kind})",
            ratings=len(self),
            users=self.n_users,
            items=self.n_items,
            scale=self.scale if len(self) else None,
            span=None if times is None else (int(times.min()), int(times.max())),
            titled=sum(map(bool, self.titles or ())),
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
        """The user position of every rating; from then on it takes as much memory as items and values do."""
        return np.repeat(np.arange(self.n_users), np.diff(self.indptr))

    @cached_property
    def user_counts(self) -> Int64[np.ndarray, " users"]:
        """How many ratings each user gave."""
        return np.diff(self.indptr)

    @cached_property
    def item_counts(self) -> Int64[np.ndarray, " items"]:
        """How many ratings each item received."""
        counts: NDArray[np.int64] = np.zeros(self.n_items, dtype=np.int64)
        for block in blocks(len(self)):
            counts += np.bincount(self.items[block], minlength=self.n_items)
        return counts

    @cached_property
    def item_means(self) -> Float64[np.ndarray, " items"]:
        """The mean rating of each item; NaN where it has none."""
        sums = np.zeros(self.n_items)
        for block in blocks(len(self)):
            sums += np.bincount(self.items[block], weights=self.values[block], minlength=self.n_items)
        means: NDArray[np.float64] = np.full(self.n_items, np.nan)
        np.divide(sums, self.item_counts, out=means, where=self.item_counts > 0)
        return means

    def select(
        self, mask: NDArray[np.bool_], source: Mapping[str, str | int | float] | None = None
    ) -> "Ratings":
        """Keep the ratings where `mask` is true; users and items stay, with or without ratings."""
        return replace(
            self,
            indptr=kept_before(mask, self.indptr),
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
        for block in blocks(len(self)):
            renumbered[block] = renumber[self.items[block]]
        return replace(
            self,
            indptr=np.concatenate([self.indptr[users], self.indptr[-1:]]),
            items=renumbered,
            user_ids=Ids.trusted(self.user_ids[u] for u in users),
            item_ids=Ids.trusted(self.item_ids[i] for i in items),
            titles=None if self.titles is None else tuple(self.titles[i] for i in items),
            attributes={name: tuple(of[i] for i in items) for name, of in self.attributes.items()},
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
        """Swap users and items (for item-based models); made once, then kept. What items are is dropped."""
        return self._transposed

    @cached_property
    def _transposed(self) -> "Ratings":
        rows = compressed_once(
            self.items.astype(np.int64), self.users, self.values, self.times, n_users=self.n_items
        )
        return Ratings(
            rows.indptr,
            rows.items,
            rows.values,
            rows.times,
            user_ids=self.item_ids,
            item_ids=self.user_ids,
            source=self.source,
            kind=self.kind,
        )

    def save(self, path: Path | str) -> None:
        """Write the folder, whole or not at all.

        Raises:
            StoreError: the path exists already.
        """
        path = given_path(path)
        try:
            with atomic_folder(path) as folder:
                for name in _ARRAYS:
                    array = getattr(self, name)
                    if array is not None:
                        np.save(folder / f"{name}.npy", array, allow_pickle=False)
                users = {"user": self.user_ids.as_array()}  # noqa: F841 - DuckDB reads it by its name
                items = self._items_table()  # noqa: F841
                with duckdb.connect() as db:
                    for table in ("users", "items"):
                        db.execute(f"COPY {table} TO '{quoted(folder / table)}.parquet' (FORMAT parquet)")
                users_list = json.dumps(list(self.user_ids))
                (folder / "users.json").write_text(users_list, encoding="utf-8")
                write_meta(folder, dict(self.source), kind=self.kind)
        except FileExistsError as error:
            raise StoreError(f"{path} exists already; choose another path, or remove it first") from error

    def _items_table(self) -> dict[str, NDArray[Any]]:
        titles = np.empty(self.n_items, dtype=np.object_)
        titles[:] = [None] * self.n_items if self.titles is None else [t or None for t in self.titles]
        table: dict[str, NDArray[Any]] = {"item": self.item_ids.as_array(), "title": titles}
        for name, values in self.attributes.items():
            table[name] = np.empty(self.n_items, dtype=np.object_)
            table[name][:] = values
        return table

    @classmethod
    def load(cls, path: Path | str) -> "Ratings":
        """Open a folder that `save` wrote; the arrays stay on disk, memory-mapped.

        Raises:
            StoreError: there is no store, it is incomplete or damaged, or of another version.
        """
        path = given_path(path)
        meta = checked_meta(path)
        arrays = {
            name: np.load(path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
            for name in _ARRAYS
            if f"{name}.npy" in meta["sha256"]
        }
        with duckdb.connect() as db:
            users = db.execute(f"SELECT \"user\" FROM '{quoted(path)}/users.parquet'").fetchnumpy()["user"]
            found = db.execute(f"SELECT * FROM '{quoted(path)}/items.parquet'")
            names = [column[0] for column in found.description or ()]
            items, titled, *attributes = list(zip(*found.fetchall(), strict=True)) or [()] * len(names)
        titles = tuple(title or "" for title in titled)
        return cls(
            indptr=arrays["indptr"],
            items=arrays["items"],
            values=arrays["values"],
            times=arrays.get("times"),
            user_ids=Ids.trusted(users),
            item_ids=Ids.trusted(items),
            titles=titles if any(titles) else None,
            source=meta["source"],
            kind=meta.get("kind", "ratings"),  # stores of before had no other kind
            attributes=dict(zip(names[2:], attributes, strict=False)),
        )
