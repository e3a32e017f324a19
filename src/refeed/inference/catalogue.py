"""The items of a model, found by raw id or by title."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refeed.errors import UnknownIdError
from refeed.ratings.ids import Ids
from refeed.spelling import close_matches

__all__ = ["Catalogue"]

_LISTED = 20
_SUGGESTED = 5  # looking for close matches among very many items takes a while each


@dataclass(frozen=True)
class Catalogue:
    """Raw ids and titles of items, by position.

    Args:
        ids: raw ids.
        titles: titles ("" where unknown), or None.
    """

    ids: Ids
    titles: tuple[str, ...] | None = None

    def title(self, position: int) -> str | None:
        """The title of the item at a position, None where unknown."""
        return (self.titles[position] or None) if self.titles else None

    def positions(self, names: Iterable[Any]) -> NDArray[np.int64]:
        """The positions of items given by raw id or, failing that, by their whole title in any case.

        Whole numbers are raw ids.

        Raises:
            UnknownIdError: names that are neither, or titles of several items; all of them at once.
        """
        names = list(names)
        positions = self.known_positions(names)
        unknown = list(dict.fromkeys(names[i] for i in np.flatnonzero(positions < 0)))
        if unknown:
            raise UnknownIdError(self._complaint(unknown))
        return positions

    def known_positions(self, names: Iterable[Any]) -> NDArray[np.int64]:
        """As `positions`, with −1 where `positions` would raise."""
        names = list(names)
        positions = self.ids.positions(names)
        for at in np.flatnonzero(positions < 0):
            titled = self._titled(names[at])
            positions[at] = titled[0] if len(titled) == 1 else -1
        return positions

    def _titled(self, name: str | int) -> Sequence[int]:
        # A number is no title, though there is a film called 300.
        return self._by_title.get(name.casefold(), ()) if isinstance(name, str) else ()

    @cached_property
    def _by_title(self) -> dict[str, list[int]]:
        by_title: dict[str, list[int]] = {}
        for position, title in enumerate(self.titles or ()):
            if title:
                by_title.setdefault(title.casefold(), []).append(position)
        return by_title

    def _complaint(self, unknown: list[str | int]) -> str:
        lines = [self._line(name, suggest=at < _SUGGESTED) for at, name in enumerate(unknown[:_LISTED])]
        if len(unknown) == 1:
            return f"unknown item {lines[0]}"
        more = [f"and {len(unknown) - _LISTED} more"] if len(unknown) > _LISTED else []
        return f"{len(unknown)} unknown items:\n  " + "\n  ".join(lines + more)

    def _line(self, name: str | int, *, suggest: bool) -> str:
        titled = self._titled(name)
        if titled:
            ids = ", ".join(repr(self.ids[position]) for position in titled)
            return f"{name!r}: {len(titled)} items have this title; give one of their ids: {ids}"
        close = self._close(str(name)) if suggest else []
        return f"{name!r}" + (f"; close to it: {', '.join(close)}" if close else "")

    def _close(self, name: str) -> list[str]:
        titles = close_matches(name, self._titles_once)
        ids = close_matches(name, self.ids) if len(titles) < 3 else []
        return [*(f"{title!r} (id {self._ids_of(title)})" for title in titles), *map(repr, ids)]

    @property
    def _titles_once(self) -> list[str]:
        return [] if self.titles is None else list(dict.fromkeys(title for title in self.titles if title))

    def _ids_of(self, title: str) -> str:
        return " or ".join(repr(self.ids[position]) for position in self._titled(title))
