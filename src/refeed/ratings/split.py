"""Splits of ratings into train, validation and test: by date, by each user's last ratings, or at random.

Every split of this file goes the same way (`split_users` is another: it holds out whole users). Some ratings
are for training and some are held out; a fair, seeded coin sends each held-out rating to validation or to
test; those whose user or item does not occur in training are removed (paper section 3.1) and counted.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
from jaxtyping import Bool, Int64

from refeed.errors import ConfigError, DataError, StoreError
from refeed.files import atomic_folder
from refeed.ratings.dates import moment_of, seconds_of, span_of
from refeed.ratings.split_report import SplitReport, part_of
from refeed.ratings.store import Ratings

__all__ = [
    "NETFLIX_WINDOWS",
    "Split",
    "Window",
    "split_by_date",
    "split_by_time",
    "split_last",
    "split_random",
    "write_split",
]

_BLOCK = 1 << 22
_FEW_USERS = 100
_FEW_SHARE = 0.05


class Window(TypedDict):
    """The days of a split by date, as `split_by_date` takes them; first and last days belong to it."""

    train_from: str
    at: str
    test_to: str


NETFLIX_WINDOWS: Mapping[str, Window] = {
    "3m": {"train_from": "2005-09-01", "at": "2005-12-01", "test_to": "2005-12-31"},
    "6m": {"train_from": "2005-06-01", "at": "2005-12-01", "test_to": "2005-12-31"},
    "1y": {"train_from": "2004-06-01", "at": "2005-06-01", "test_to": "2005-06-30"},
    "full": {"train_from": "1999-12-01", "at": "2005-12-01", "test_to": "2005-12-31"},
}
"""The paper's four splits of the Netflix Prize (its Table 1)."""


@dataclass(frozen=True, eq=False)
class Split:
    """Ratings to train on, to choose settings on, and to measure on once.

    Each part has users and items of its own, numbered from 0: positions differ between the parts, and raw ids
    are what links them.

    Args:
        train: what the model may see.
        valid: held-out ratings for choosing settings and stopping; may be empty.
        test: held-out ratings for the last number.
        report: counts, times and warnings.
        valid_given: of users held out whole, the ratings that the model may fold in; None in other splits.
        test_given: likewise, of the users of the test.
    """

    train: Ratings
    valid: Ratings
    test: Ratings
    report: SplitReport
    valid_given: Ratings | None = None
    test_given: Ratings | None = None

    def __iter__(self) -> Iterator[Ratings]:
        """Train, valid, test: `train, valid, test = split`."""
        return iter((self.train, self.valid, self.test))


def split_by_date(
    ratings: Ratings,
    at: int | str,
    *,
    train_from: int | str | None = None,
    test_to: int | str | None = None,
    valid: float = 0.5,
    seed: int = 0,
) -> Split:
    """Train on what came before a date and test on what came from it on (paper section 3).

    A date is `YYYY-MM-DD` (the whole day, in UTC) or Unix seconds.

    Args:
        ratings: with times.
        at: the first day (or second) of the test interval; training ends just before it.
        train_from: the first day (or second) of the training window; None: from the first rating on.
        test_to: the last day (or second) of the test interval, which belongs to it; None: to the last rating.
        valid: the probability that a held-out rating goes to validation, 0 ≤ valid < 1.
        seed: of the coin that decides it.

    Raises:
        ConfigError: a date that is none, out of order or outside the ratings' times; valid out of range.
        DataError: the ratings have no times, or nothing is left in train or test.
    """
    times = _times(ratings)
    cut = seconds_of(at)
    first, last = int(times.min()), int(times.max())
    if not first < cut <= last:
        raise ConfigError(
            f"the test can't start at {at}: the ratings are of {span_of((first, last))}; "
            "give a date after the first and up to the last of them"
        )
    start = first if train_from is None else seconds_of(train_from)
    end = last if test_to is None else seconds_of(test_to, last=True)
    window = f"train from {moment_of(start)}, test from {moment_of(cut)} to {moment_of(end)}"
    if not start < cut <= end:
        raise ConfigError(
            f"the dates are out of order: {window}; training must start before the test does, "
            "and the test must end after it started"
        )
    how = f"by date: {window}"
    train, held = (times >= start) & (times < cut), (times >= cut) & (times <= end)
    return _cut(ratings, train, held, how, valid=valid, seed=seed)


def split_by_time(ratings: Ratings, fraction: float = 0.1, *, valid: float = 0.5, seed: int = 0) -> Split:
    """Train on the past and test on the last `fraction` of all ratings: a split by date that finds the date.

    Ratings of the same second stay together, so the fraction held out is the largest that does not exceed the
    one asked for; only if even the last second holds more, it is what is held out.

    Args:
        ratings: with times.
        fraction: of the ratings to hold out, 0 < fraction < 1.
        valid: the probability that a held-out rating goes to validation, 0 ≤ valid < 1.
        seed: of the coin that decides it.

    Raises:
        ConfigError: fraction or valid out of range.
        DataError: the ratings have no times, all the same time, or nothing is left in train or test.
    """
    _check_fraction(fraction)
    times = _times(ratings)
    first, last = int(times.min()), int(times.max())
    if first == last:
        raise DataError(
            f"all ratings have the same time, {moment_of(first)}, so no time splits them; split at random"
        )
    wanted = len(ratings) - int(fraction * len(ratings) + 1e-9)
    # Counting again for each halving takes some 30 passes, but never a sorted copy of the times.
    quantile = (
        bisect_left(range(first, last), wanted, key=lambda t: int(np.count_nonzero(times <= t))) + first
    )
    return split_by_date(ratings, min(quantile + 1, last), valid=valid, seed=seed)


def split_last(ratings: Ratings, fraction: float = 0.2, *, valid: float = 0.5, seed: int = 0) -> Split:
    """Hold out the last `fraction` of each user's ratings by time, rounded down.

    Among a user's ratings of the same second the one with the higher item position counts as the later.

    Args:
        ratings: with times.
        fraction: of each user's ratings to hold out, 0 < fraction < 1.
        valid: the probability that a held-out rating goes to validation, 0 ≤ valid < 1.
        seed: of the coin that decides it.

    Raises:
        ConfigError: fraction or valid out of range.
        DataError: the ratings have no times, or nothing is left in test.
    """
    _check_fraction(fraction)
    times = _times(ratings)
    held = np.zeros(len(ratings), dtype=np.bool_)
    for users in _user_blocks(ratings):
        starts = ratings.indptr[users.start : users.stop + 1]
        block = slice(int(starts[0]), int(starts[-1]))
        held[block] = _last_of_each(times[block], np.diff(starts), fraction)
    note = (
        "each user's own last ratings are held out, so the model learns from ratings that other users gave "
        "after those it is tested on; a split by date does not leak so."
    )
    how = f"by user: the last {fraction:g} of each user's ratings"
    return _cut(ratings, ~held, held, how, valid=valid, seed=seed, note=note)


def split_random(ratings: Ratings, fraction: float = 0.1, *, valid: float = 0.5, seed: int = 0) -> Split:
    """Hold out each rating with probability `fraction`.

    Args:
        ratings: with or without times.
        fraction: the probability of being held out, 0 < fraction < 1.
        valid: the probability that a held-out rating goes to validation, 0 ≤ valid < 1.
        seed: of both choices.

    Raises:
        ConfigError: fraction or valid out of range.
        DataError: nothing is left in train or test.
    """
    _check_fraction(fraction)
    coin = _generator(seed)
    held = _tosses(coin, len(ratings), fraction)
    note = (
        "held-out ratings are drawn at random, so the model learns from ratings that the same users and "
        "others gave after those it is tested on; real use, which predicts the future, comes out worse."
    )
    how = f"at random: each rating with probability {fraction:g}"
    return _cut(ratings, ~held, held, how, valid=valid, seed=seed, coin=coin, note=note)


def write_split(split: Split, out: Path) -> None:
    """Write the stores out/train, out/valid and out/test: all of them or nothing.

    Where users are held out whole, out/valid-given and out/test-given hold what is given of them.

    Raises:
        StoreError: `out` exists already.
    """
    refusal = f"{out} exists already; choose another path, or remove it first"
    if out.exists():
        raise StoreError(refusal)
    try:
        with atomic_folder(out) as folder:
            for name in ("train", "valid", "test", "valid_given", "test_given"):
                part: Ratings | None = getattr(split, name)
                if part is not None:
                    part.save(folder / name.replace("_", "-"))
    except FileExistsError as error:
        raise StoreError(refusal) from error


def _cut(
    ratings: Ratings,
    train: Bool[np.ndarray, " ratings"],
    held: Bool[np.ndarray, " ratings"],
    how: str,
    *,
    valid: float,
    seed: int,
    coin: np.random.Generator | None = None,
    note: str | None = None,
) -> Split:
    if not 0 <= valid < 1:
        raise ConfigError(f"valid is {valid}; it is a probability from 0 to below 1, such as 0.5")
    known = ratings.select(train)
    warm_users, warm_items = known.user_counts > 0, known.item_counts > 0
    warm = held & np.repeat(warm_users, ratings.user_counts)
    for block in _blocks(len(ratings)):
        warm[block] &= warm_items[ratings.items[block]]
    heads = np.zeros_like(warm)
    heads[warm] = _tosses(coin or _generator(seed), int(np.count_nonzero(warm)), valid)
    cold, for_valid, for_test = (ratings.select(mask) for mask in (held & ~warm, warm & heads, warm & ~heads))
    tested_users = int(np.count_nonzero(for_valid.user_counts + for_test.user_counts))
    if not len(known) or not len(for_test):
        raise DataError(_nothing_left(how, len(known), int(np.count_nonzero(held)), len(cold)))
    parts = {
        name: replace(part.compact(), source={**ratings.source, "split": how, "seed": seed, "part": name})
        for name, part in (("train", known), ("valid", for_valid), ("test", for_test))
    }
    report = SplitReport(
        how=how,
        train=part_of(parts["train"]),
        valid=part_of(parts["valid"]),
        test=part_of(parts["test"]),
        tested_users=tested_users,
        cold_ratings=len(cold),
        cold_users=int(np.count_nonzero(cold.user_counts[~warm_users])),
        cold_items=int(np.count_nonzero(cold.item_counts[~warm_items])),
        left_out=len(ratings) - int(np.count_nonzero(train)) - int(np.count_nonzero(held)),
        notes=tuple(_few_users(tested_users, known.n_users) if note is None else [note]),
    )
    return Split(**parts, report=report)


def _few_users(tested: int, users: int) -> list[str]:
    if tested >= _FEW_USERS and tested >= _FEW_SHARE * users:
        return []
    note = (
        f"only {tested:,} of {users:,} users have ratings on both sides of the date, so numbers on it rest "
        "on few people; --last 0.2 (split_last) tests everyone, on their own last ratings."
    )
    return [note]


def _nothing_left(how: str, train: int, held: int, cold: int) -> str:
    if not train:
        return (
            f"split {how}: nothing is left to train on; hold out fewer ratings, or train from an earlier date"
        )
    return (
        f"split {how}: nothing is left to test on: {held:,} ratings are held out, {cold:,} of these are "
        "of users or items that are not in train, and validation took the rest; hold out more, or "
        "take another seed"
    )


def _times(ratings: Ratings) -> Int64[np.ndarray, " ratings"]:
    if ratings.times is None:
        raise DataError(
            "the ratings have no times, and this split goes by time; "
            "give a timestamp column, or split at random"
        )
    if not len(ratings):
        raise DataError("there are no ratings to split")
    return ratings.times


def _check_fraction(fraction: float) -> None:
    if not 0 < fraction < 1:
        raise ConfigError(
            f"can't hold out {fraction} of the ratings; give a fraction between 0 and 1, such as 0.1"
        )


def _generator(seed: int) -> np.random.Generator:
    if seed < 0:
        raise ConfigError(f"the seed is {seed}; give a whole number from 0 on")
    return np.random.default_rng(seed)


def _tosses(coin: np.random.Generator, count: int, probability: float) -> Bool[np.ndarray, " count"]:
    heads = np.empty(count, dtype=np.bool_)
    for block in _blocks(count):
        heads[block] = coin.random(block.stop - block.start) < probability
    return heads


def _blocks(length: int) -> Iterator[slice]:
    for start in range(0, length, _BLOCK):
        yield slice(start, min(start + _BLOCK, length))


def _user_blocks(ratings: Ratings) -> Iterator[slice]:
    """Ranges of users with about `_BLOCK` ratings together, or one user with more."""
    start = 0
    while start < ratings.n_users:
        end = ratings.indptr[start] + _BLOCK
        stop = max(start + 1, int(np.searchsorted(ratings.indptr, end, side="right")) - 1)
        yield slice(start, stop)
        start = stop


def _last_of_each(
    times: Int64[np.ndarray, " ratings"], counts: Int64[np.ndarray, " users"], fraction: float
) -> Bool[np.ndarray, " ratings"]:
    """Which ratings, given user by user, are among the last `fraction` of their user's."""
    users = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((times, users))  # stable: items stay ascending within a second
    # The little more keeps 0.29 × 100, which is 28.999…, from becoming 28.
    first_held = np.cumsum(counts) - np.floor(counts * fraction + 1e-9).astype(np.int64)
    held = np.empty(len(times), dtype=np.bool_)
    held[order] = np.arange(len(times)) >= first_held[users]
    return held
