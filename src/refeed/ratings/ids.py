"""The raw ids of users or items, and their positions."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.spelling import close_matches

__all__ = ["Ids", "id_text"]

_EXACT = 1 << 53
"""Whole numbers below this are exact in float64."""
_SHOWN = 3


def id_text(value: object) -> str:
    """A raw id as text: text verbatim, whole numbers in decimals (1, numpy's 1 and 1.0 are all "1").

    Raises:
        DataError: it is neither: a fraction, a truth value, None, a list, ….
    """
    if type(value) is str:
        return value
    if isinstance(value, str):  # numpy's strings
        return str(value)
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float | np.floating) and float(value).is_integer() and abs(float(value)) < _EXACT:
        return str(int(value))
    if isinstance(value, bytes):
        return _decoded(value)
    raise DataError(f"{value!r} is no id; ids are text or whole numbers, such as 'u15' or 15")


def _decoded(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError as error:
        raise DataError(f"the id {value!r} is not UTF-8; decode it to text first") from error


class Ids(Sequence[str]):
    """An ordered set of raw ids: strings, verbatim (`0104257` is not `104257`).

    Whole numbers stand for their decimals, here and wherever an id is looked up.

    Args:
        values: the ids in the order of their positions, each once.

    Raises:
        DataError: an id occurs twice, or is neither text nor a whole number.
    """

    def __init__(self, values: Iterable[object]) -> None:
        self._values = tuple(id_text(value) for value in values)
        self._positions  # noqa: B018 - so that an id that is there twice is found now

    @classmethod
    def trusted(cls, values: Iterable[str]) -> "Ids":
        """Ids that have been checked before, strings and each once: a million are not checked again."""
        ids = cls.__new__(cls)
        ids._values = tuple(values)  # noqa: SLF001 - its own
        return ids

    @classmethod
    def of(cls, given: object) -> "Ids":
        """Ids as people give them: a sequence, which is checked, or `Ids` themselves, which have been.

        Raises:
            DataError: it is no sequence, or as for `Ids`.
        """
        if isinstance(given, Ids):
            return given
        if isinstance(given, str | bytes) or not isinstance(given, Iterable):
            raise DataError(f"{given!r} is no sequence of ids; give a list such as ['u15', 'u16']")
        return cls(given)

    @cached_property
    def _positions(self) -> dict[str, int]:
        positions = {value: position for position, value in enumerate(self._values)}
        if len(positions) != len(self._values):
            twice = [value for value, count in Counter(self._values).items() if count > 1]
            shown = ", ".join(map(repr, twice[:_SHOWN])) + (", …" if len(twice) > _SHOWN else "")
            raise DataError(f"an id occurs twice in a table of ids ({shown}); each must be there once")
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
        try:
            return id_text(value) in self._positions
        except DataError:
            return False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ids) and self._values == other._values

    def __hash__(self) -> int:
        return hash(self._values)

    def __repr__(self) -> str:
        shown = ", ".join(map(_shortened, self._values[:_SHOWN]))
        return f"Ids({len(self):,}: {shown}{', …' if len(self) > _SHOWN else ''})"

    def position(self, value: object) -> int | None:
        """The position of one id (text, or a whole number), or None."""
        return self._positions.get(id_text(value))

    def positions(self, values: Iterable[Any]) -> NDArray[np.int64]:
        """The positions of many ids (text, or whole numbers); −1 where an id is unknown.

        Raises:
            DataError: one is neither text nor a whole number.
        """
        get = self._positions.get
        return np.fromiter(
            (get(value if type(value) is str else id_text(value), -1) for value in values), dtype=np.int64
        )

    def close_matches(self, value: str, count: int = 3) -> list[str]:
        """Known ids that are spelled like `value`, best first."""
        return close_matches(value, self._values, count)

    def as_array(self) -> NDArray[np.object_]:
        """The ids as an array of Python strings, in their order."""
        array = np.empty(len(self._values), dtype=np.object_)
        array[:] = self._values
        return array


def _shortened(value: str) -> str:
    return repr(value if len(value) <= 40 else f"{value[:39]}…")
