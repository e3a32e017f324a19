"""Predictions and lists for one person or many: `inference/recommender.py` without PyTorch."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard, overload

import numpy as np
from numpy.typing import NDArray

from refeed.errors import DataError, ModelError, UnknownIdError
from refeed.inference.catalogue import Catalogue
from refeed.inference.explanation import Explanation, Part, Taken
from refeed.inference.given import checked_history, paired, unknown_users
from refeed.inference.lines import Recommendation, SimilarItem
from refeed.inference.ranking import (
    COVERAGE,
    NO_PART,
    SHRINK,
    best,
    check_cautious,
    check_list,
    checked_beta,
    chosen_way,
    cosines,
    shrunk,
    supported_scores,
)
from refeed.lite.folder import Folder
from refeed.lite.histories import Histories
from refeed.lite.lists import ListPart
from refeed.lite.ridge import History, Person
from refeed.models.liking import Liking, liking_at, share_above
from refeed.models.quantiles import error_deviation, interval_ends
from refeed.ratings.ids import Ids, id_text

__all__ = ["Recommender", "User"]

Id = str | int
"""A raw id; a whole number is compared as text."""

User = Id | Mapping[Any, float | int]
"""A user of the training ratings by raw id, or anyone by their ratings: raw id or title → rating."""


@dataclass(frozen=True, eq=False)
class Recommender:
    """The default model at work, with the methods, arguments and errors of `refeed.Recommender`.

    Of the options of lists those that filter and mix are there in the full model alone: `where`, `novelty`,
    `offset`, `diversity` and `explore`.

    Nothing in it changes, so threads may share it.

    Args:
        folder: the model with all that belongs to it.
    """

    folder: Folder

    @classmethod
    def load(cls, run: Path | str) -> "Recommender":
        """Open a model folder that `refeed train` wrote.

        Raises:
            ModelError: there is none, it is damaged, incomplete or of another version, or its kind of model
                needs PyTorch.
        """
        return cls(Folder.load(Path(run)))

    @property
    def catalogue(self) -> Catalogue:
        """The items, found by id or title."""
        return self.folder.catalogue

    @property
    def item_ids(self) -> Ids:
        """Raw ids of all items, in the order of `predict(user)`."""
        return self.folder.catalogue.ids

    @property
    def histories(self) -> Histories:
        """The training ratings, by which known users are known.

        Raises:
            UnknownIdError: they have been removed from the model folder.
        """
        if self.folder.histories is None:
            raise UnknownIdError(
                "the histories of the training users have been removed from this model, so it knows no user "
                "by id; give a person's ratings instead"
            )
        return self.folder.histories

    @overload
    def predict(self, who: User, items: Id, *, clip: bool = True) -> float: ...  # type: ignore[overload-overlap]  # a str is one item
    @overload
    def predict(
        self, who: User | Sequence[User], items: Sequence[Id] | None = None, *, clip: bool = True
    ) -> NDArray[np.float64]: ...
    def predict(
        self, who: User | Sequence[User], items: Id | Sequence[Id] | None = None, *, clip: bool = True
    ) -> float | NDArray[np.float64]:
        """Predicted ratings: of an item, of some, of all, of pairs (see `refeed.Recommender.predict`)."""
        one = _is_user(who)
        histories = self._histories(who)
        if items is None:
            people = [self.folder.model.fold(history) for history in histories]
            matrix = self.folder.model.predict_all(people).astype(np.float64)
            return self._clipped(matrix[0] if one else matrix, clip=clip)
        users, positions = self._pairs(histories, items, one=one)
        predicted = np.empty(len(positions))
        for user, pairs in _by_user(users):
            predicted[pairs], _ = self.folder.model.fold(histories[user]).predict(positions[pairs])
        predicted = self._clipped(predicted, clip=clip)
        return float(predicted[0]) if _is_id(items) else predicted

    def recommend(
        self,
        who: User,
        k: int = 10,
        *,
        by: str | None = None,
        liked: float | int | None = None,  # noqa: PYI041 - checked at run time, in tests
        beta: float | int | None = None,  # noqa: PYI041
        include_seen: bool = False,
        only: Sequence[Id] | None = None,
        exclude: Sequence[Id] | None = None,
        shrink: float = SHRINK,
        cautious: float = 0.0,
    ) -> list[Recommendation]:
        """The k best items for a user that they have not rated (see `refeed.Recommender.recommend`).

        Raises:
            ModelError: the way to rank asks for what the model doesn't have, or for a kind of interaction
                model that needs PyTorch.
        """
        check_list(k, shrink)
        check_cautious(cautious)
        way = chosen_way(by, cautious, taken=self.folder.lists is not None)
        weight, liking = None if beta is None else checked_beta(beta), self._liking(liked)
        (history,) = self._histories(who, one=True)
        person = self.folder.model.fold(history)
        (predictions,) = self.folder.model.predict_all([person])
        candidates = self._candidates(only, exclude)
        if not include_seen:
            candidates[history[0]] = False
        if way == "rating":
            scores = self._rating_scores(person, predictions, shrink, cautious)
        else:
            scores = self._part.taken.scores(history, self._times(who))
        if way == "both" and liking is not None:
            scores = self._part.scores(scores, self._liked(liking, person, predictions), weight)
        listed = best(scores.astype(np.float64), candidates, k)
        return self._lines(person, listed, predictions[listed], scores[listed], liking)

    def _rating_scores(
        self, person: Person, predictions: NDArray[np.floating], shrink: float, cautious: float
    ) -> NDArray[np.floating]:
        """What a list by rating is ranked by, [items]."""
        trusted = predictions
        if cautious:
            _, std = person.predict(np.arange(len(predictions)))
            unknown = np.sqrt((np.square(std) - person.model.item_noise).clip(min=0))
            doubts = error_deviation(self._quantiles()) * unknown
            trusted = predictions - (cautious * doubts).astype(predictions.dtype)
        return supported_scores(trusted, self.folder.item_counts, shrink)

    @property
    def _part(self) -> ListPart:
        if self.folder.lists is None:
            raise ModelError(NO_PART)
        return self.folder.lists

    def _liking(self, liked: Any) -> Liking | None:
        lists = self.folder.lists
        if lists is None or lists.liking is None:
            return None
        return liking_at(lists.liking, lists.values, liked)

    def _liked(
        self, liking: Liking, person: Person, predictions: NDArray[np.floating]
    ) -> NDArray[np.float64]:
        """P(liked) of all items, [items]."""
        if not self.folder.model.quantiles.any():
            return share_above(liking, predictions, 1.0)
        _, std = person.predict(np.arange(len(predictions)))
        return share_above(liking, predictions, std)

    def _times(self, who: User) -> NDArray[np.int64] | None:
        """When the history of a known user came about; None where it is not known."""
        return self.histories.times_of(self._known([id_text(who)])[0]) if _is_id(who) else None

    def _lines(
        self,
        person: Person,
        listed: NDArray[np.int64],
        predictions: NDArray[np.floating],
        scores: NDArray[np.floating],
        liking: Liking | None,
    ) -> list[Recommendation]:
        """The items of a list with what is shown beside them."""
        plain, nothing = predictions.astype(np.float64), [None] * len(listed)
        low: Sequence[float | None] = nothing
        high, liked = low, low
        std: NDArray[np.float64] | float = 1.0
        if self.folder.model.quantiles.any():
            _, std = person.predict(listed)
            ends = interval_ends(self.folder.model.quantiles, COVERAGE)
            low, high = (self._clipped(plain + end * std, clip=True).tolist() for end in ends)
        if liking is not None:
            liked = share_above(liking, plain, std).tolist()
        ratings = self._clipped(plain, clip=True)
        return [
            Recommendation(
                item=self.item_ids[item],
                title=self.catalogue.title(item),
                rating=float(ratings[at]),
                score=float(scores[at]),
                support=int(self.folder.item_counts[item]),
                p_liked=liked[at],
                low=low[at],
                high=high[at],
            )
            for at, item in enumerate(listed.tolist())
        ]

    def explain(self, who: User, item: Id) -> Explanation:
        """Why a prediction is what it is, and why an item is in a list (see `refeed.Recommender.explain`)."""
        (history,) = self._histories(who, one=True)
        position = int(self.catalogue.positions([item])[0])
        asked, person = np.array([position]), self.folder.model.fold(history)
        (level,), (adds,) = person.explain(asked)
        parts = self._parts(history, adds)
        explanation = Explanation.of(
            self.item_ids[position], self.catalogue.title(position), float(level), parts
        )
        lists = self.folder.lists
        if lists is None or lists.liking is None:
            return explanation
        predicted, std = person.predict(asked)
        sure = self.folder.model.quantiles.any()
        p_liked = float(share_above(lists.liking, predicted, std if sure else 1.0)[0])
        everybody, (given,) = lists.taken.explain(history, self._times(who), asked)
        taken = Taken.of(float(everybody[0]), self._parts(history, given))
        return replace(explanation, taken=taken, p_liked=p_liked)

    def _parts(self, history: History, adds: NDArray[np.float64]) -> list[Part]:
        return [
            Part(self.item_ids[at], self.catalogue.title(at), float(value), float(added))
            for at, value, added in zip(history[0].tolist(), history[1], adds, strict=True)
        ]

    def intervals(
        self, who: User | Sequence[User], items: Id | Sequence[Id], coverage: float, *, clip: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Where a share of such ratings lies, `[pairs]` each (see `refeed.Recommender.intervals`)."""
        low, high = interval_ends(self._quantiles(), coverage)
        histories = self._histories(who)
        users, positions = self._pairs(histories, items, one=_is_user(who), single=False)
        predicted, std = np.empty(len(positions)), np.empty(len(positions))
        for user, pairs in _by_user(users):
            predicted[pairs], std[pairs] = self.folder.model.fold(histories[user]).predict(positions[pairs])
        return (
            self._clipped(predicted + low * std, clip=clip),
            self._clipped(predicted + high * std, clip=clip),
        )

    def similar_items(self, item: Id, k: int = 10, *, shrink: float = SHRINK) -> list[SimilarItem]:
        """The k items most like one, best first (see `refeed.Recommender.similar_items`)."""
        check_list(k, shrink)
        position = int(self.catalogue.positions([item])[0])
        similarities = cosines(self.folder.model.item_vectors(), position)
        scores = shrunk(similarities, self.folder.item_counts, shrink)
        return [
            SimilarItem(
                item=self.item_ids[at],
                title=self.catalogue.title(at),
                similarity=float(similarities[at]),
                score=float(scores[at]),
                support=int(self.folder.item_counts[at]),
            )
            for at in best(scores, np.arange(len(scores)) != position, k).tolist()
        ]

    def _quantiles(self) -> NDArray[np.float64]:
        if not self.folder.model.quantiles.any():
            raise ModelError("this model does not know how sure it is: its errors were never calibrated")
        return self.folder.model.quantiles

    def _clipped(self, ratings: NDArray[np.float64], *, clip: bool) -> NDArray[np.float64]:
        return np.clip(ratings, *self.folder.scale) if clip else ratings

    def _candidates(self, only: Sequence[Id] | None, exclude: Sequence[Id] | None) -> NDArray[np.bool_]:
        candidates = np.full(len(self.item_ids), only is None)
        if only is not None:
            candidates[self.catalogue.positions(_listed(only))] = True
        if exclude is not None:
            candidates[self.catalogue.positions(_listed(exclude))] = False
        return candidates

    def _pairs(
        self, histories: Sequence[History], items: Id | Sequence[Id], *, one: bool, single: bool = True
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        positions = self.catalogue.positions(_listed(items))
        users = np.arange(len(histories))
        return paired(users, positions, one=one, single=single and _is_id(items)), positions

    def _histories(self, who: User | Sequence[User], *, one: bool = False) -> list[History]:
        """What is known of each user."""
        alone = one or _is_user(who) or not isinstance(who, Iterable)
        users: Sequence[Any] = [who] if alone else list(who)  # type: ignore[arg-type]  # iterable, then
        for user in users:
            if not _is_user(user):
                raise DataError(
                    f"{user!r} is no user: give a raw id, or a mapping from items to ratings "
                    "(refeed.Recommender reads other forms, too)"
                )
        positions = iter(self._known([id_text(user) for user in users if _is_id(user)]))
        return [
            self.histories.of(next(positions))
            if _is_id(user)
            else checked_history(user, self.catalogue, self.folder.scale)
            for user in users
        ]

    def _known(self, ids: Sequence[str]) -> list[int]:
        if not ids:
            return []
        known = self.histories.user_ids
        positions = known.positions(ids)
        unknown = list(dict.fromkeys(ids[at] for at in np.flatnonzero(positions < 0).tolist()))
        if unknown:
            raise UnknownIdError(unknown_users(unknown, known))
        return [int(position) for position in positions]


def _by_user(users: NDArray[np.int64]) -> list[tuple[int, NDArray[np.int64]]]:
    """Which pairs are each user's."""
    order = np.argsort(users, kind="stable")
    each, starts = np.unique(users[order], return_index=True)
    ends = np.append(starts[1:], len(users))
    return [(user, order[start:end]) for user, start, end in zip(each.tolist(), starts, ends, strict=False)]


def _is_id(what: object) -> TypeGuard[Id]:
    return isinstance(what, str | int | np.integer) and not isinstance(what, bool)


def _is_user(who: object) -> TypeGuard[User]:
    return _is_id(who) or isinstance(who, Mapping)


def _listed(items: Id | Sequence[Id]) -> Sequence[Id]:
    return [items] if _is_id(items) else items  # type: ignore[return-value]
