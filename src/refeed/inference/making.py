"""From scores to lists: candidates, what is known already, variety, and what is shown beside each item."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor

from refeed.errors import ConfigError
from refeed.inference.block_ranking import best_of_each
from refeed.inference.catalogue import Catalogue
from refeed.inference.lines import Recommendation
from refeed.inference.listing import Listing
from refeed.inference.lists import RecommendationList
from refeed.inference.variety import COLD, diversified, explored, pool
from refeed.ratings.store import Ratings

__all__ = ["Wish", "hide_seen", "list_of_each", "users_at_once"]

_BLOCK = 7 << 20
"""Scores at a time. In float32 a bit less than 32 MB: for more than that glibc asks for fresh pages every
time, and touching those takes as long as the ranking."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants of a list (see `Recommender.recommend`)."""

    k: int
    offset: Any = 0
    include_seen: bool = False
    diversity: float = 0.0
    explore: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        """Check the offset."""
        if isinstance(self.offset, bool) or not isinstance(self.offset, int | np.integer) or self.offset < 0:
            raise ConfigError(f"offset = {self.offset!r}: give how many items to pass over, 0 or more")


def users_at_once(n_items: int) -> int:
    """How many users make a block: enough to keep the matrix products busy, few enough to stay small."""
    return max(1, min(1024, _BLOCK // max(n_items, 1)))


def hide_seen(
    scores: Float32[Tensor, "users items"], histories: Ratings, users: Int64[np.ndarray, " users"]
) -> None:
    """Set the scores of what the users know already to −∞."""
    indptr, items, _ = histories.rows(users)
    places = np.repeat(np.arange(len(users)) * histories.n_items, np.diff(indptr)) + items
    scores.view(-1).index_fill_(0, torch.from_numpy(places).to(scores.device), -torch.inf)


def list_of_each(
    listing: Listing,
    catalogue: Catalogue,
    histories: Ratings,
    users: Int64[np.ndarray, " users"],
    candidates: Bool[np.ndarray, " items"],
    wish: Wish,
) -> list[RecommendationList]:
    """The list of each user.

    Args:
        listing: how to rank.
        catalogue: the items.
        histories: what is known of the users.
        users: positions in `histories`.
        candidates: which items may be listed.
        wish: what the lists are to be like.
    """
    size, lists = users_at_once(len(catalogue.ids)), []
    barred = torch.from_numpy(~candidates)
    for at, scores in enumerate(listing.score_blocks(histories, users, size)):
        some = users[at * size : at * size + len(scores)]
        scores[:, barred] = -torch.inf
        if not wish.include_seen:
            hide_seen(scores, histories, some)
        for row, user in enumerate(some.tolist()):
            listed = _chosen(listing, scores[row], wish, user)
            lists.append(_lines(listing, catalogue, histories, user, listed, scores[row]))
    return lists


def _chosen(listing: Listing, scores: Float32[Tensor, " items"], wish: Wish, user: int) -> list[int]:
    """The positions of a list's items, best first."""
    k = wish.k + wish.offset
    ranked = best_of_each(scores[None], pool(k, wish.diversity))[0]
    ranked = ranked[scores[ranked] > -torch.inf]
    positions, own = ranked.numpy(), scores[ranked].double().numpy()
    if wish.diversity:
        vectors = listing.trained.model.item_vectors()
        positions = diversified(positions, own, vectors, k, wish.diversity)
    listed: list[int] = positions[wish.offset : k].tolist()
    if wish.explore:
        cold = (listing.trained.items.counts < COLD) & (scores > -torch.inf).numpy()
        listed = explored(listed, cold, wish.explore, wish.seed + user)
    return listed


def _lines(
    listing: Listing,
    catalogue: Catalogue,
    histories: Ratings,
    user: int,
    listed: list[int],
    scores: Float32[Tensor, " items"],
) -> RecommendationList:
    items = np.array(listed, dtype=np.int64)
    details = listing.details(histories, np.full(len(items), user), items)
    counts = listing.trained.items.counts

    def known(value: np.floating) -> float | None:
        return None if np.isnan(value) else float(value)

    return RecommendationList(
        [
            Recommendation(
                item=catalogue.ids[item],
                title=catalogue.title(item),
                rating=known(details.ratings[at]),
                score=float(scores[item]),
                support=int(counts[item]),
                p_liked=known(details.liked[at]),
                low=known(details.low[at]),
                high=known(details.high[at]),
            )
            for at, item in enumerate(listed)
        ]
    )
