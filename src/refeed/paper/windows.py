"""Where the paper's four windows lie in some ratings, and what each holds (Table 1).

The windows are those of `refeed.ratings.split` where the ratings are Netflix's: by their days, however they
were read. Simulated Netflix ratings end a month earlier, and the windows move with them. In any other ratings
with times a window is its share of the ratings: the last tenth by time is the test interval, and before it
lie the training ratings of "full", or the last 14, 30 or 42 % of these, Netflix's proportions.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from refeed.ratings.dates import DAY, seconds_of, span_of
from refeed.ratings.split import NETFLIX_WINDOWS
from refeed.ratings.store import Ratings

__all__ = ["GIVEN", "SHARES", "Counts", "Window", "count_window", "time_before", "windows_of"]

SHARES: Mapping[str, float] = {"3m": 0.14, "6m": 0.30, "1y": 0.42, "full": 1.0}
"""The training ratings of each window over those of the full one, in the paper's Table 1."""

_BLOCK = 1 << 22
_LAST_DAY = "2005-12-31"


@dataclass(frozen=True)
class Window:
    """A training window and the test interval after it.

    Args:
        name: "3m", "6m", "1y" or "full"; "given" for a split that was made elsewhere.
        how: what it is, in words.
        train_from: the first second of the training.
        at: the first second of the test.
        test_to: the last second of the test.
    """

    name: str
    how: str
    train_from: int = 0
    at: int = 0
    test_to: int = 0


GIVEN = Window("given", "as the folder splits the ratings")


@dataclass(frozen=True)
class Counts:
    """What a window holds; held-out ratings are those whose user and item occur in training.

    Args:
        train_users: users of the training.
        train_items: items of the training.
        train_ratings: ratings of the training.
        test_users: users of the test interval, validation and test together.
        test_items: items, likewise.
        test_ratings: ratings, likewise.
    """

    train_users: int
    train_items: int
    train_ratings: int
    test_users: int
    test_items: int
    test_ratings: int


def windows_of(ratings: Ratings) -> dict[str, Window]:
    """The windows of ratings with times, by name; see the module."""
    times = ratings.times
    if times is None or not len(ratings):
        return {}
    first, last = int(times.min()), int(times.max())
    netflix = seconds_of("1999-10-01") <= first < seconds_of("2001-01-01") and seconds_of(
        "2005-11-01"
    ) <= last <= seconds_of(_LAST_DAY, last=True)
    return _by_days(last) if netflix else _by_shares(times, first, last)


def count_window(ratings: Ratings, window: Window) -> Counts:
    """Count a window without copying it: what it takes in memory does not grow with the ratings.

    The numbers are those of `split_by_date`, validation and test taken together.
    """
    users, items = np.zeros(ratings.n_users, dtype=np.bool_), np.zeros(ratings.n_items, dtype=np.bool_)
    in_train = 0
    for block, of_user, of_item in _blocks(ratings):
        mask = (ratings.times[block] >= window.train_from) & (ratings.times[block] < window.at)  # type: ignore[index]
        in_train += int(np.count_nonzero(mask))
        users[of_user[mask]] = True
        items[of_item[mask]] = True
    tested, testing = np.zeros_like(users), np.zeros_like(items)
    in_test = 0
    for block, of_user, of_item in _blocks(ratings):
        mask = (ratings.times[block] >= window.at) & (ratings.times[block] <= window.test_to)  # type: ignore[index]
        mask &= users[of_user] & items[of_item]
        in_test += int(np.count_nonzero(mask))
        tested[of_user[mask]] = True
        testing[of_item[mask]] = True
    counted = [int(np.count_nonzero(each)) for each in (users, items, tested, testing)]
    return Counts(counted[0], counted[1], in_train, counted[2], counted[3], in_test)


def time_before(times: Int64[np.ndarray, " ratings"], count: int) -> int:
    """The earliest time that at least `count` ratings are not after, found without a sorted copy."""
    first, last = int(times.min()), int(times.max())
    return bisect_left(range(first, last), count, key=lambda t: int(np.count_nonzero(times <= t))) + first


def _by_days(last: int) -> dict[str, Window]:
    moved = 0 if last >= seconds_of("2005-12-01") else last // DAY - seconds_of(_LAST_DAY) // DAY
    windows = {}
    for name, days in NETFLIX_WINDOWS.items():
        start, at = seconds_of(days["train_from"]) + moved * DAY, seconds_of(days["at"]) + moved * DAY
        end = seconds_of(days["test_to"], last=True) + moved * DAY
        how = f"train {span_of((start, at - 1))}, test {span_of((at, end))}"
        note = f"; {-moved} days before the paper's, as the ratings end so much earlier" if moved else ""
        windows[name] = Window(name, how + note, start, at, end)
    return windows


def _by_shares(times: Int64[np.ndarray, " ratings"], first: int, last: int) -> dict[str, Window]:
    at = min(time_before(times, len(times) - int(0.1 * len(times))) + 1, last)
    known = int(np.count_nonzero(times < at))
    windows = {}
    for name, share in SHARES.items():
        start = first if share == 1 else time_before(times, int((1 - share) * known)) + 1
        what = "all" if share == 1 else f"the last {share:.0%}"
        how = (
            f"train {span_of((start, at - 1))} ({what} of what precedes the test), test {span_of((at, last))}"
        )
        windows[name] = Window(name, how, start, at, last)
    return {name: window for name, window in windows.items() if window.train_from < at}


def _blocks(
    ratings: Ratings,
) -> Iterator[tuple[slice, Int64[np.ndarray, " block"], Int64[np.ndarray, " block"]]]:
    """Some ratings at a time: their places, users and items."""
    indptr = ratings.indptr
    for start in range(0, len(ratings), _BLOCK):
        stop = min(start + _BLOCK, len(ratings))
        first = int(np.searchsorted(indptr, start, side="right")) - 1
        last = int(np.searchsorted(indptr, stop, side="left"))
        counts = np.diff(np.clip(indptr[first : last + 1], start, stop))
        block = slice(start, stop)
        yield block, np.repeat(np.arange(first, last), counts), ratings.items[block].astype(np.int64)
