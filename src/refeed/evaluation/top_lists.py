"""The best items of a block of users, and how sure each is of its place where scores are equal."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor

from refeed.errors import ModelError

__all__ = ["Chances", "TopLists", "top_lists"]

_CHUNK = 1 << 16  # relevant items looked up in their lists at a time


@dataclass(frozen=True, eq=False)
class TopLists:
    """The best `depth` candidates of each user, by descending score.

    Args:
        scores: of all items, −∞ for what is no candidate.
        items: positions; which of the items that share the last score are here is a matter of chance.
        values: their scores; −∞ where there are fewer candidates.
        above: the candidates with a higher score than the one at this place.
        tied: those with the same score, also the ones that found no place here.
    """

    scores: Float[Tensor, "users items"]
    items: Int64[np.ndarray, "users depth"]
    values: Float[np.ndarray, "users depth"]
    above: Int64[np.ndarray, "users depth"]
    tied: Int64[np.ndarray, "users depth"]

    def placed(
        self, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> tuple[Bool[np.ndarray, " pairs"], Int64[np.ndarray, " listed"], Int64[np.ndarray, " listed"]]:
        """Of some items: which of them may be in the list, and for those s and n of `ranking_metrics`.

        Args:
            users: rows of the block.
            items: positions.
        """
        scores = self.scores[torch.from_numpy(users), torch.from_numpy(items)].cpu().numpy()
        listed: Bool[np.ndarray, " pairs"] = (scores > -np.inf) & (scores >= self.values[users, -1])
        users, scores = users[listed], scores[listed]
        above = np.empty(len(users), dtype=np.int64)
        for at in range(0, len(users), _CHUNK):
            some = slice(at, at + _CHUNK)
            above[some] = (self.values[users[some]] > scores[some, None]).sum(axis=1)
        return listed, above, self.tied[users, above]

    def chances(self, k: int) -> "Chances":
        """How likely each item is to be among the first k, over all orders of equal scores."""
        probabilities = np.clip(k - self.above, 0, self.tied) / self.tied
        probabilities[self.values == -np.inf] = 0.0
        depth = self.values.shape[1]
        spills = (self.above + self.tied > depth) & (self.values > -np.inf)
        # Only the last group may not fit, and then it is in the last place.
        rows = np.flatnonzero(spills[:, -1])
        shared = probabilities[rows, -1]
        probabilities[spills] = 0.0
        return Chances(self.items, probabilities, rows, shared, self._in_last_group(rows))

    def _in_last_group(self, rows: Int64[np.ndarray, " some"]) -> Bool[Tensor, "some items"]:
        some = torch.from_numpy(rows)
        last = torch.from_numpy(self.values[rows, -1:]).to(self.scores)
        return (self.scores[some] == last).cpu()


@dataclass(frozen=True, eq=False)
class Chances:
    """Each item's chance to be listed.

    Args:
        items: positions of items with a place of their own in the lists.
        probabilities: theirs.
        rows: users of whom more items than there is room for share the last score.
        shared: the chance of each of these items, a number a user.
        sharing: which items these are.
    """

    items: Int64[np.ndarray, "users depth"]
    probabilities: Float64[np.ndarray, "users depth"]
    rows: Int64[np.ndarray, " some"]
    shared: Float64[np.ndarray, " some"]
    sharing: Bool[Tensor, "some items"]

    def by_item(self, *, log_of_absence: bool = False) -> Float64[np.ndarray, " items"]:
        """For each item the sum of its chances: the lists it is expected in.

        Args:
            log_of_absence: instead of each chance p, sum log(1 − p): the log of P(it is in no list).
        """

        def term(p: Float64[np.ndarray, "*any"]) -> Float64[np.ndarray, "*any"]:
            if not log_of_absence:
                return p
            with np.errstate(divide="ignore"):  # who is listed for certain is absent with probability 0
                logs: Float64[np.ndarray, "*any"] = np.log1p(-p)
            return logs

        n_items, certain = self.sharing.shape[1], self.probabilities > 0
        weights = term(self.probabilities[certain])
        sums = np.bincount(self.items[certain], weights=weights, minlength=n_items).astype(np.float64)
        for sharing, p in zip(self.sharing.numpy(), term(self.shared), strict=True):
            sums[sharing] += p
        return sums

    def mean_of(self, traits: Float64[np.ndarray, " items"]) -> Float64[np.ndarray, " users"]:
        """The expected mean of something of the items over each user's list; 0 where the list is empty."""
        sums = (self.probabilities * traits[self.items]).sum(axis=1)
        lengths = self.probabilities.sum(axis=1)
        for row, sharing, p in zip(self.rows.tolist(), self.sharing.numpy(), self.shared, strict=True):
            sums[row] += p * traits[sharing].sum()
            lengths[row] += p * np.count_nonzero(sharing)
        means: Float64[np.ndarray, " users"] = np.divide(
            sums, lengths, out=np.zeros_like(sums), where=lengths > 0
        )
        return means


def top_lists(scores: Float[Tensor, "users items"], depth: int) -> TopLists:
    """Find the best `depth` candidates of each user.

    Raises:
        ModelError: a score is NaN.
    """
    n_items = scores.shape[1]
    depth = min(depth, n_items)
    best, positions = scores.topk(min(depth + 1, n_items))
    if best.isnan().any():  # torch counts a NaN as the greatest
        raise ModelError("a score of the model is NaN; it is of no use, train it again with a lower train.lr")
    values = best[:, :depth].cpu().numpy()
    above, tied = _runs(values)
    if depth < n_items:
        last = best[:, depth - 1]
        spills = ((best[:, depth] == last) & (last > -torch.inf)).nonzero().flatten()
        counts = (scores[spills] == last[spills, None]).sum(dim=1).cpu().numpy()
        rows = spills.cpu().numpy()
        tied[rows] = np.where(values[rows] == values[rows, -1:], counts[:, None], tied[rows])
    return TopLists(scores, positions[:, :depth].cpu().numpy(), values, above, tied)


def _runs(
    values: Float[np.ndarray, "users depth"],
) -> tuple[Int64[np.ndarray, "users depth"], Int64[np.ndarray, "users depth"]]:
    """Where each run of equal values begins, and how long it is."""
    places = np.broadcast_to(np.arange(values.shape[1]), values.shape)
    changes = values[:, 1:] != values[:, :-1]
    starts = np.zeros(values.shape, dtype=np.int64)
    starts[:, 1:] = np.where(changes, places[:, 1:], 0)
    above = np.maximum.accumulate(starts, axis=1)
    stops = np.full(values.shape, values.shape[1], dtype=np.int64)
    stops[:, :-1] = np.where(changes, places[:, 1:], values.shape[1])
    ends = np.minimum.accumulate(stops[:, ::-1], axis=1)[:, ::-1]
    return above, ends - above
