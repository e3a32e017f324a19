"""Held-out ratings, expressed in the positions of the training ratings."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64

from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

__all__ = ["Aligned", "align", "align_all", "align_to"]


@dataclass(frozen=True, eq=False)
class Aligned:
    """Held-out (user, item) pairs that training knows, and how many it does not know.

    Args:
        users: user positions of the warm pairs, in the order of the held-out ratings.
        items: item positions of the warm pairs.
        rows: which of the held-out ratings they are, in the order of these.
        values: their ratings.
        times: their Unix seconds, or None.
        cold_pairs: held-out ratings left out because their user or item is unknown.
        cold_users: users with held-out ratings who are unknown.
        cold_items: items with held-out ratings that are unknown.
    """

    users: Int64[np.ndarray, " pairs"]
    items: Int64[np.ndarray, " pairs"]
    rows: Int64[np.ndarray, " pairs"]
    values: Float32[np.ndarray, " pairs"]
    times: Int64[np.ndarray, " pairs"] | None
    cold_pairs: int
    cold_users: int
    cold_items: int

    def __len__(self) -> int:
        """The number of warm pairs."""
        return len(self.users)


def align(held_out: Ratings, users: Ids, items: Ids) -> Aligned:
    """Match held-out ratings with known users and items by their raw ids.

    Args:
        held_out: ratings with ids of their own.
        users: the known users, in the order of the positions wanted.
        items: the known items, likewise.

    Returns:
        The pairs whose user and item are both known; the others are counted.
    """
    return _aligned(held_out, users.positions(held_out.user_ids), items.positions(held_out.item_ids))


def align_to(held_out: Ratings, training: Ratings) -> Aligned:
    """Match held-out ratings with the users and items that have at least one training rating.

    A user or item whose id is in the training tables, but without a rating, is as cold as an unknown one.
    """
    return _aligned(held_out, *_known(held_out, training))


def align_all(held_out: Ratings, training: Ratings) -> Aligned:
    """As `align_to`, but all pairs stay, and are counted: an unknown user or item is at position −1."""
    return _aligned(held_out, *_known(held_out, training), keep=True)


def _known(
    held_out: Ratings, training: Ratings
) -> tuple[Int64[np.ndarray, " users"], Int64[np.ndarray, " items"]]:
    """Where the users and items are that have a training rating; −1 for the others."""
    users = training.user_ids.positions(held_out.user_ids)
    items = training.item_ids.positions(held_out.item_ids)
    users[(users >= 0) & (training.user_counts[users] == 0)] = -1
    items[(items >= 0) & (training.item_counts[items] == 0)] = -1
    return users, items


def _aligned(
    held_out: Ratings,
    users: Int64[np.ndarray, " users"],
    items: Int64[np.ndarray, " items"],
    *,
    keep: bool = False,
) -> Aligned:
    of_user, of_item = users[held_out.users], items[held_out.items]
    warm = (of_user >= 0) & (of_item >= 0)
    kept = np.flatnonzero(warm | keep)
    return Aligned(
        users=of_user[kept],
        items=of_item[kept],
        rows=kept,
        values=held_out.values[kept],
        times=None if held_out.times is None else held_out.times[kept],
        cold_pairs=int(np.count_nonzero(~warm)),
        cold_users=int(np.count_nonzero((users < 0) & (held_out.user_counts > 0))),
        cold_items=int(np.count_nonzero((items < 0) & (held_out.item_counts > 0))),
    )
