"""Time as timeSVD++ sees it: days, bins of days, and how far a day is from the middle of a user's ratings."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.ratings.store import Ratings

__all__ = ["DAY", "Clock", "times_of"]

DAY = 86_400  # seconds
_POWER = 0.4  # of dev_u (Koren 2010)


def times_of(train: Ratings, kind: str) -> Int64[np.ndarray, " ratings"]:
    """The times of training ratings.

    Raises:
        DataError: there are none.
    """
    if train.times is None:
        raise DataError(
            f"a {kind} model learns how users and items change, and these training ratings have no times; "
            "give a table with a timestamp column, or train a kind that does without, such as svdpp"
        )
    return train.times


@dataclass(frozen=True, eq=False)
class Clock:
    """What training knows of time.

    Args:
        start: Unix seconds of the first training rating.
        end: Unix seconds of the last one.
        bins: how many stretches of one length lie between.
        means: the mean of each user's times, in days since `start`; 0 for a user without ratings.
        caps: the largest dev_u of each user in training.
        keys: user × days + day of every (user, day) with a training rating, ascending.
    """

    start: int
    end: int
    bins: int
    means: Float64[np.ndarray, " users"]
    caps: Float64[np.ndarray, " users"]
    keys: Int64[np.ndarray, " user_days"]

    @classmethod
    def of(cls, train: Ratings, times: Int64[np.ndarray, " ratings"], bins: int) -> "Clock":
        """The clock of training ratings with times."""
        start, end = int(times.min()), int(times.max())
        users, days = train.users, (times - start) / DAY
        means = np.bincount(users, days, train.n_users) / np.maximum(train.user_counts, 1)
        clock = cls(start, end, bins, means, np.full(train.n_users, np.inf), np.empty(0, dtype=np.int64))
        caps: NDArray[np.float64] = np.zeros(train.n_users)
        np.maximum.at(caps, users, clock.dev(users, times))
        return cls(start, end, bins, means, caps, np.unique(clock._keys(users, times)))

    def dev(
        self, users: Int64[np.ndarray, " pairs"], times: Int64[np.ndarray, " pairs"]
    ) -> Float64[np.ndarray, " pairs"]:
        """dev_u(t) = sign(t − t̄_u)|t − t̄_u|^0.4, in days, capped at the largest in training."""
        apart = (times - self.start) / DAY - self.means[users]
        dev: Float64[np.ndarray, " pairs"] = np.sign(apart) * np.abs(apart) ** _POWER
        capped: Float64[np.ndarray, " pairs"] = np.minimum(dev, self.caps[users])
        return capped

    def bin(self, times: Int64[np.ndarray, " pairs"]) -> Int64[np.ndarray, " pairs"]:
        """Bin(t); what lies outside training's time belongs to the first or the last bin."""
        share = (times - self.start) / max(self.end - self.start, 1)
        found: Int64[np.ndarray, " pairs"] = np.clip(share * self.bins, 0, self.bins - 1).astype(np.int64)
        return found

    def day_rows(
        self, users: Int64[np.ndarray, " pairs"], times: Int64[np.ndarray, " pairs"]
    ) -> Int64[np.ndarray, " pairs"]:
        """The place in `keys` of each user's day; −1 for a day unseen in training."""
        keys = self._keys(users, times)
        places = np.searchsorted(self.keys, keys)
        seen = (times >= self.start) & (times <= self.end)
        seen[seen] = self.keys[np.minimum(places[seen], len(self.keys) - 1)] == keys[seen]
        return np.where(seen, places, -1)

    def day_bounds(self, n_users: int) -> Int64[np.ndarray, " bounds"]:
        """Where each user's days start in `keys`, and the end of the last one's."""
        return np.searchsorted(self.keys, np.arange(n_users + 1) * self._days).astype(np.int64)

    @property
    def _days(self) -> int:
        return self.end // DAY - self.start // DAY + 1

    def _keys(
        self, users: Int64[np.ndarray, " pairs"], times: Int64[np.ndarray, " pairs"]
    ) -> Int64[np.ndarray, " pairs"]:
        keys: Int64[np.ndarray, " pairs"] = users * self._days + (times // DAY - self.start // DAY)
        return keys
