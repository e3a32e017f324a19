"""From whoever is asked about to the histories that a model predicts from."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from refeed.errors import DataError, UnknownIdError
from refeed.inference.catalogue import Catalogue
from refeed.inference.given import checked_history, unknown_users
from refeed.models.cold import check_cold
from refeed.ratings.history import person_history
from refeed.ratings.ids import Ids, id_text
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel

__all__ = ["People", "User", "is_id", "listed_users"]

User = Any
"""A user of the training ratings by raw id (text or a whole number), or anyone by their history: a mapping
from items to ratings, (item, rating) pairs, items alone for interactions, a pandas Series, or a frame."""

_Row = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]


def is_id(who: object) -> bool:
    """Whether this is the raw id of one user."""
    return isinstance(who, str | int | np.integer) and not isinstance(who, bool)


def listed_users(who: object) -> list[User] | None:
    """The users of a sequence; None if this is one user: an id, a mapping, a frame, a Series."""
    if is_id(who) or isinstance(who, Mapping) or hasattr(who, "__arrow_c_stream__") or hasattr(who, "iloc"):
        return None
    if isinstance(who, np.ndarray) and who.ndim == 1:
        return list(who.tolist())
    if isinstance(who, bytes) or not isinstance(who, Iterable):
        raise DataError(
            f"{who!r} is no user: give a raw id, a history such as {{'item': 4.5}}, or a list of these"
        )
    return list(who)


@dataclass(frozen=True, eq=False)
class People:
    """Whom a model knows, and how others bring their ratings.

    Args:
        trained: the model with all that belongs to it.
        catalogue: its items.
    """

    trained: TrainedModel
    catalogue: Catalogue

    @property
    def known(self) -> Ratings:
        """The training ratings, by which known users are known.

        Raises:
            UnknownIdError: they have been removed from the model folder.
        """
        if self.trained.histories is None:
            raise UnknownIdError(
                "the histories of the training users have been removed from this model, so it knows no user "
                "by id; give a person's ratings instead"
            )
        return self.trained.histories

    def positions(self, ids: Sequence[Any]) -> Int64[np.ndarray, " ids"]:
        """The positions in `known` of users given by raw id.

        Raises:
            UnknownIdError: one isn't there (with close matches), or the histories have been removed.
        """
        user_ids = self.known.user_ids
        positions = user_ids.positions(ids)
        unknown = list(dict.fromkeys(id_text(ids[at]) for at in np.flatnonzero(positions < 0).tolist()))
        if unknown:
            raise UnknownIdError(unknown_users(unknown, user_ids))
        return positions

    def known_or_not(self, ids: Sequence[Any], cold: str) -> tuple[Ratings, Int64[np.ndarray, " some"], int]:
        """Users given by raw id, some of whom the model may not know.

        Args:
            ids: each once.
            cold: what to do with the unknown ones: "error" refuses them, "empty" leaves them out, "fallback"
                takes them for people of whom nothing is known.

        Returns:
            Ratings in which the users are, their positions in these, and how many are unknown.

        Raises:
            UnknownIdError: some are unknown, and are refused; or the model doesn't fold anyone in.
            ConfigError: another word for `cold`.
        """
        check_cold(cold)
        known, positions = self.known, self.known.user_ids.positions(ids)
        strangers = [id_text(ids[at]) for at in np.flatnonzero(positions < 0).tolist()]
        if not strangers or cold == "empty":
            return known, positions[positions >= 0], len(strangers)
        if cold == "error":
            return known, self.positions(ids), 0
        self._check_folds_in()
        positions[positions < 0] = known.n_users + np.arange(len(strangers))
        with_them = replace(
            known,
            indptr=np.append(known.indptr, np.repeat(known.indptr[-1:], len(strangers))),
            user_ids=Ids.trusted((*known.user_ids, *strangers)),
        )
        return with_them, positions, len(strangers)

    def histories(self, who: Sequence[User]) -> tuple[Ratings, Int64[np.ndarray, " users"]]:
        """Ratings in which the users are, and where in them.

        Raises:
            UnknownIdError: users or items that the model doesn't know; a history for a model that doesn't
                fold in.
            DataError: a history that is none, or has ratings off the scale of the training.
        """
        if all(map(is_id, who)):
            return self.known, self.positions(who)
        self._check_folds_in()
        known = iter(self._known_rows([user for user in who if is_id(user)]))
        rows = [next(known) if is_id(user) else self._row(user) for user in who]
        return self._gathered(rows), np.arange(len(who))

    def _check_folds_in(self) -> None:
        model, kind = self.trained.model, self.trained.config.model.kind
        if model.folds_in:
            return
        by_item = model.axis == "item"
        why = 'is item-based (axis = "item")' if by_item else "has factors of its own for every user"
        raise UnknownIdError(
            f"this {kind} model {why}: it knows the users of its training ratings only, by their raw ids; "
            "for people given by their ratings train a user-based autoencoder"
        )

    def _known_rows(self, ids: Sequence[Any]) -> list[_Row]:
        if not ids:
            return []
        positions = self.positions(ids)
        indptr, items, values = self.known.rows(positions)
        times = np.zeros(len(items), dtype=np.int64)
        if self.known.times is not None:
            starts = self.known.indptr[positions]
            places = np.repeat(starts - indptr[:-1], np.diff(indptr)) + np.arange(len(items))
            times = np.asarray(self.known.times)[places]
        columns = (np.split(column, indptr[1:-1]) for column in (items.astype(np.int64), values, times))
        return list(zip(*columns, strict=True))

    def _row(self, given: User) -> _Row:
        history = person_history(given)
        ratings = history.ratings
        if ratings is None:
            if len(history) and self.trained.kind == "ratings":
                raise DataError(
                    f"a history of items without ratings was given ({history.items[0]!r}, …), and this model "
                    "predicts ratings; give a rating for each, such as {'item': 4.5}"
                )
            ratings = (1.0,) * len(history)
        # How often somebody took something has no scale.
        scale = self.trained.scale if self.trained.kind == "ratings" else (0.0, float("inf"))
        rated = dict(zip(history.items, ratings, strict=True))
        items, values = checked_history(rated, self.catalogue, scale)
        # All at once: who gives a history says nothing of its order.
        return items, values, np.zeros(len(items), dtype=np.int64)

    def _gathered(self, rows: Sequence[_Row]) -> Ratings:
        items, values, times = (
            np.concatenate([np.empty(0, dtype=dtype), *(row[at] for row in rows)])
            for at, dtype in enumerate((np.int64, np.float32, np.int64))
        )
        return Ratings.from_arrays(
            np.repeat(np.arange(len(rows)), np.array([len(row[0]) for row in rows], dtype=np.int64)),
            items,
            values,
            # Known users keep theirs, for they count in what somebody takes up next.
            times=times if times.any() else None,
            user_ids=Ids(str(at) for at in range(len(rows))),
            item_ids=self.catalogue.ids,
        )
