"""From a model folder to lists, a batch of people at a time: the one place that knows of models.

A batch of questions costs one forward pass (`passes.py`), whoever asks and whatever for. Everything here is
positions and arrays; raw ids are looked up before a question waits, and named in the answer after it.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from refeed.errors import DataError, ModelError
from refeed.inference.catalogue import Catalogue
from refeed.inference.ranking import SHRINK, cosines, shrunk
from refeed.models.liking import Liking, liked_threshold, liking_at
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.serve.attributes import ModelAttributes
from refeed.serve.lines import By, Group, Labels, Line, Lines, Question, alike
from refeed.serve.loaded import Loaded
from refeed.serve.loading import load
from refeed.serve.passes import Fold
from refeed.serve.ranking import Ranker, best
from refeed.serve.taken import TakenSums

__all__ = ["Answer", "Engine"]


@dataclass(frozen=True)
class Answer:
    """To one question.

    Args:
        model: name and digest of the model that gave it, all of it.
        lines: the list, or what was asked for, in its order.
    """

    model: str
    lines: list[Line]


class Engine:
    """A model at work. Nothing in it changes but the histories of who is forgotten.

    Args:
        name: of the model among those that are served.
        run: its folder.
        loaded: what was in it.
        digest: of its weights, some letters that tell models apart.
    """

    def __init__(self, name: str, run: Path, loaded: Loaded, digest: str) -> None:
        self.name, self.run, self.loaded, self.digest = name, run, loaded, digest
        items = loaded.items
        self.catalogue = Catalogue(items.ids, items.titles)
        self._lines = Lines(
            Labels(
                ids=list(items.ids),
                titles=[title or None for title in items.titles or [""] * len(items.ids)],
                support=items.counts.tolist(),
            ),
            scale=loaded.scale,
            rated=loaded.learned_from == "ratings",
            quantiles=loaded.fold.quantiles,
            liking=self._liking,
        )
        self._ranker = Ranker(loaded.lists, items.counts, self._liking, self.by)
        self.warm_up()

    @classmethod
    def load(cls, name: str, run: Path) -> "Engine":
        """Read a model folder, and warm it up.

        Raises:
            ModelError: there is none, it is damaged, or it does not fold in.
        """
        loaded = load(run)
        with (run / "model.safetensors").open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        return cls(name, run, loaded, digest[:12])

    @property
    def model(self) -> str:
        """Name and digest, as answers show them."""
        return f"{self.name}@{self.digest}"

    @property
    def scale(self) -> tuple[float, float]:
        """The lowest and the highest rating."""
        return self.loaded.scale

    @cached_property
    def step(self) -> float:
        """The distance of neighbouring ratings on the scale: 0.5 for half stars; 0: there is no step."""
        histories = self.loaded.histories
        if histories is None or not len(histories):
            return 0.5 if any(value % 1 for value in self.scale) else 1.0
        some = np.unique(histories.values[:100_000])
        if len(some) < 2 or len(some) > 50:
            return 0.0
        return float(np.diff(some).min())

    @cached_property
    def liked(self) -> float:
        """The rating from which on a thing counts as liked: what the model was trained with."""
        lists = self.loaded.lists
        if lists is not None and lists.liking is not None:
            return lists.liking.liked
        histories = self.loaded.histories
        if histories is not None and len(histories):
            return liked_threshold(np.asarray(histories.values))
        return self.scale[0] + 0.75 * (self.scale[1] - self.scale[0])

    def _liking(self, liked: float | None) -> Liking | None:
        """What "liked" means in a question.

        Raises:
            ConfigError: no rating is as high.
        """
        lists, quantiles = self.loaded.lists, self.loaded.fold.quantiles
        if lists is not None and lists.liking is not None:
            return liking_at(lists.liking, lists.values, liked)
        if quantiles is None:
            return None
        least = self.liked if liked is None else liked
        return Liking(least, least - self.step / 2, quantiles)

    @property
    def by(self) -> By:
        """What lists are ranked by, unless a question says otherwise: all that the model has."""
        if self.loaded.lists is None:
            return "rating"
        return "both" if self.loaded.lists.liking is not None else "interaction"

    def check_by(self, by: By | None) -> By:
        """What to rank by.

        Raises:
            DataError: the model can't.
        """
        way = by or self.by
        if way != self.by and (self.loaded.lists is None or self.by == "interaction"):
            raise DataError(f"this model can rank by {self.by} alone; leave `by` out")
        return way

    def warm_up(self) -> None:
        """Have the first person not wait for what is made at first use."""
        nobody = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.float32)
        self.answer([Question(*nobody, k=1)])
        self.catalogue.known_positions([""])

    def without(self, forgotten: Ratings) -> "Engine":
        """The same with other histories."""
        return Engine(self.name, self.run, replace(self.loaded, histories=forgotten), self.digest)

    # ------------------------------------------------------------------ people

    def trained_on(self, user: str) -> dict[str, tuple[float, int]]:
        """What a person rated in the training, and when, 0 if unknown; nothing, if they weren't in it."""
        histories = self.loaded.histories
        position = None if histories is None else histories.user_ids.position(user)
        if histories is None or position is None:
            return {}
        _, items, values = histories.rows(np.array([position]))
        start, ids = int(histories.indptr[position]), self.loaded.items.ids
        times = [0] * len(items)
        if histories.times is not None:
            times = np.asarray(histories.times[start : start + len(items)]).tolist()
        return {
            ids[at]: (float(value), when)
            for at, value, when in zip(items.tolist(), values, times, strict=True)
        }

    def history(self, given: Mapping[str, float]) -> tuple[NDArray[np.int64], NDArray[np.float32], list[str]]:
        """Positions and values of ratings by id or title, and what the model doesn't know.

        Raises:
            DataError: a rating that is off the scale, or two of the same item.
        """
        names = list(given)
        positions = self.catalogue.known_positions(names)
        with np.errstate(over="ignore"):  # what is too large for float32 is off the scale, too
            values = np.fromiter(given.values(), dtype=np.float64, count=len(names)).astype(np.float32)
        known = positions >= 0
        low, high = self.scale
        off = known & ~((values >= np.float32(low)) & (values <= np.float32(high)))
        if off.any():
            name = names[int(np.argmax(off))]
            raise DataError(
                f"the rating {given[name]!r} of {name!r} is off the scale of the training ratings, "
                f"{low:g} to {high:g}"
            )
        unknown = [names[at] for at in np.flatnonzero(~known).tolist()]
        if unknown:
            positions, values = positions[known], values[known]
        if len(set(positions.tolist())) < len(positions):
            raise DataError(
                "the same item is rated twice, perhaps once by id and once by title; rate it once"
            )
        return positions, values, unknown

    @cached_property
    def attributes(self) -> ModelAttributes:
        """What its folder knows of the items."""
        return ModelAttributes(self.loaded.items)

    def mask(self, only: Sequence[str] | None, exclude: Sequence[str]) -> NDArray[np.bool_] | None:
        """What may be listed; names that the model doesn't know change nothing."""
        if only is None and not exclude:
            return None
        allowed = np.full(len(self.loaded.items.ids), only is None)
        for names, value in ((only or (), True), (exclude, False)):
            positions = self.catalogue.known_positions(names)
            allowed[positions[positions >= 0]] = value
        return allowed

    # ------------------------------------------------------------------ answers

    def answer(self, questions: Sequence[Question]) -> list[Answer]:
        """Answer questions about people, all by one forward pass."""
        histories = self.histories(questions)
        fold = self.fold(histories)
        listed = self._ranker(questions, histories, fold)
        answers: list[list[Line]] = [[] for _ in questions]
        why_taken = [self._asks_why_taken(question) for question in questions]
        for rows in alike([len(one.items) for one in listed], why_taken):
            group = Group(
                np.array(rows),
                [questions[row] for row in rows],
                [listed[row].items for row in rows],
                [listed[row].scores for row in rows],
            )
            sums = self._sums(group, histories) if why_taken[rows[0]] else None
            for row, lines in zip(rows, self._lines.of(group, fold, histories, sums), strict=True):
                answers[row] = lines
        return [Answer(self.model, lines) for lines in answers]

    def _sums(self, group: Group, histories: Ratings) -> TakenSums | None:
        """Why people may take up what is listed."""
        lists = self.loaded.lists
        return None if lists is None else lists.scorer.sums(histories, group.rows, group.table())

    def _asks_why_taken(self, question: Question) -> bool:
        """Whether an answer has reasons of the second part: of a list by it, or of a whole explanation."""
        lists = self.loaded.lists
        if lists is None or not question.reasons:
            return False
        if question.asked is not None:
            return question.reasons < 0
        return (question.by or self.by) != "rating" and lists.scorer.quick

    def fold(self, histories: Ratings) -> Fold:
        """The forward pass alone."""
        return self.loaded.fold(histories)

    def similar(self, position: int, k: int) -> list[tuple[int, float]]:
        """(position, cosine) of the items most like one, shrunk by support.

        Raises:
            ModelError: the model has no vectors of items.
        """
        vectors = self._vectors
        if vectors is None:
            raise ModelError(f"the model {self.name!r} has no vectors of its items, so none are similar")
        similarities = cosines(vectors, position)
        ranked = shrunk(similarities, self.loaded.items.counts, SHRINK)
        ranked[position] = -np.inf
        return [(at, float(similarities[at])) for at in best(ranked, k).tolist() if at != position]

    @cached_property
    def _vectors(self) -> Float32[np.ndarray, "items width"] | None:
        return self.loaded.vectors()

    def histories(self, questions: Sequence[Question]) -> Ratings:
        """The people who are asked about, as a model wants them: a row each."""
        counts = np.array([len(question.items) for question in questions])
        indptr = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        items = np.concatenate([question.items for question in questions])
        values = np.concatenate([question.values for question in questions])
        times = None
        if any(question.times is not None for question in questions):  # 0: nothing is later than another
            times = np.concatenate(
                [
                    np.zeros(len(question.items), dtype=np.int64)
                    if question.times is None
                    else question.times
                    for question in questions
                ]
            )
        # Ascending within a person, as everywhere: the sums of one person don't depend on the order given.
        starts = indptr[:-1].tolist()
        order = np.concatenate(
            [np.argsort(one.items) + start for one, start in zip(questions, starts, strict=True)]
        )
        return Ratings(
            indptr=indptr,
            items=items[order].astype(np.int32),
            values=values[order].astype(np.float32),
            times=None if times is None else times[order],
            user_ids=_Numbers(str(at) for at in range(len(questions))),
            item_ids=self.loaded.items.ids,
        )


class _Numbers(Ids):
    """Ids that nobody looks up."""
