"""Who rates what and when, in simulated ratings: Netflix's shape, at any size.

A user gives a log-normal number of ratings, to items drawn without replacement by weights whose quantiles are
those of Netflix's films. Users arrive ever more densely, and stay a while. Every user and every item has a
rating.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from refeed.errors import ConfigError

__all__ = ["DAYS", "FIRST_DAY", "PairSampler", "Pairs"]

FIRST_DAY = date(1999, 12, 1).toordinal() - date(1970, 1, 1).toordinal()
"""The first day of Netflix's ratings, counted from 1970-01-01."""
DAYS = (date(2005, 12, 1) - date(1999, 12, 1)).days
"""Days with ratings: all to 2005-11-30, as in the paper's "full" training window."""

BINS = 30
"""Periods of time, in which the items drift."""
_CHUNK = 1 << 19
"""Ratings made at a time: some 200 MB."""
_RACE = 16
"""Whoever rates more than this part of all items draws by a race over them: see `PairSampler.chunk`."""

# Activity. 1.24: between a median of 96 and a mean of 205 ratings, exp(σ²/2) = mean/median.
_ACTIVITY_SIGMA = 1.24
_MOST_ACTIVE = 0.99  # of all items; Netflix's most active user rated 17,653 of 17,770
# Popularity: weights at quantiles of the items. Fitted to Netflix's ratings per film: quartiles 192, 561 and
# 2,668, mean 5,655, largest 232,944; the large weights exceed the counts, as nobody rates a film twice.
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.9, 0.97, 0.995, 0.9995, 1.0)
_WEIGHTS = (0.005, 0.3272, 1.0, 5.331, 29.70, 127.2, 422.8, 917.9, 1832.4)
# Time. Fitted to the sizes of the paper's windows: 28 % of all ratings before June 2004, 86 % before
# September 2005, when 65 % of the users are still there.
_ARRIVAL = 3.0  # the density of arrivals grows with the square of time
_STAYS = 0.55  # the part of the users that stays to the end
_BURST = 1.8  # > 1: a user rates more in the beginning
_SHORTEST = 0.02  # of the whole time
_YEAR = 365.25 / DAYS

# What a generator is for; each has its own seed, so that a chunk's pairs depend on no other chunk.
_SIZES, _PAIRS = 3, 4


@dataclass(frozen=True, eq=False)
class Pairs:
    """The ratings of some users, without stars, sorted by user and item.

    Args:
        first: the position of the first user.
        counts: the number of ratings of each user.
        users: counted from `first`.
        items: positions.
        times: 0 (the first day) to 1.
        years: from the middle of the user's own time.
    """

    first: int
    counts: Int64[np.ndarray, " users"]
    users: Int64[np.ndarray, " ratings"]
    items: Int64[np.ndarray, " ratings"]
    times: Float64[np.ndarray, " ratings"]
    years: Float32[np.ndarray, " ratings"]

    @property
    def bins(self) -> Int64[np.ndarray, " ratings"]:
        """Item × BINS + period."""
        which: NDArray[np.int64] = (self.times * BINS).astype(np.int64)
        which += self.items * BINS
        return which


class PairSampler:
    """All pairs of a simulation, to be drawn chunk by chunk.

    Args:
        users: their number.
        items: their number.
        ratings: their number.
        seed: of everything random.

    Raises:
        ConfigError: fewer ratings than users or than items, or more than half of all pairs; a negative seed.
    """

    def __init__(self, users: int, items: int, ratings: int, seed: int) -> None:
        _check(users, items, ratings, seed)
        self.n_users, self.n_items, self.n_ratings, self.seed = users, items, ratings, seed
        random = np.random.default_rng((seed, _SIZES))
        self.user_counts = _activity(users, items, ratings, random)
        self.weights = _popularity(items, random)
        self._starts = np.concatenate([[0], np.cumsum(self.user_counts)])
        self._cumulative = np.cumsum(self.weights)
        self._first_raters = self._some_rater_each(random)

    def __len__(self) -> int:
        """The number of chunks."""
        return len(self._bounds) - 1

    @cached_property
    def _bounds(self) -> list[int]:
        """The first user of each chunk, and the end."""
        bounds = [0]
        while bounds[-1] < self.n_users:
            end = np.searchsorted(self._starts, self._starts[bounds[-1]] + _CHUNK, side="right") - 1
            bounds.append(max(bounds[-1] + 1, int(end)))
        return bounds

    def _some_rater_each(self, random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """For every item one of all ratings, so that none goes without: (users, items), sorted by user."""
        slots = random.choice(self.n_ratings, self.n_items, replace=False)
        items = np.argsort(slots)
        users: NDArray[np.int64] = np.searchsorted(self._starts, slots[items], side="right") - 1
        return users, items

    def chunk(self, number: int) -> Pairs:
        """Draw the items of a chunk's users without replacement, each proportionally to its weight.

        Drawing with replacement and leaving out what was drawn before does that; so does a race, in which
        the items' times are exponential with their weights as rates and the first ones are taken. The former
        costs what the ratings cost, the latter what the items cost.
        """
        random = np.random.default_rng((self.seed, _PAIRS, number))
        start, stop = self._bounds[number : number + 2]
        counts = self.user_counts[start:stop]
        keys = np.sort(np.concatenate(list(self._drawn(start, counts, random))))
        users, items = np.divmod(keys, self.n_items)
        times, years = _times(counts, users, random)
        return Pairs(start, counts, users, items, times, years)

    def _drawn(
        self, start: int, counts: Int64[np.ndarray, " users"], random: np.random.Generator
    ) -> Iterator[NDArray[np.int64]]:
        """Arrays of user × items + item that are all of these users' pairs together."""
        low, high = np.searchsorted(self._first_raters[0], [start, start + len(counts)])
        users, items = self._first_raters[0][low:high] - start, self._first_raters[1][low:high]
        races = counts * _RACE > self.n_items
        for user in np.flatnonzero(races).tolist():
            finish = random.standard_exponential(self.n_items) / self.weights
            finish[items[users == user]] = 0
            taken = np.argpartition(finish, counts[user] - 1)[: counts[user]]
            yield user * self.n_items + taken
        others = ~races[users]
        keys = np.sort(users[others] * self.n_items + items[others])
        missing = np.where(races, 0, counts - np.bincount(users, minlength=len(counts)))
        while missing.any():
            more = self._with_replacement(missing, random)
            keys = _distinct(np.concatenate([keys, more]))
            owners = keys // self.n_items
            missing = np.where(races, 0, counts - np.bincount(owners, minlength=len(counts)))
            # Those who have all leave, or they would be sorted again for the sake of the few others.
            complete = missing[owners] == 0
            yield keys[complete]
            keys, counts = keys[~complete], np.where(missing == 0, 0, counts)
        yield keys

    def _with_replacement(
        self, counts: Int64[np.ndarray, " users"], random: np.random.Generator
    ) -> NDArray[np.int64]:
        users = np.repeat(np.arange(len(counts)), counts)
        # Sorted, they are found many times faster; and they stay with their users.
        points = np.sort(users + random.random(len(users))) - users
        items = np.searchsorted(self._cumulative, points * self._cumulative[-1], side="right")
        keys: NDArray[np.int64] = users * self.n_items + np.minimum(items, self.n_items - 1)
        return keys


def _check(users: int, items: int, ratings: int, seed: int) -> None:
    least, most = max(users, items), users * items // 2
    if min(users, items) < 1 or not least <= ratings <= most:
        raise ConfigError(
            f"{ratings:,} ratings of {users:,} users and {items:,} items can't be simulated; expected "
            f"at least {least:,}, one of each user and item, and at most {most:,}, half of all pairs"
        )
    if seed < 0:
        raise ConfigError(f"--seed {seed} is negative; expected 0 or more")


def _activity(
    users: int, items: int, ratings: int, random: np.random.Generator
) -> Int64[np.ndarray, " users"]:
    """How many ratings each user gives: log-normal, at least 1, and `ratings` together."""
    most = max(1, int(_MOST_ACTIVE * items))
    shape = np.exp(_ACTIVITY_SIGMA * random.standard_normal(users))
    low, high = 0.0, ratings / float(shape.min())
    for _ in range(100):
        middle = (low + high) / 2
        if np.clip(middle * shape, 1, most).sum() < ratings:
            low = middle
        else:
            high = middle
    wanted = np.clip(high * shape, 1, most)
    counts = wanted.astype(np.int64)
    rest = ratings - int(counts.sum())
    counts[np.argsort(counts - wanted, kind="stable")[:rest]] += 1
    return counts


def _distinct(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """As numpy's unique, which hashes whole numbers and is many times slower here."""
    keys = np.sort(keys)
    first = np.ones(len(keys), dtype=np.bool_)
    first[1:] = keys[1:] != keys[:-1]
    return keys[first]


def _popularity(items: int, random: np.random.Generator) -> Float64[np.ndarray, " items"]:
    quantiles = (random.permutation(items) + 0.5) / items
    return np.exp(np.interp(quantiles, _QUANTILES, np.log(_WEIGHTS)))


def _times(
    counts: Int64[np.ndarray, " users"], users: Int64[np.ndarray, " ratings"], random: np.random.Generator
) -> tuple[Float64[np.ndarray, " ratings"], Float32[np.ndarray, " ratings"]]:
    """The time of each rating (0 to 1), and its years from the middle of its user's time."""
    arrival = (1 - _SHORTEST) * random.random(len(counts)) ** (1 / _ARRIVAL)
    stays = random.random(len(counts)) < _STAYS
    length = (1 - arrival) * np.where(stays, 1, random.random(len(counts)))
    passed = random.random(len(users)) ** _BURST
    times = np.minimum(arrival[users] + length[users] * passed, np.nextafter(1, 0))
    return times, ((passed - 0.5) * (length / _YEAR)[users]).astype(np.float32)
