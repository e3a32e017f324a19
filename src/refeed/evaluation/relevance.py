"""What lists are measured against: the held-out items of each user that the user took up, or liked."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from refeed.errors import DataError
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

__all__ = ["Liked", "Relevance", "in_items_of", "in_positions_of", "relevant_items"]

Liked = float | int | None
"""The rating from which on an item is relevant; None: all are."""


@dataclass(frozen=True, eq=False)
class Relevance:
    """The relevant items of all users who have any, and who and what was left out.

    Args:
        histories: what the lists are made from; nothing in it is a candidate.
        seen: further ratings that the model has seen, in the positions of `histories`; no candidates either.
        item_counts: training ratings of each item.
        users: positions in `histories` of those who have a relevant item, ascending.
        indptr: where each one's relevant items start, and their total at the end.
        items: positions of the relevant items, ascending within a user.
        liked: the rating from which on an item is relevant; None: all are.
        test_users: users with a held-out rating.
        cold_pairs: held-out ratings left out as their user has no history or their item no training rating.
        cold_users: users with held-out ratings, but without a history.
        cold_items: items with held-out ratings, but without a training rating.
        seen_pairs: held-out ratings left out as the model has seen them.
    """

    histories: Ratings
    seen: tuple[Ratings, ...]
    item_counts: Int64[np.ndarray, " items"]
    users: Int64[np.ndarray, " users"]
    indptr: Int64[np.ndarray, " starts"]
    items: Int64[np.ndarray, " pairs"]
    liked: Liked
    test_users: int
    cold_pairs: int
    cold_users: int
    cold_items: int
    seen_pairs: int

    def __len__(self) -> int:
        """The number of relevant pairs of a user and an item."""
        return len(self.items)

    @property
    def counts(self) -> Int64[np.ndarray, " users"]:
        """How many relevant items each of the users has."""
        return np.diff(self.indptr)

    def hide_seen(self, scores: Float[Tensor, "some items"], first: int) -> None:
        """Set the scores of what the model has seen to −∞: of the users from number `first` on, in place."""
        users = self.users[first : first + len(scores)]
        for ratings in (self.histories, *self.seen):
            indptr, items, _ = ratings.rows(users)
            rows = np.repeat(np.arange(len(users)), np.diff(indptr))
            scores[torch.from_numpy(rows), torch.from_numpy(items.astype(np.int64))] = -torch.inf

    def order(self) -> Int64[np.ndarray, " users"]:
        """The users by their raw ids: the same for every model, whatever its positions."""
        ids = self.histories.user_ids
        return np.array(
            sorted(range(len(self.users)), key=lambda at: ids[int(self.users[at])]), dtype=np.int64
        )

    def digest(self) -> str:
        """The same for the same relevant pairs out of as many candidates, whatever the positions."""
        user_ids, item_ids = self.histories.user_ids, self.histories.item_ids
        digest = hashlib.sha256(f"{self.histories.n_items} {self.liked}".encode())
        for at in self.order().tolist():
            relevant = self.items[self.indptr[at] : self.indptr[at + 1]].tolist()
            user = int(self.users[at])
            hidden = sum(int(ratings.user_counts[user]) for ratings in (self.histories, *self.seen))
            row = [user_ids[user], hidden, sorted(item_ids[item] for item in relevant)]
            digest.update(json.dumps(row).encode())
        return digest.hexdigest()


def relevant_items(
    histories: Ratings,
    test: Ratings,
    *,
    liked: Liked = None,
    seen: Sequence[Ratings] = (),
    item_counts: Int64[np.ndarray, " items"] | None = None,
) -> Relevance:
    """Find what lists that a model makes from `histories` should hold.

    Relevant is every held-out item of a user, or every one that the user rated `liked` or higher. What the
    model has seen is neither relevant nor a candidate.

    Args:
        histories: the ratings from which the model makes its lists, of all its items: those of its training,
            or for people whom it folds in those that are given of them.
        test: held-out ratings, with ids of their own.
        liked: the lowest rating that counts, or None for all, as where the data has no ratings.
        seen: further ratings that the model has seen, such as validation's, with ids of their own.
        item_counts: training ratings of each item; None: `histories` are the training ratings.

    Raises:
        DataError: there is nothing held out, or nothing of it is relevant; or `liked` for data without
            ratings.
    """
    if liked is not None and test.kind == "interactions":
        raise DataError(
            f"liked is {liked:g}, but the held-out data are interactions, which have no ratings: all of them "
            "are relevant; leave liked out"
        )
    if not len(test):
        raise DataError("there is no held-out rating to evaluate lists on; the test set is empty")
    counts = histories.item_counts if item_counts is None else item_counts
    users = histories.user_ids.positions(test.user_ids)
    items = histories.item_ids.positions(test.item_ids)
    users[(users >= 0) & (histories.user_counts[users] == 0)] = -1
    items[(items >= 0) & (counts[items] == 0)] = -1
    of_user, of_item = users[test.users], items[test.items]
    warm = (of_user >= 0) & (of_item >= 0)
    also_seen = tuple(in_positions_of(histories, ratings) for ratings in seen)
    known = warm.copy()
    known[warm] = _seen(of_user[warm], of_item[warm], (histories, *also_seen))
    wanted = warm & ~known
    if liked is not None:
        wanted &= test.values >= np.float32(liked)
    if not wanted.any():
        raise DataError(_nothing(test, liked, int(np.count_nonzero(warm)), int(np.count_nonzero(known))))
    order = np.lexsort((of_item[wanted], of_user[wanted]))
    who, starts = np.unique(of_user[wanted][order], return_index=True)
    return Relevance(
        histories=histories,
        seen=also_seen,
        item_counts=counts,
        users=who,
        indptr=np.append(starts, np.count_nonzero(wanted)),
        items=of_item[wanted][order],
        liked=liked,
        test_users=int(np.count_nonzero(test.user_counts)),
        cold_pairs=int(np.count_nonzero(~warm)),
        cold_users=int(np.count_nonzero((users < 0) & (test.user_counts > 0))),
        cold_items=int(np.count_nonzero((items < 0) & (test.item_counts > 0))),
        seen_pairs=int(np.count_nonzero(known)),
    )


def in_items_of(ratings: Ratings, item_ids: Ids) -> Ratings:
    """Ratings of anyone in the item positions of a model, without those of items that it doesn't know."""
    return _moved(ratings, np.arange(ratings.n_users), ratings.user_ids, item_ids)


def in_positions_of(histories: Ratings, ratings: Ratings) -> Ratings:
    """Ratings in the positions of others, without the users and items that these don't have."""
    users = histories.user_ids.positions(ratings.user_ids)
    return _moved(ratings, users, histories.user_ids, histories.item_ids)


def _moved(ratings: Ratings, users: Int64[np.ndarray, " users"], user_ids: Ids, item_ids: Ids) -> Ratings:
    of_user, of_item = users[ratings.users], item_ids.positions(ratings.item_ids)[ratings.items]
    known = (of_user >= 0) & (of_item >= 0)
    moved = Ratings.from_arrays(
        of_user[known],
        of_item[known],
        ratings.values[known],
        user_ids=user_ids,
        item_ids=item_ids,
        times=None if ratings.times is None else ratings.times[known],
        kind=ratings.kind,
    )
    return replace(moved, source=ratings.source)


def _seen(
    users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"], seen: Sequence[Ratings]
) -> Bool[np.ndarray, " pairs"]:
    """Which pairs occur in ratings of the same positions; only the rows of these users are looked at."""
    result: Bool[np.ndarray, " pairs"] = np.zeros(len(users), dtype=np.bool_)
    if not len(users):
        return result
    rows, numbers = np.unique(users, return_inverse=True)
    for ratings in seen:
        indptr, known, _ = ratings.rows(rows)
        keys = np.repeat(np.arange(len(rows)), np.diff(indptr)) * ratings.n_items + known
        wanted = numbers * ratings.n_items + items
        places = np.searchsorted(keys, wanted)
        found = places < len(keys)
        found[found] = keys[places[found]] == wanted[found]
        result |= found
    return result


def _nothing(test: Ratings, liked: Liked, warm: int, known: int) -> str:
    what = f"none of the {len(test):,} held-out ratings is relevant"
    if not warm:
        return (
            f"{what}: none has a user with a history and an item with a training rating; evaluate on users "
            "and items that were trained on, with ids written the same way in both tables"
        )
    if known == warm:
        return (
            f"{what}: the model has seen all {known:,} of known users and items; give ratings held out of it"
        )
    highest = float(test.values.max())
    return f"{what}: liked is {liked:g}, and the highest of them is {highest:g}; give a liked up to that"
