"""One person's ratings or interactions, in whatever form they are given."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard

import numpy as np

from refeed.errors import DataError
from refeed.ratings.frames import read_pairs
from refeed.ratings.ids import id_text
from refeed.ratings.in_memory import open_frame

__all__ = ["History", "person_history"]

_EXPECTED = (
    "give a mapping from items to ratings, (item, rating) pairs, a list of items, a pandas Series whose "
    "index is the items, or a frame with the columns item and rating"
)


@dataclass(frozen=True)
class History:
    """What is known of one person.

    Args:
        items: raw ids or titles as text, each once, in the order given.
        ratings: of each; None if these are interactions, without ratings.
    """

    items: tuple[str, ...]
    ratings: tuple[float, ...] | None

    def __len__(self) -> int:
        """The number of items."""
        return len(self.items)


def person_history(given: object) -> History:
    """One person's history.

    Args:
        given: a mapping from items (raw ids or titles) to ratings; a sequence of (item, rating) pairs, or of
            items alone, which are interactions; a pandas Series, whose index is the items; a table in memory
            with the columns item and rating, or item alone. Nothing at all is somebody of whom nothing is
            known.

    Raises:
        DataError: it is none of these, an item is there twice, or a rating is no finite number.
    """
    if isinstance(given, Mapping) or _is_series(given):
        return _rated(given.items())
    if hasattr(given, "to_list") and not hasattr(given, "columns"):  # a Series of polars
        return _interactions(given.to_list())
    if hasattr(given, "__arrow_c_stream__") or hasattr(given, "iloc") or _is_matrix(given):
        return _from_frame(given)
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise DataError(f"{given!r} is no history; {_EXPECTED}")
    return _from_rows(list(given))


def _from_rows(rows: list[Any]) -> History:
    if all(_is_pair(row) for row in rows):
        return _rated((row[0], row[1]) for row in rows) if rows else History((), ())
    if rows and all(isinstance(row, Mapping) for row in rows):
        return _from_frame(rows)
    return _interactions(rows)


def _is_series(given: object) -> TypeGuard[Mapping[Any, Any]]:
    """Whether it is a Series of pandas, whose index holds the items."""
    return getattr(given, "ndim", None) == 1 and hasattr(given, "items") and hasattr(given, "index")


def _is_matrix(given: object) -> bool:
    return isinstance(given, np.ndarray) and (given.ndim == 2 or given.dtype.names is not None)


def _is_pair(row: Any) -> bool:
    if isinstance(row, str | bytes) or not isinstance(row, Sequence | np.ndarray | np.void):
        return False
    return len(row) == 2  # type: ignore[arg-type]  # numpy's rows have a length


def _from_frame(given: object) -> History:
    frame = open_frame(given)
    if frame.width == 1:
        only = frame.names[0] if frame.names else 0
        return _interactions(read_pairs(frame, item=only, fields=("item",)).items)
    pairs = read_pairs(frame, fields=("item", "rating"))
    return _rated(zip(pairs.items, pairs.ratings if pairs.ratings is not None else (), strict=True))


def _interactions(items: Iterable[object]) -> History:
    return History(_once(_item(item) for item in items), None)


def _rated(pairs: Iterable[tuple[Any, Any]]) -> History:
    items, ratings = [], []
    for item, rating in pairs:
        items.append(_item(item))
        ratings.append(_rating(items[-1], rating))
    return History(_once(items), tuple(ratings))


def _item(item: object) -> str:
    try:
        return id_text(item)
    except DataError as error:
        raise DataError(f"a history holds {item!r}, which is no item; {_EXPECTED}") from error


def _rating(item: str, rating: Any) -> float:
    try:
        value = math.nan if isinstance(rating, bool | np.bool_) else float(rating)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise DataError(f"the rating {rating!r} for {item!r} is no finite number")
    return value


def _once(items: Iterable[str]) -> tuple[str, ...]:
    known: dict[str, None] = {}
    for item in items:
        if item in known:
            raise DataError(f"{item!r} is there twice in a history; it must be there once")
        known[item] = None
    return tuple(known)
