"""The raw ids of users or items, and their positions."""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.spelling import close_matches

__all__ = ["Ids"]


class Ids(Sequence[str]):
    """An ordered set of raw ids: strings, verbatim (`0104257` is not `104257`).

    Args:
        values: the ids in the order of their positions, each once.

    Raises:
        DataError: an id occurs twice.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._values = tuple(values)

    @cached_property
    def _positions(self) -> dict[str, int]:
        positions = {value: position for position, value in enumerate(self._values)}
        if len(positions) != len(self._values):
            raise DataError("an id occurs twice in a table of ids; each must be there once")
        return positions

    def __len__(self) -> int:
        return len(self._values)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[str, ...]: ...
    def __getitem__(self, index: int | slice) -> str | tuple[str, ...]:
        return self._values[index]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __contains__(self, value: object) -> bool:
        return value in self._positions

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ids) and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._values)

    def position(self, value: str) -> int | None:
        """The position of one id, or None."""
        return self._positions.get(value)

    def positions(self, values: Iterable[str]) -> NDArray[np.int64]:
        """The positions of many ids, [ids]; −1 where an id is unknown."""
        get = self._positions.get
        return np.fromiter((get(value, -1) for value in values), dtype=np.int64)

    def close_matches(self, value: str, count: int = 3) -> list[str]:
        """Known ids that are spelled like `value`, best first."""
        return close_matches(value, self._values, count)

    def as_array(self) -> NDArray[np.object_]:
        """The ids as an array of Python strings, in their order."""
        array = np.empty(len(self._values), dtype=np.object_)
        array[:] = self._values
        return array
