"""How good a model's lists are: a full ranking over all unseen items, and the comparison of two models."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64
from torch import Tensor

from refeed.errors import ConfigError, DataError, ModelError
from refeed.evaluation.list_traits import Exposure, popularity_percentiles, self_information
from refeed.evaluation.ranking_metrics import METRICS, Placements, user_metrics
from refeed.evaluation.relevance import Liked, Relevance
from refeed.evaluation.significance import Difference, Estimate, mean_differences, mean_estimates
from refeed.evaluation.top_lists import TopLists, top_lists

__all__ = [
    "KS",
    "RankingComparison",
    "RankingEvaluation",
    "RankingEvidence",
    "ScoreBlocks",
    "compare_rankings",
    "evaluate_ranking",
]

KS = (10, 20, 100)
_OF_LISTS = ("novelty", "popularity")  # of each user, like METRICS, but not about what is relevant
_TITLES = {
    "ndcg": "nDCG",
    "recall": "recall",
    "truncated_recall": "recall, truncated",
    "precision": "precision",
    "map": "MAP",
    "mrr": "MRR",
    "hit_rate": "hit rate",
    "novelty": "novelty, bits",
    "popularity": "popularity",
    "coverage": "coverage",
    "gini": "Gini",
}

ScoreBlocks = Callable[[Int64[np.ndarray, " users"]], Iterable[Float[Tensor, "block items"]]]
"""Scores of all items by some users, given by position, in their order and in blocks of any size.

−∞ says that an item is no candidate. The blocks are changed.
"""


@dataclass(frozen=True, eq=False)
class RankingEvidence:
    """What a comparison with another model needs to know of an evaluation.

    Args:
        values: every metric of each user, in the order of their raw ids; of the columns `names`.
        names: such as ndcg@10.
        relevant: a digest of who was tested on what, and out of how many candidates.
    """

    values: Float32[np.ndarray, "users metrics"]
    names: tuple[str, ...]
    relevant: str


@dataclass(frozen=True, eq=False)
class RankingEvaluation:
    """Metrics of lists at several lengths k, means over the users who have a relevant held-out item.

    Args:
        ks: the lengths, ascending.
        metrics: such as ndcg@10 → its mean over users, with its 95 % interval over users. Novelty is the mean
            self-information of the listed items, in bits; popularity the mean share of the catalogue that is
            less popular than they are.
        coverage: k → the share of the catalogue that is in somebody's list.
        gini: k → how unevenly the places in lists fall to the items of the catalogue, 0 to 1.
        liked: the rating from which on an item is relevant; None: every held-out item is.
        users: who have a relevant item.
        relevant: relevant pairs of a user and an item.
        users_without: users with held-out ratings who have no relevant item, and are left out.
        items: the catalogue.
        seen: ratings by these users whose items are no candidates to them, as lists are made from them.
        seen_elsewhere: further such ratings that the model has seen, validation's for instance.
        seen_pairs: held-out ratings left out as they are among those.
        cold_pairs: held-out ratings left out, because training knows no rating of their user or item.
        cold_users: users unknown to the model.
        cold_items: items unknown to training.
        short: users with fewer candidates than the longest list has places.
        seed: of the bootstrap.
        resamples: of the bootstrap.
        evidence: for `compare_rankings`; not part of `as_dict`.
    """

    ks: tuple[int, ...]
    metrics: Mapping[str, Estimate]
    coverage: Mapping[int, float]
    gini: Mapping[int, float]
    liked: Liked
    users: int
    relevant: int
    users_without: int
    items: int
    seen: int
    seen_elsewhere: int
    seen_pairs: int
    cold_pairs: int
    cold_users: int
    cold_items: int
    short: int
    seed: int
    resamples: int
    evidence: RankingEvidence = field(repr=False)

    def __getitem__(self, name: str) -> Estimate:
        """One metric, as in `evaluation["ndcg@10"]`."""
        return self.metrics[name]

    def as_dict(self) -> dict[str, Any]:
        """All numbers, as JSON can hold them."""
        lists = {
            f"{name}@{k}": value for name in ("coverage", "gini") for k, value in getattr(self, name).items()
        }
        left = ("metrics", "coverage", "gini", "evidence")
        counts = {name: value for name, value in vars(self).items() if name not in left}
        return (
            {name: asdict(value) for name, value in self.metrics.items()}
            | lists
            | counts
            | {"ks": [*self.ks]}
        )

    def __str__(self) -> str:
        """A table for people."""
        return "\n".join([*_preamble(self), "", *_table(self)])


@dataclass(frozen=True)
class RankingComparison:
    """One model minus another for the same users and held-out items: positive says that the one has more.

    Args:
        metrics: such as ndcg@10 → the difference, its 95 % interval over users and two-sided p-value.
        users: who have a relevant item.
    """

    metrics: Mapping[str, Difference]
    users: int

    def __getitem__(self, name: str) -> Difference:
        """The difference in one metric, as in `comparison["ndcg@10"]`."""
        return self.metrics[name]

    def as_dict(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {name: asdict(value) for name, value in self.metrics.items()} | {"users": self.users}

    def __str__(self) -> str:
        """A table for people."""
        lines = [f"{'one − other':23}  {'':>8}  {'95 % interval':^19}  {'p':>6}"]
        for name, row in self.metrics.items():
            metric, _, k = name.partition("@")
            lines.append(
                f"{f'{_TITLES[metric]} @{k}':23}  {row.value:+8.4f}  {_interval(row):^19}  {row.p:6.4f}"
            )
        return "\n".join(line.rstrip() for line in lines)


def evaluate_ranking(
    scores: ScoreBlocks,
    relevance: Relevance,
    *,
    ks: Sequence[int] = KS,
    seed: int = 0,
    resamples: int = 1000,
) -> RankingEvaluation:
    """Rank all items that each user has not seen, and look where the relevant ones are.

    Every unseen item is a candidate, never a sample of them: sampled metrics order models otherwise than full
    ones (Krichene & Rendle 2020). Equal scores are taken in all orders at once (`ranking_metrics`). What it
    takes in memory beside a block is some 100 bytes for each user, metric and hundred of its terms, whatever
    the catalogue.

    Args:
        scores: the model: called once, with the positions of the users in `relevance.histories`. What was
            seen is hidden here, the model needs not care for it.
        relevance: who is to be listed what, from `relevant_items`.
        ks: lengths of the lists, each at least 1.
        seed: of the bootstrap.
        resamples: draws of the bootstrap, at least 1.

    Raises:
        ConfigError: no length, one below 1, or `resamples` below 1.
        ModelError: a score is NaN, or the blocks are not of these users and items.
    """
    lengths = tuple(sorted(set(ks)))
    if not lengths or lengths[0] < 1 or resamples < 1:
        raise ConfigError(
            "an evaluation of lists wants lengths k of 1 or more, such as 10 20 100, and at least 1 "
            f"resample; got {list(ks)}, {resamples}"
        )
    names = tuple(f"{metric}@{k}" for k in lengths for metric in (*METRICS, *_OF_LISTS))
    values = np.empty((len(relevance.users), len(names)), dtype=np.float32)
    exposures = {k: Exposure(relevance.histories.n_items) for k in lengths}
    short = 0
    for first, block in _blocks(scores, relevance):
        lists = top_lists(block, lengths[-1])
        values[first : first + len(block)] = _measured(lists, first, relevance, exposures)
        short += int(np.count_nonzero((lists.values > -np.inf).sum(axis=1) < lengths[-1]))
    ordered = values[relevance.order()]
    means = mean_estimates(ordered, seed=seed, resamples=resamples)
    histories, seen = relevance.histories, relevance.seen
    hidden = [int(ratings.user_counts[relevance.users].sum()) for ratings in (histories, *seen)]
    return RankingEvaluation(
        ks=lengths,
        metrics=dict(zip(names, means, strict=True)),
        coverage={k: exposure.coverage() for k, exposure in exposures.items()},
        gini={k: exposure.gini() for k, exposure in exposures.items()},
        liked=relevance.liked,
        users=len(relevance.users),
        relevant=len(relevance),
        users_without=relevance.test_users - len(relevance.users),
        items=histories.n_items,
        seen=hidden[0],
        seen_elsewhere=sum(hidden[1:]),
        seen_pairs=relevance.seen_pairs,
        cold_pairs=relevance.cold_pairs,
        cold_users=relevance.cold_users,
        cold_items=relevance.cold_items,
        short=short,
        seed=seed,
        resamples=resamples,
        evidence=RankingEvidence(ordered, names, relevance.digest()),
    )


def compare_rankings(one: RankingEvaluation, other: RankingEvaluation) -> RankingComparison:
    """Test whether one model's lists are better than another's for the same users.

    Raises:
        DataError: the models were not tested on the same users, relevant items and numbers of candidates, or
            not at the same lengths.
    """
    mine, theirs = one.evidence, other.evidence
    if mine.relevant != theirs.relevant or mine.names != theirs.names:
        raise DataError(
            f"the two models were not asked for the same lists (for {one.users:,} users, {one.relevant:,} "
            f"relevant items, k {list(one.ks)}; against {other.users:,}, {other.relevant:,}, "
            f"{list(other.ks)}), so these can't be compared; evaluate both on one test set with the same k "
            "and liked, and train them on the same ratings"
        )
    differences = mean_differences(mine.values, theirs.values, seed=one.seed, resamples=one.resamples)
    return RankingComparison(dict(zip(mine.names, differences, strict=True)), users=one.users)


# ------------------------------------------------------------------ block by block


def _blocks(scores: ScoreBlocks, relevance: Relevance) -> Iterator[tuple[int, Float[Tensor, "block items"]]]:
    """The blocks with what was seen hidden, and the number of the first user in each."""
    done, n_items = 0, relevance.histories.n_items
    for block in scores(relevance.users):
        if block.ndim != 2 or block.shape[1] != n_items or done + len(block) > len(relevance.users):
            raise _wrong_block(relevance, done, tuple(block.shape))
        with torch.no_grad():
            relevance.hide_seen(block, done)
            yield done, block
        done += len(block)
    if done != len(relevance.users):
        raise _wrong_block(relevance, done, (0, n_items))


def _wrong_block(relevance: Relevance, done: int, shape: tuple[int, ...]) -> ModelError:
    return ModelError(
        f"the model gave scores of shape {shape} after {done:,} users; expected those of "
        f"{len(relevance.users):,} users in all, each of {relevance.histories.n_items:,} items"
    )


def _measured(
    lists: TopLists, first: int, relevance: Relevance, exposures: Mapping[int, Exposure]
) -> Float32[np.ndarray, "some metrics"]:
    """Every metric of each user of a block; their lists are added to the exposures."""
    ends = relevance.indptr[first : first + len(lists.items) + 1]
    relevant = np.diff(ends)
    users, items = np.repeat(np.arange(len(relevant)), relevant), relevance.items[ends[0] : ends[-1]]
    listed, above, tied = lists.placed(users, items)
    placements = Placements.of(users[listed], above, tied, relevant)
    bits, percentiles = self_information(relevance.item_counts), popularity_percentiles(relevance.item_counts)
    columns = []
    for k, exposure in exposures.items():
        metrics, chances = user_metrics(placements, k), lists.chances(k)
        exposure.add(chances)
        columns += [*(metrics[name] for name in METRICS), chances.mean_of(bits), chances.mean_of(percentiles)]
    return np.stack(columns, axis=1).astype(np.float32)


# ------------------------------------------------------------------ for people


def _preamble(of: RankingEvaluation) -> list[str]:
    relevant = "all held-out items" if of.liked is None else f"held-out items rated {of.liked:g} or more"
    elsewhere = f" and {of.seen_elsewhere:,} further ones" if of.seen_elsewhere else ""
    lines = [
        f"{of.users:,} users, {of.relevant:,} relevant items ({relevant})",
        f"{of.users_without:,} more users have no relevant item and were left out",
        f"candidates: all {of.items:,} items but those that a user has been seen to take ({of.seen:,}",
        f"pairs that the lists are made from{elsewhere}); nothing is sampled, and ties count in every order",
        f"{of.cold_pairs:,} held-out ratings were left out: their user or item has no rating in training",
        f"({of.cold_users:,} users, {of.cold_items:,} items)",
    ]
    if of.seen_pairs:
        lines.append(f"{of.seen_pairs:,} held-out ratings were left out: the model has seen them")
    if of.short:
        lines.append(f"{of.short:,} users have fewer than {of.ks[-1]} candidates")
    return lines


def _table(of: RankingEvaluation) -> list[str]:
    lines = [f"{'':17}" + "".join(f"  {f'@{k}':^29}" for k in of.ks)]
    for name in (*METRICS, *_OF_LISTS):
        cells = [f"{of[f'{name}@{k}'].value:8.4f}  {_interval(of[f'{name}@{k}']):^19}" for k in of.ks]
        lines.append(f"{_TITLES[name]:17}" + "".join(f"  {cell:29}" for cell in cells))
    for name in ("coverage", "gini"):
        cells = [f"{getattr(of, name)[k]:8.4f}" for k in of.ks]
        lines.append(f"{_TITLES[name]:17}" + "".join(f"  {cell:29}" for cell in cells))
    return [line.rstrip() for line in lines]


def _interval(estimate: Estimate) -> str:
    return "too few users" if estimate.low is None else f"{estimate.low:.4f} … {estimate.high:.4f}"
