"""From predictions to the lines of answers, for people with lists of like length together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, TypedDict

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64
from numpy.typing import NDArray

from refeed.models.liking import Liking, share_above
from refeed.models.quantiles import interval_ends
from refeed.ratings.store import Ratings
from refeed.serve.passes import Fold
from refeed.serve.taken import TakenSums

__all__ = [
    "By",
    "Group",
    "Labels",
    "Line",
    "Lines",
    "Question",
    "Reason",
    "Taken",
    "alike",
]

By = Literal["both", "rating", "interaction"]
"""What a list is ranked by: both parts of a model, or one of them (`inference/listing.py`)."""

_COVERAGE = 0.8
"""Of the intervals that go with predictions."""

_DIGITS = 6


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked about one person.

    Args:
        items: positions of what the person rated, each once.
        values: the ratings.
        k: the most items of a list; 0: no list.
        offset: how many of the best to leave out, for the next page of a list.
        by: what the list is ranked by; None: all that the model has.
        candidates: what may be listed; None: everything.
        include_seen: also what the person has rated.
        asked: positions of items whose predictions are wanted, in this order.
        liked: the rating from which on a thing is liked; None: the model's own.
        reasons: how many ratings of the person to give as reasons of each line; −1: all.
        times: of the ratings, in Unix seconds; None: unknown.
    """

    items: Int64[np.ndarray, " rated"]
    values: Float32[np.ndarray, " rated"]
    k: int = 0
    offset: int = 0
    by: By | None = None
    candidates: Bool[np.ndarray, " items"] | None = None
    include_seen: bool = False
    asked: Int64[np.ndarray, " asked"] | None = None
    liked: float | None = None
    reasons: int = 3
    times: Int64[np.ndarray, " rated"] | None = None


class Reason(TypedDict):
    """What one rating of the person adds to a prediction.

    Keys:
        item: raw id of what was rated.
        title: None where unknown.
        rating: the person's rating of it.
        adds: to the prediction, in units of ratings.
    """

    item: str
    title: str | None
    rating: float
    adds: float


class Taken(TypedDict):
    """Why the person may take an item up: `score` = `everybody` + what each item of their history adds.

    Keys:
        score: on the scale of a share of people.
        everybody: the item's popularity.
        because: the weightiest items of the person's history in it.
    """

    score: float
    everybody: float
    because: list[Reason]


class Line(TypedDict):
    """One item of an answer; a dictionary, since most of these go straight to JSON.

    Keys:
        item: raw id.
        title: None where unknown.
        rating: the predicted rating, within the scale; None: the model learned from interactions.
        low: the lower end of where 80 % of such ratings lie; None: the model doesn't know how sure it is.
        high: the upper end.
        p_liked: how probable it is that the person's rating would be `liked` or more; likewise.
        score: what a list is ranked by.
        support: training ratings of the item.
        level: what is predicted of somebody unknown; None: predictions are no sums, or nobody asked.
        because: the weightiest of the person's ratings in this prediction.
        taken: why the person may take it up; None: nothing is ranked by that, or nobody asked. Of a model of
            interactions `level` and `because` are the same sum.
    """

    item: str
    title: str | None
    rating: float | None
    low: float | None
    high: float | None
    p_liked: float | None
    score: float
    support: int
    level: float | None
    because: list[Reason]
    taken: Taken | None


@dataclass(frozen=True, eq=False)
class Labels:
    """What is said of items, by position.

    Args:
        ids: raw ids.
        titles: None where unknown.
        support: training ratings.
    """

    ids: list[str]
    titles: list[str | None]
    support: list[int]


@dataclass(frozen=True, eq=False)
class Group:
    """People of a batch with lists of like length.

    Args:
        rows: their rows in the batch.
        questions: what they ask.
        listed: positions of the items of their lists.
        scores: what these are ranked by.
    """

    rows: Int64[np.ndarray, " people"]
    questions: Sequence[Question]
    listed: Sequence[Int64[np.ndarray, " _"]]
    scores: Sequence[Float32[np.ndarray, " _"]]

    def table(self) -> Int64[np.ndarray, "people lines"]:
        """The lists side by side, filled up with the first item."""
        return _side_by_side(self.listed, np.int64)

    def score_table(self) -> Float64[np.ndarray, "people lines"]:
        """Their scores, filled up with 0."""
        return _side_by_side(self.scores, np.float64)

    def reasons(self) -> int:
        """The most reasons that one of them wants; −1: all."""
        wanted = [question.reasons for question in self.questions]
        return -1 if min(wanted) < 0 else max(wanted)


def _side_by_side(rows: Sequence[NDArray[Any]], kind: type[Any]) -> NDArray[Any]:
    table = np.zeros((len(rows), max(map(len, rows))), dtype=kind)
    for at, row in enumerate(rows):
        table[at, : len(row)] = row
    return table


def alike(lengths: Sequence[int], kinds: Sequence[bool]) -> list[list[int]]:
    """Rows of one kind with lists of like length: within a factor of two, so that little is filled up."""
    groups: dict[tuple[int, bool], list[int]] = {}
    for row, (length, kind) in enumerate(zip(lengths, kinds, strict=True)):
        if length:
            groups.setdefault((length.bit_length(), kind), []).append(row)
    return list(groups.values())


def _weightiest(parts: NDArray[np.float32], wanted: int) -> NDArray[np.int64]:
    """Where the largest parts of each row are, whatever their signs, the weightiest first; −1: all."""
    weight = -np.abs(parts)
    if not 0 < wanted < parts.shape[1]:
        return np.argsort(weight, axis=1, kind="stable")
    rows = np.arange(len(parts))[:, None]
    some = np.argpartition(weight, wanted - 1, axis=1)[:, :wanted]
    return some[rows, np.argsort(weight[rows, some], axis=1, kind="stable")]


@dataclass(frozen=True, eq=False)
class Lines:
    """Makes the lines of one model's answers.

    Args:
        labels: of its items.
        scale: the lowest and the highest rating.
        rated: whether the model predicts ratings; else it learned from interactions.
        quantiles: the model's (`Uncertain`), or None.
        liking: what "liked" means, for a threshold or None; None: the model can't say.
    """

    labels: Labels
    scale: tuple[float, float]
    rated: bool
    quantiles: Float64[np.ndarray, " levels"] | None
    liking: Callable[[float | None], Liking | None]

    def of(
        self,
        group: Group,
        fold: Fold,
        histories: Ratings,
        sums: TakenSums | None = None,
    ) -> list[list[Line]]:
        """The lines of each of a group.

        Args:
            group: who, and what is listed.
            fold: of the batch.
            histories: of the batch.
            sums: why they may take up what is listed; None: nobody asks.
        """
        table, wanted = group.table(), group.reasons()
        details = fold.details(group.rows, table, parts=wanted != 0 and self.rated)
        predicted = details.predictions
        columns = {
            **({"rating": self._clipped(predicted)} if self.rated else {}),
            "score": group.score_table(),
            **self._ends(predicted, details.spread, group.questions),
            **({} if details.levels is None else {"level": details.levels}),
        }
        numbers = {name: np.round(column, _DIGITS).tolist() for name, column in columns.items()}
        nothing = [[None] * table.shape[1]] * len(table)
        because = self._because(group, details.parts, wanted, histories)
        taken = None if sums is None else self._taken(group, sums, wanted, histories)
        if not self.rated and sums is not None and taken is not None:
            numbers["level"] = np.round(sums.everybody, _DIGITS).tolist()
            because = [[one["because"] for one in of_person] for of_person in taken]
        names, labels = ("rating", "low", "high", "p_liked", "score", "level"), self.labels
        rating, low, high, p_liked, score, level = (numbers.get(name, nothing) for name in names)
        return [  # dictionaries as they are: to call their types takes three times as long
            [
                {
                    "item": labels.ids[item],
                    "title": labels.titles[item],
                    "rating": rating[at][line],
                    "low": low[at][line],
                    "high": high[at][line],
                    "p_liked": p_liked[at][line],
                    "score": score[at][line],
                    "support": labels.support[item],
                    "level": level[at][line],
                    "because": because[at][line] if because else [],
                    "taken": taken[at][line] if taken else None,
                }
                for line, item in enumerate(items.tolist())
            ]
            for at, items in enumerate(group.listed)
        ]

    def _ends(
        self,
        predicted: Float64[np.ndarray, "people lines"],
        spread: Float64[np.ndarray, "people lines"] | None,
        questions: Sequence[Question],
    ) -> dict[str, NDArray[np.float64]]:
        """Both ends of the interval, and the probability that the rating is `liked` or more."""
        if not self.rated:
            return {}
        found: dict[str, NDArray[np.float64]] = {}
        known = np.ones(predicted.shape) if spread is None else spread
        if spread is not None and self._interval is not None:
            low, high = self._interval
            found = {
                "low": self._clipped(predicted + low * known),
                "high": self._clipped(predicted + high * known),
            }
        thresholds = [question.liked for question in questions]
        likings = {liked: self.liking(liked) for liked in set(thresholds)}
        probable = np.empty(predicted.shape)
        for liked, liking in likings.items():
            if liking is None:  # the model can't say, whatever the threshold
                return found
            rows = (
                [at for at, one in enumerate(thresholds) if one == liked] if len(likings) > 1 else slice(None)
            )
            probable[rows] = share_above(liking, predicted[rows], known[rows])
        return {**found, "p_liked": probable}

    @cached_property
    def _interval(self) -> tuple[float, float] | None:
        return None if self.quantiles is None else interval_ends(self.quantiles, _COVERAGE)

    def _clipped(self, ratings: Float64[np.ndarray, "people lines"]) -> NDArray[np.float64]:
        low, high = self.scale
        clipped: NDArray[np.float64] = np.minimum(np.maximum(ratings, low), high)
        return clipped

    def _taken(self, group: Group, sums: TakenSums, wanted: int, histories: Ratings) -> list[list[Taken]]:
        because = self._because(group, sums.parts, wanted, histories)
        scores, everybody = (np.round(of, _DIGITS).tolist() for of in (sums.scores, sums.everybody))
        return [
            [
                {
                    "score": scores[at][line],
                    "everybody": everybody[at][line],
                    "because": because[at][line] if because else [],
                }
                for line in range(len(items))
            ]
            for at, items in enumerate(group.listed)
        ]

    def _because(
        self,
        group: Group,
        parts: Float32[np.ndarray, "people lines longest"] | None,
        wanted: int,
        histories: Ratings,
    ) -> list[list[list[Reason]]] | None:
        if parts is None or not parts.shape[2]:
            return None
        order = _weightiest(parts.reshape(-1, parts.shape[2]), wanted)
        adds = parts.reshape(-1, parts.shape[2])[np.arange(len(order))[:, None], order].astype(np.float64)
        order = order.reshape(*parts.shape[:2], -1)
        adds = np.round(adds, _DIGITS).reshape(order.shape)
        return [
            self._of_person(row, question, len(items), of_person.tolist(), of_adds.tolist(), histories)
            for row, question, items, of_person, of_adds in zip(
                group.rows.tolist(), group.questions, group.listed, order, adds, strict=True
            )
        ]

    def _of_person(
        self,
        row: int,
        question: Question,
        lines: int,
        order: list[list[int]],
        adds: list[list[float]],
        histories: Ratings,
    ) -> list[list[Reason]]:
        start, end = int(histories.indptr[row]), int(histories.indptr[row + 1])
        items, values = histories.items[start:end].tolist(), histories.values[start:end].tolist()
        count = len(items) if question.reasons < 0 else min(question.reasons, len(items))
        ids, titles = self.labels.ids, self.labels.titles
        reasons: list[list[Reason]] = []
        for line in range(lines):
            of_line: list[Reason] = [
                {"item": ids[items[at]], "title": titles[items[at]], "rating": values[at], "adds": added}
                for at, added in zip(order[line], adds[line], strict=True)
                if at < len(items)  # beyond are places that only fill up
            ]
            reasons.append(of_line[:count])
        return reasons
