"""The ratings of a report: read once, cut into the paper's windows, and kept as stores under DIR/data.

source.json            what the ratings are; other ratings, or another scale, are refused
ratings/               all ratings, unless --data is a store and the scale 1
WINDOW/                train, valid and test, by coin 0
WINDOW-coinK/          valid and test, by another coin
WINDOW-strict/         train without its last slice, and that slice as valid
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Literal

import numpy as np

from refeed.errors import ConfigError, DataError
from refeed.files import atomic_file, atomic_folder
from refeed.paper.windows import GIVEN, Counts, Window, count_window, time_before, windows_of
from refeed.ratings.dates import seconds_of
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import align_to
from refeed.ratings.read import open_ratings, prepare
from refeed.ratings.split import NETFLIX_WINDOWS, split_by_date, write_split
from refeed.ratings.store import Ratings, is_store

__all__ = [
    "STRICT_SLICE",
    "Data",
    "Parts",
    "Protocol",
    "open_data",
    "retossed",
    "share_of_users",
    "without_last_slice",
]

Protocol = Literal["paper", "strict"]

STRICT_SLICE = 0.05
"""Of the training ratings: what the strict protocol chooses the checkpoint on."""

_PARTS = ("train", "valid", "test")
_BLOCK = 1 << 22


@dataclass(frozen=True)
class Parts:
    """The stores of one training: what it learns from, is chosen on, and is measured on."""

    train: Path
    valid: Path
    test: Path

    @cached_property
    def digest(self) -> str:
        """Of all three."""
        # The checksums of a store are in its meta.json.
        return _digest(*((part / "meta.json").read_bytes() for part in (self.train, self.valid, self.test)))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Users, items and ratings of the training."""
        return _shape(self.train)


class Data:
    """The ratings of a report and their windows.

    Args:
        folder: where the stores are.
        ratings: all of them; None if the split was given.
        source: what the ratings are, in words.
        scale: share of the users that were kept.
    """

    def __init__(self, folder: Path, ratings: Ratings | None, source: str, scale: float) -> None:
        self._folder = folder
        self._ratings = ratings
        self._scale = scale
        self.source = source

    @cached_property
    def windows(self) -> Mapping[str, Window]:
        """By name; "given" alone if the split was."""
        return {GIVEN.name: GIVEN} if self._ratings is None else windows_of(self._ratings)

    @property
    def is_netflix(self) -> bool:
        """Whether the windows are the paper's own, of all users, so that its counts should come out."""
        full = self.windows.get("full")
        return full is not None and self._scale == 1 and full.at == seconds_of(NETFLIX_WINDOWS["full"]["at"])

    @cached_property
    def has_times(self) -> bool:
        """Whether the training ratings have times, so that they have a last slice."""
        return self._ratings is not None or Ratings.load(self._folder / "given/train").times is not None

    def count(self, name: str) -> Counts:
        """What a window holds, without cutting it out."""
        if self._ratings is not None:
            return count_window(self._ratings, self.windows[name])
        train, valid, test = (Ratings.load(self._folder / "given" / part) for part in _PARTS)
        pairs = align_to(_pooled(valid, test), train)
        tested = (len(np.unique(pairs.users)), len(np.unique(pairs.items)), len(pairs))
        return Counts(train.n_users, train.n_items, len(train), *tested)

    def parts(self, name: str, protocol: Protocol, coin: int) -> Parts:
        """The stores of a window, made at the first call.

        Args:
            name: of the window.
            protocol: "paper" chooses the checkpoint on a half of the test interval, "strict" on the last
                slice of the training period; both are measured on the other half of the test interval.
            coin: which halves; 0 is that of `refeed split`, or of the given split.
        """
        whole = self._window(name)
        halves = whole if coin == 0 else self._coin(whole, coin)
        if protocol == "paper":
            return Parts(whole / "train", halves / "valid", halves / "test")
        strict = self._strict(whole)
        return Parts(strict / "train", strict / "valid", halves / "test")

    def _window(self, name: str) -> Path:
        window, out = self.windows[name], self._folder / name
        if self._ratings is not None and not out.exists():
            split = split_by_date(
                self._ratings, window.at, train_from=window.train_from, test_to=window.test_to
            )
            if not len(split.valid):
                raise DataError(
                    f"window {name}: nothing is left to choose a checkpoint on ({split.report.how}); give "
                    "more ratings, or another --window"
                )
            write_split(split, out)
        return out

    def _coin(self, whole: Path, coin: int) -> Path:
        out = whole.with_name(f"{whole.name}-coin{coin}")
        if not out.exists():
            valid, test = retossed(Ratings.load(whole / "valid"), Ratings.load(whole / "test"), coin)
            with atomic_folder(out) as folder:
                valid.save(folder / "valid")
                test.save(folder / "test")
        return out

    def _strict(self, whole: Path) -> Path:
        out = whole.with_name(f"{whole.name}-strict")
        if not out.exists():
            earlier, last = without_last_slice(Ratings.load(whole / "train"), STRICT_SLICE)
            with atomic_folder(out) as folder:
                earlier.save(folder / "train")
                last.save(folder / "valid")
        return out


def open_data(path: Path, out: Path, scale: float = 1.0) -> Data:
    """Read the ratings of a report, or go on with those that were read before.

    Args:
        path: a store, whatever `refeed prepare` reads, or a folder with train, valid and test (each a store
            or a table).
        out: the folder that holds the stores.
        scale: share of the users to keep, 0 < scale ≤ 1; the same ones every time.

    Raises:
        ConfigError: `out` holds other ratings, or the scale is out of range.
        DataError: there are no such ratings, or they have no times and are not split.
    """
    if not 0 < scale <= 1:
        raise ConfigError(f"--scale is {scale}; give a share of the users above 0 and up to 1, such as 0.1")
    with _noted(path, out, scale):
        source = f"{path.name}, {scale:.0%} of the users" if scale < 1 else path.name
        ratings = None if _is_split(path) else _whole(path, out / "ratings", scale)
        if ratings is None:
            _copy_split(path, out / "given", scale)
        elif ratings.times is None:
            raise DataError(
                f"{path}: the ratings have no times, and the paper's splits go by time; give a timestamp "
                "column, or a folder with train, valid and test, such as `refeed split` writes"
            )
        return Data(out, ratings, source, scale)


def share_of_users(ratings: Ratings, share: float) -> Ratings:
    """Keep a share of the users, by a hash of their ids: a smaller share is a part of a larger one."""
    drawn = [
        int.from_bytes(hashlib.blake2b(user.encode(), digest_size=8).digest()) for user in ratings.user_ids
    ]
    kept = np.array([number < share * 2**64 for number in drawn], dtype=np.bool_)
    return ratings.select(np.repeat(kept, ratings.user_counts)).compact()


def retossed(valid: Ratings, test: Ratings, coin: int) -> tuple[Ratings, Ratings]:
    """Pool held-out ratings, and share them out again by a fair coin of this seed (paper section 3.1)."""
    pool = _pooled(valid, test)
    heads = np.random.default_rng([coin]).random(len(pool)) < 0.5
    return pool.select(heads, {"coin": coin}).compact(), pool.select(~heads, {"coin": coin}).compact()


def without_last_slice(train: Ratings, share: float) -> tuple[Ratings, Ratings]:
    """Cut the last `share` of the training ratings by time off (without times: a random share).

    Ratings of a user or item that would be left with none stay in training, so that the earlier part knows
    all that the whole one does and can be tested on the same ratings.

    Raises:
        DataError: nothing can be cut off.
    """
    if train.times is None:
        cut = np.random.default_rng(0).random(len(train)) < share
    else:
        before_it = time_before(train.times, int((1 - share) * len(train)))
        cut = train.times > min(before_it, int(train.times.max()) - 1)
    earlier = train.select(~cut)
    cut &= np.repeat(earlier.user_counts > 0, train.user_counts)
    known = earlier.item_counts > 0
    for start in range(0, len(train), _BLOCK):
        block = slice(start, start + _BLOCK)
        cut[block] &= known[train.items[block]]
    if not cut.any():
        raise DataError(
            f"the last {share:.0%} of the {len(train):,} training ratings are all of users or items without "
            "earlier ones, so the strict protocol has nothing to choose a checkpoint on; give more ratings"
        )
    return train.select(~cut, {"strict": "earlier"}), train.select(cut, {"strict": "last slice"}).compact()


def _pooled(one: Ratings, other: Ratings) -> Ratings:
    users, items = (
        Ids(dict.fromkeys([*getattr(one, ids), *getattr(other, ids)])) for ids in ("user_ids", "item_ids")
    )
    both = (one, other)
    has_times = one.times is not None and other.times is not None
    return Ratings.from_arrays(
        np.concatenate([users.positions(each.user_ids)[each.users] for each in both]),
        np.concatenate([items.positions(each.item_ids)[each.items] for each in both]),
        np.concatenate([each.values for each in both]),
        times=np.concatenate([each.times for each in both if each.times is not None]) if has_times else None,
        user_ids=users,
        item_ids=items,
        source=one.source,
    )


def _whole(path: Path, out: Path, scale: float) -> Ratings:
    if is_store(path) and scale == 1:
        return Ratings.load(path)
    if not out.exists():
        if is_store(path):
            _sampled(Ratings.load(path), scale).save(out)
        elif scale == 1:
            prepare([path], out)
        else:
            _sampled(open_ratings(path), scale).save(out)
    return Ratings.load(out)


def _sampled(ratings: Ratings, scale: float) -> Ratings:
    kept = ratings if scale == 1 else share_of_users(ratings, scale)
    if not len(kept):
        raise DataError(f"--scale {scale:g} leaves no rating; give a larger share of the users")
    return kept


def _copy_split(path: Path, out: Path, scale: float) -> None:
    if out.exists():
        return
    parts = {name: _sampled(open_ratings(_part(path, name)), scale) for name in _PARTS}
    with atomic_folder(out) as folder:
        for name, ratings in parts.items():
            ratings.save(folder / name)


def _is_split(path: Path) -> bool:
    return path.is_dir() and not is_store(path) and all(_candidates(path, name) for name in _PARTS)


def _candidates(path: Path, name: str) -> list[Path]:
    return [each for each in sorted(path.iterdir()) if each.name.split(".")[0] == name]


def _part(path: Path, name: str) -> Path:
    found = _candidates(path, name)
    if len(found) > 1:
        names = ", ".join(each.name for each in found)
        raise DataError(f"{path} has several candidates for {name}: {names}; leave one of them")
    return found[0]


@contextmanager
def _noted(path: Path, out: Path, scale: float) -> Iterator[None]:
    """Refuse other ratings than `out` was begun with; a beginning that fails leaves nothing noted."""
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder")
    now = {"data": path.name, "scale": scale, "digest": _digest(_facts(path))}
    noted = out / "source.json"
    if not noted.exists():
        with atomic_file(noted) as beside:
            beside.write_text(json.dumps(now) + "\n", encoding="utf-8")
        try:
            yield
        except BaseException:
            shutil.rmtree(out)
            raise
        return
    before = json.loads(noted.read_text(encoding="utf-8"))
    if before != now:
        changed = " and ".join(name for name in ("data", "scale") if before[name] != now[name]) or "contents"
        raise ConfigError(
            f"{out.parent} was begun with other ratings ({before['data']}, scale {before['scale']:g}; what "
            f"differs: {changed}); choose another --out, or remove that folder"
        )
    yield


def _facts(path: Path) -> bytes:
    """What tells ratings from others: a store's checksums; else names, sizes and times of the files."""
    if is_store(path) and (path / "meta.json").is_file():
        return (path / "meta.json").read_bytes()
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    return json.dumps([[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]).encode()


@lru_cache
def _shape(store: Path) -> tuple[int, int, int]:
    ratings = Ratings.load(store)
    return ratings.n_users, ratings.n_items, len(ratings)


def _digest(*contents: bytes) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()
