"""What people hand to a model, checked: ratings by hand, and users and items that are read as pairs."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.inference.catalogue import Catalogue
from refeed.ratings.ids import Ids

__all__ = ["checked_history", "paired", "unknown_users"]


def checked_history(
    ratings: Mapping[str, float | int], catalogue: Catalogue, scale: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """A person's ratings as positions of items and numbers, [ratings] each, in the order given.

    Args:
        ratings: raw id or title → rating.
        catalogue: the items.
        scale: the lowest and the highest rating.

    Raises:
        UnknownIdError: items that don't exist.
        DataError: a rating that is no finite number or is off the scale, or two for the same item.
    """
    items = catalogue.positions(ratings)
    by_item: dict[int, str] = {}
    for item, name in zip(items.tolist(), ratings, strict=True):
        if item in by_item:
            raise DataError(f"{by_item[item]!r} and {name!r} are the same item; rate it once")
        by_item[item] = name
    values = [_checked(name, rating, *scale) for name, rating in ratings.items()]
    return items, np.array(values, dtype=np.float32)


def paired(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    *,
    one: bool,
    single: bool = False,
) -> NDArray[np.int64]:
    """A user for each item, [items]: the only one for all, or as many as there are items.

    Args:
        users: positions, [users].
        items: positions, [items].
        one: one user was given, not a sequence.
        single: one item was given, not a sequence.

    Raises:
        DataError: sequences of different lengths, or one item for a sequence of users.
    """
    if one:
        return np.repeat(users, len(items))
    if single or len(users) != len(items):
        raise DataError(
            f"{len(users)} users and {len(items)} items: a sequence of users needs as many items, "
            "for it is read as pairs"
        )
    return users


def unknown_users(unknown: list[str], known: Ids) -> str:
    """What to say of ids that aren't among the known users'."""
    named = ", ".join(map(repr, unknown[:20])) + (", …" if len(unknown) > 20 else "")
    close = known.close_matches(unknown[0])
    hint = f"close to {unknown[0]!r}: {', '.join(map(repr, close))}; " if close else ""
    return (
        f"unknown user{'s' if len(unknown) > 1 else ''} {named}: not among the {len(known)} users of the "
        f"training ratings; {hint}for somebody new give their ratings"
    )


def _checked(name: str, rating: object, low: float, high: float) -> np.float32:
    try:
        value = float(rating)  # type: ignore[arg-type]  # whatever it is
    except (TypeError, ValueError):
        value = float("nan")
    with np.errstate(over="ignore"):
        # The scale is that of float32 ratings, so 0.1 must be rounded as they were before it is compared.
        single = np.float32(value)
    if not np.isfinite(value):
        raise DataError(f"the rating {rating!r} for {name!r} is no finite number")
    if not low <= single <= high:
        raise DataError(
            f"the rating {value:g} for {name!r} is off the scale of the training ratings, {low:g} to {high:g}"
        )
    return single
