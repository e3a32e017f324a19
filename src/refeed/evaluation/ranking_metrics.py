"""Metrics of ranked lists, each user's own, as expectations over the orders of equal scores.

Items of equal score have no order. A list that puts them in some order all the same would be better or worse
by luck, so every metric here is its mean over all those orders, in closed form. Without ties it is the metric
as it is always defined; a model that gives everything the same score gets what a random order would get.

Below, a relevant item has s candidates of a higher score and is one of n candidates of the same score, r of
them relevant; H relevant items of the user have a higher score. So it stands at each of the places
s + 1 … s + n with probability 1 / n. R is how many relevant items the user has, k the list's length.

    hits         Σ clip(k − s, 0, n) / n
    precision    hits / k
    recall       hits / R                     (of what is relevant, how much is listed)
    recall of Mult-VAE   hits / min(k, R)     (Liang et al. 2018: 1 is in reach even where R > k)
    nDCG         Σ gain / ideal, gain = 1 / log2(place + 1)         (Järvelin & Kekäläinen 2002, binary)
    MAP          Σ over relevant places ≤ k of precision at the place, / min(k, R)
    hit rate     P(a relevant item is listed)
    MRR          E[1 / place of the first relevant item, if that is listed]

McSherry & Najork (2008), "Computing information retrieval performance measures efficiently in the presence of
tied scores", take ties in this way.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

__all__ = ["METRICS", "Placements", "user_metrics"]

METRICS = ("ndcg", "recall", "truncated_recall", "precision", "map", "mrr", "hit_rate")


@dataclass(frozen=True, eq=False)
class Placements:
    """Where the relevant items of some users stand, sorted by user and by place.

    Args:
        users: the user of each relevant candidate, a number below `len(relevant)`, ascending.
        above: s, the candidates of a higher score.
        tied: n, the candidates of the same score, itself among them.
        same: r, the relevant ones among these.
        before: H, the user's relevant items of a higher score.
        relevant: R of each user, at least 1, whether they are candidates or not.
    """

    users: Int64[np.ndarray, " pairs"]
    above: Int64[np.ndarray, " pairs"]
    tied: Int64[np.ndarray, " pairs"]
    same: Int64[np.ndarray, " pairs"]
    before: Int64[np.ndarray, " pairs"]
    relevant: Int64[np.ndarray, " users"]

    @classmethod
    def of(
        cls,
        users: Int64[np.ndarray, " pairs"],
        above: Int64[np.ndarray, " pairs"],
        tied: Int64[np.ndarray, " pairs"],
        relevant: Int64[np.ndarray, " users"],
    ) -> "Placements":
        """Sort (user, s, n) of the relevant items, given in any order, and count r and H.

        An item that is beyond every k, or no candidate, may be left out.
        """
        order = np.lexsort((above, users))
        users, above, tied = users[order], above[order], tied[order]
        places = np.arange(len(users))
        begins = np.ones(len(users), dtype=np.bool_)
        begins[1:] = (users[1:] != users[:-1]) | (above[1:] != above[:-1])
        group = np.cumsum(begins) - 1
        starts = places[begins]
        same = np.diff(np.append(starts, len(users)))[group]
        before = starts[group] - np.searchsorted(users, users)
        return cls(users, above, tied, same, before, relevant)

    def inside(self, k: int) -> Int64[np.ndarray, " pairs"]:
        """How many of the n places of each item's group are among the first k."""
        inside: Int64[np.ndarray, " pairs"] = np.clip(k - self.above, 0, self.tied)
        return inside

    def sum_by_user(self, shares: Float64[np.ndarray, " pairs"]) -> Float64[np.ndarray, " users"]:
        """The sum of something over each user's relevant items."""
        return np.bincount(self.users, weights=shares, minlength=len(self.relevant)).astype(np.float64)


def user_metrics(placements: Placements, k: int) -> dict[str, Float64[np.ndarray, " users"]]:
    """All `METRICS` of each user at k, between 0 and 1; 0 for who has no relevant item among the candidates.

    Args:
        placements: of the users' relevant items.
        k: the length of the lists, at least 1. A shorter list, for want of candidates, is no excuse:
            precision still divides by k.
    """
    relevant = placements.relevant.astype(np.float64)
    hits = placements.sum_by_user(placements.inside(k) / placements.tied)
    hit, reciprocal = _first_hits(placements, k)
    values = {
        "ndcg": _gains(placements, k) / _summed(_discount, k)[np.minimum(placements.relevant, k)],
        "recall": hits / relevant,
        "truncated_recall": hits / np.minimum(relevant, k),
        "precision": hits / k,
        "map": _precisions(placements, k) / np.minimum(relevant, k),
        "mrr": reciprocal,
        "hit_rate": hit,
    }
    # Sums of exact fractions may come out an ulp above 1.
    return {name: np.minimum(value, 1.0) for name, value in values.items()}


def _discount(places: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    gains: Float64[np.ndarray, " k"] = 1 / np.log2(places + 1)
    return gains


def _inverse(places: Float64[np.ndarray, " k"]) -> Float64[np.ndarray, " k"]:
    inverses: Float64[np.ndarray, " k"] = 1 / places
    return inverses


def _summed(
    weight: Callable[[Float64[np.ndarray, " k"]], Float64[np.ndarray, " k"]], k: int
) -> Float64[np.ndarray, " sums"]:
    """The weights of the first 0 … k places, summed."""
    return np.append(0.0, np.cumsum(weight(np.arange(1.0, k + 1))))


def _between(
    placements: Placements, k: int, sums: Float64[np.ndarray, " sums"]
) -> Float64[np.ndarray, " pairs"]:
    """The weights of each group's places up to k, summed."""
    first = np.minimum(placements.above, k)
    between: Float64[np.ndarray, " pairs"] = sums[first + placements.inside(k)] - sums[first]
    return between


def _gains(placements: Placements, k: int) -> Float64[np.ndarray, " users"]:
    """DCG."""
    return placements.sum_by_user(_between(placements, k, _summed(_discount, k)) / placements.tied)


def _precisions(placements: Placements, k: int) -> Float64[np.ndarray, " users"]:
    """Σ over relevant places ≤ k of the precision there.

    At the j-th place of a group, E[relevant · relevant items up to it] is
    r/n · (H + 1 + (j − 1)(r − 1)/(n − 1)), and Σ (j − 1)/(s + j) = m − (s + 1) Σ 1/(s + j) over the m places
    up to k. Each of the r relevant items takes an equal share.
    """
    inverse = _between(placements, k, _summed(_inverse, k))
    others = (placements.same - 1) / np.maximum(placements.tied - 1, 1)
    later = placements.inside(k) - (placements.above + 1) * inverse
    return placements.sum_by_user(((placements.before + 1) * inverse + others * later) / placements.tied)


def _first_hits(
    placements: Placements, k: int
) -> tuple[Float64[np.ndarray, " users"], Float64[np.ndarray, " users"]]:
    """P(the first relevant item is at a place ≤ k), and E[1 / place; place ≤ k].

    The first one comes from the best group that has any, at its j-th place with the probability
    q_j = C(n − j, r − 1) / C(n, r), so q_1 = r/n and q_{j+1} = q_j (n − j − r + 1) / (n − j). Where that
    group goes beyond k, all others are beyond it.
    """
    hit, reciprocal = np.zeros((2, len(placements.relevant)))
    users, first = np.unique(placements.users, return_index=True)
    s, n, r = (
        part[first].astype(np.float64) for part in (placements.above, placements.tied, placements.same)
    )
    inside = placements.inside(k)[first]
    q = r / n
    for j in range(1, int(inside.max(initial=0)) + 1):
        open_still = inside >= j
        users, s, n, r, q, inside = (part[open_still] for part in (users, s, n, r, q, inside))
        hit[users] += q
        reciprocal[users] += q / (s + j)
        q = q * (n - j - r + 1).clip(min=0) / np.maximum(n - j, 1)
    return hit, reciprocal
