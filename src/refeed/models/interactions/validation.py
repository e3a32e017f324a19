"""How good lists are on held-out interactions, cheaply: what settings are chosen on while fitting.

nDCG@k with all unseen items as candidates: a held-out item at rank r ≤ k counts 1 / log2(r + 1), divided
by what the best possible list would get (Järvelin & Kekäläinen 2002). Items with equal scores share their
ranks: each counts as the mean of theirs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from refeed.ratings.pairs import align_to
from refeed.ratings.store import Ratings

__all__ = ["HeldOut", "beyond_chance", "held_out_lists"]

_USERS = 4000
_USERS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Some users' held-out interactions.

    Args:
        users: positions in the training ratings, ascending.
        indptr: where each one's held-out items start, and their total at the end.
        items: positions, none of them in the user's history.
        values: of the held-out interactions.
        train: the histories.
    """

    users: Int64[np.ndarray, " users"]
    indptr: Int64[np.ndarray, " bounds"]
    items: Int64[np.ndarray, " held_out"]
    values: Float64[np.ndarray, " held_out"]
    train: Ratings

    def __len__(self) -> int:
        """The number of users."""
        return len(self.users)

    def liked(self, threshold: float) -> "HeldOut":
        """Only the interactions with a value of at least the threshold, and the users who have any."""
        return self._where(self.values >= threshold)

    def _where(self, kept: Bool[np.ndarray, " held_out"]) -> "HeldOut":
        owners = np.repeat(np.arange(len(self.users)), np.diff(self.indptr))[kept]
        counts = np.bincount(owners, minlength=len(self.users))
        some = counts > 0
        indptr = np.concatenate([[0], np.cumsum(counts[some])]).astype(np.int64)
        return HeldOut(self.users[some], indptr, self.items[kept], self.values[kept], self.train)

    def in_blocks(self) -> "Iterator[tuple[Int64[np.ndarray, ' some'], HeldOut]]":
        """Some of the users at a time, with what is held out of theirs."""
        for first in range(0, len(self.users), _USERS_AT_ONCE):
            users = self.users[first : first + _USERS_AT_ONCE]
            indptr = self.indptr[first : first + len(users) + 1]
            held = slice(indptr[0], indptr[-1])
            yield users, HeldOut(users, indptr - indptr[0], self.items[held], self.values[held], self.train)

    def ndcg(
        self, scores: Callable[[Int64[np.ndarray, " some"]], Float[Tensor, "some items"]], k: int = 10
    ) -> Float64[np.ndarray, " users"]:
        """nDCG@k of each user.

        Args:
            scores: of all items for some users (positions in the training ratings); may be changed.
            k: the length of the lists.
        """
        each = [some.ndcg_of(scores(users), k) for users, some in self.in_blocks()]
        return np.concatenate(each) if each else np.zeros(0)

    def ndcg_of(self, scores: Float[Tensor, "users items"], k: int = 10) -> Float64[np.ndarray, " users"]:
        """nDCG@k of each user.

        Args:
            scores: of all items for each of the users; is changed.
            k: the length of the lists.
        """
        _hide_known(scores, self.train, self.users)
        counts = np.diff(self.indptr)
        owners = np.repeat(np.arange(len(self)), counts)
        gains = _gains(scores, torch.from_numpy(owners), torch.from_numpy(self.items), k)
        best = np.concatenate([[0], np.cumsum(_discounts(k))])[np.minimum(counts, k)]
        found: Float64[np.ndarray, " users"] = np.bincount(owners, gains, minlength=len(self)) / best
        return found


def held_out_lists(train: Ratings, valid: Ratings, *, most: int = _USERS, seed: int = 0) -> HeldOut:
    """The held-out interactions of (some of) the users, without those that training has.

    Args:
        train: the training interactions.
        valid: held-out ones, with ids of their own; those of users or items unknown to training don't count.
        most: users; of more of them some are drawn.
        seed: of that draw.
    """
    aligned = align_to(valid, train)
    users = aligned.users
    if len(np.unique(users)) > most:
        drawn = np.random.default_rng(seed).permutation(np.unique(users))[:most]
        kept = np.isin(users, drawn)
    else:
        kept = np.ones(len(users), dtype=bool)
    known = train.users * train.n_items + train.items
    kept &= ~np.isin(users * train.n_items + aligned.items, known)
    users, items, values = users[kept], aligned.items[kept], aligned.values[kept].astype(np.float64)
    order = np.lexsort((items, users))
    each, counts = np.unique(users, return_counts=True)
    indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return HeldOut(each, indptr, items[order], values[order], train)


def beyond_chance(one: Float64[np.ndarray, " users"], other: Float64[np.ndarray, " users"]) -> bool:
    """Whether one is better than the other beyond chance: a paired test over users, one-sided at 2.5 %."""
    differences = one - other
    if len(differences) < 2 or not differences.any():
        return False
    error = float(differences.std(ddof=1)) / len(differences) ** 0.5
    return bool(differences.mean() > 1.96 * error)


def _hide_known(
    scores: Float[Tensor, "some items"], train: Ratings, users: Int64[np.ndarray, " some"]
) -> None:
    indptr, items, _ = train.rows(users)
    owners = np.repeat(np.arange(len(users)), np.diff(indptr))
    scores[torch.from_numpy(owners), torch.from_numpy(items.astype(np.int64))] = -torch.inf


def _discounts(k: int) -> Float64[np.ndarray, " k"]:
    discounts: Float64[np.ndarray, " k"] = 1 / np.log2(np.arange(2, k + 2))
    return discounts


def _gains(
    scores: Float[Tensor, "some items"],
    owners: Int64[Tensor, " held_out"],
    items: Int64[Tensor, " held_out"],
    k: int,
) -> Float64[np.ndarray, " held_out"]:
    """What each held-out item counts: the mean discount of the ranks that its equals share."""
    top = scores.topk(min(k, scores.shape[1])).values
    own = scores[owners, items]
    among = own >= top[owners, -1]
    gains = np.zeros(len(items))
    places = among.nonzero()[:, 0]
    cumulated = np.concatenate([[0], np.cumsum(_discounts(k))])
    for start in range(0, len(places), 1024):
        some = places[start : start + 1024]
        rows, own_some = scores[owners[some]], own[some, None]
        above = (rows > own_some).sum(dim=1).numpy()
        equal = (rows == own_some).sum(dim=1).numpy()
        last = np.minimum(above + equal, k)
        gains[some.numpy()] = (cumulated[last] - cumulated[above]) / equal
    return gains
