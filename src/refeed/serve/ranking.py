"""Which items a list has, and their scores: as `inference.listing` ranks, from the pass that is there.

By both parts an item's score is log max(s, floor) + β log P(liked) (`models/list_score.py`), whose second
term is at most 0. So the first is a bound: once the last place of a list is above the bounds of all items
that were not looked at, none of these is in it. Predictions, their spreads and P(liked) are made of the most
promising items alone, and of more of them until that is so; the list is the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from refeed.inference.ranking import SHRINK, supported_scores
from refeed.models.liking import Liking, share_above
from refeed.ratings.store import Ratings
from refeed.serve.lines import By, Question
from refeed.serve.passes import Fold
from refeed.serve.taken import Lists

__all__ = ["Listed", "Ranker", "best"]

_PROMISING = 256
"""Items whose P(liked) is looked at first; four times as many whenever that was not enough."""


_Positions = NDArray[np.int64]  # named, as annotations of inner functions are made at every call


@dataclass(frozen=True, eq=False)
class Listed:
    """What the answer to a question lists.

    Args:
        items: positions, best first; or what was asked for, in its order.
        scores: what they are ranked by; or their predictions.
    """

    items: Int64[np.ndarray, " lines"]
    scores: Float32[np.ndarray, " lines"]


class Ranker:
    """Ranks the items of one model.

    Args:
        lists: who takes what up, and how that is weighed; None: the model predicts ratings alone.
        counts: training ratings of the items.
        liking: what "liked" means, for a threshold or None; None: the model can't say.
        by: what is ranked by, unless a question says otherwise.
    """

    def __init__(
        self,
        lists: Lists | None,
        counts: Int64[np.ndarray, " items"],
        liking: Callable[[float | None], Liking | None],
        by: By,
    ) -> None:
        self._lists, self._counts, self._liking, self._by = lists, counts, liking, by

    def __call__(self, questions: Sequence[Question], histories: Ratings, fold: Fold) -> list[Listed]:
        """What each answer lists; the histories and the pass are those of the questions."""
        found: dict[int, Listed] = {}
        alike: dict[tuple[By, float | None], list[int]] = {}
        for row, question in enumerate(questions):
            if question.asked is None:
                alike.setdefault((question.by or self._by, question.liked), []).append(row)
            else:
                predictions = fold.details(np.array([row]), question.asked[None], parts=False).predictions
                found[row] = Listed(question.asked, predictions[0].astype(np.float32))
        for (by, liked), rows in alike.items():
            some = [questions[row] for row in rows]
            lists = self._ranked(by, liked, some, np.array(rows), histories, fold)
            found |= dict(zip(rows, lists, strict=True))
        return [found[row] for row in range(len(questions))]

    def _ranked(
        self,
        by: By,
        liked: float | None,
        questions: Sequence[Question],
        rows: Int64[np.ndarray, " people"],
        histories: Ratings,
        fold: Fold,
    ) -> list[Listed]:
        if by == "rating" or self._lists is None:
            return _all_ranked(questions, supported_scores(fold.predictions[rows], self._counts, SHRINK))
        bounds = self._lists.scorer.scores(histories, rows)
        liking, beta = self._liking(liked), self._lists.beta
        if by == "interaction" or liking is None:
            return _all_ranked(questions, bounds)
        np.log(np.maximum(bounds, np.float32(self._lists.floor), out=bounds), out=bounds)
        if not beta:
            return _all_ranked(questions, bounds)
        _hide(questions, bounds)

        def scores(of: _Positions, items: _Positions) -> NDArray[np.float32]:
            details = fold.details(rows[of], items, parts=False)
            spread = 1.0 if details.spread is None else details.spread
            probable = share_above(liking, details.predictions, spread)
            total: NDArray[np.float32] = (bounds[of[:, None], items] + beta * np.log(probable)).astype(
                np.float32
            )
            return total

        return _promising_ranked([one.offset + one.k for one in questions], questions, bounds, scores)


def best(ranked: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Positions of the k best that are no −∞, best first, ties by position."""
    k = min(k, len(ranked))
    if k < len(ranked):
        # All that are at least as good as the k-th, so that of equals the first ones are taken.
        some = np.flatnonzero(ranked >= np.partition(ranked, len(ranked) - k)[len(ranked) - k])
    else:
        some = np.arange(len(ranked))
    some = some[ranked[some] > -np.inf]
    found: NDArray[np.int64] = some[np.argsort(-ranked[some], kind="stable")][:k]
    return found


def _hide(questions: Sequence[Question], scores: Float32[np.ndarray, "people items"]) -> None:
    """Give what may not be listed −∞."""
    for own, question in zip(scores, questions, strict=True):
        if question.candidates is not None:
            own[~question.candidates] = -np.inf
        if not question.include_seen:
            own[question.items] = -np.inf


def _all_ranked(questions: Sequence[Question], scores: Float32[np.ndarray, "people items"]) -> list[Listed]:
    """From the scores of all items, which are changed."""
    _hide(questions, scores)
    listed = []
    for own, question in zip(scores, questions, strict=True):
        items = best(own, question.offset + question.k)[question.offset :]
        listed.append(Listed(items, own[items]))
    return listed


def _promising_ranked(
    lengths: Sequence[int],
    questions: Sequence[Question],
    bounds: Float32[np.ndarray, "people items"],
    scores: Callable[[NDArray[np.int64], NDArray[np.int64]], NDArray[np.float32]],
) -> list[Listed]:
    """From bounds of the scores of all items, and the scores of some items of some people.

    Args:
        lengths: how many of the best are wanted of each person, their offset included.
        questions: of each person.
        bounds: no score is above; −∞: is not listed.
        scores: of people (their numbers here) and items, a row each.
    """
    found: dict[int, Listed] = {}
    n_items, left, size = bounds.shape[1], np.arange(len(bounds)), _PROMISING
    while len(left):
        size = min(max(size, 2 * max(lengths[at] for at in left.tolist())), n_items)
        first = n_items - size
        items = np.sort(np.argpartition(bounds[left], first - (first > 0), axis=1)[:, first:], axis=1)
        of_items = scores(left, items)
        least = np.take_along_axis(bounds[left], items, axis=1).min(axis=1)
        for at, own, own_scores, bound in zip(left.tolist(), items, of_items, least, strict=True):
            top = best(own_scores, lengths[at])
            enough = len(top) == lengths[at] and (not len(top) or own_scores[top[-1]] > bound)
            if enough or size == n_items or bound == -np.inf:
                top = top[questions[at].offset :]
                found[at] = Listed(own[top], own_scores[top])
        left, size = np.array([at for at in left.tolist() if at not in found], dtype=np.int64), 4 * size
    return [found[at] for at in range(len(bounds))]
