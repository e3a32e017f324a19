"""Lists of recommendations, of one person or of many, and their ways out: rows, frames, files."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from os import PathLike
from typing import Any, overload

from refeed.inference.lines import Recommendation
from refeed.table import Table

__all__ = ["RecommendationList", "RecommendationLists"]

_COLUMNS = tuple(field.name for field in fields(Recommendation) if field.name != "because")


class _Exported:
    """What a list can become; `table` says how."""

    def table(self) -> Table:
        """The columns of the lists, a row a recommendation."""
        raise TypeError("only lists have a table")

    def to_pandas(self) -> Any:
        """A pandas DataFrame (needs pandas)."""
        return self.table().to_pandas()

    def to_polars(self) -> Any:
        """A polars DataFrame (needs polars)."""
        return self.table().to_polars()

    def to_arrow(self) -> Any:
        """A pyarrow Table (needs pyarrow)."""
        return self.table().to_arrow()

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict a row."""
        return self.table().to_dicts()

    def save(self, path: str | PathLike[str]) -> None:
        """Write a file, atomically: .csv, .tsv or .parquet.

        Raises:
            DataError: another suffix, or a folder.
        """
        self.table().save(path)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """Arrow's stream of the columns: polars, pyarrow, DuckDB and others read lists as they are."""
        return self.table().__arrow_c_stream__(requested_schema)


class RecommendationList(_Exported, Sequence[Recommendation]):
    """The best items for one person, best first.

    Args:
        lines: an item each.
    """

    def __init__(self, lines: Sequence[Recommendation]) -> None:
        self._lines = tuple(lines)

    def __len__(self) -> int:
        return len(self._lines)

    @overload
    def __getitem__(self, index: int) -> Recommendation: ...
    @overload
    def __getitem__(self, index: slice) -> "RecommendationList": ...
    def __getitem__(self, index: int | slice) -> "Recommendation | RecommendationList":
        return RecommendationList(self._lines[index]) if isinstance(index, slice) else self._lines[index]

    def __iter__(self) -> Iterator[Recommendation]:
        return iter(self._lines)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._lines == tuple(other)

    def __hash__(self) -> int:
        return hash(self._lines)

    def __repr__(self) -> str:
        return repr(self.table())

    def table(self) -> Table:
        """Columns as the fields of a `Recommendation`, after rank, which counts from 1."""
        return _table([self], None)


class RecommendationLists(_Exported, Sequence[RecommendationList]):
    """The lists of several people, in the order in which they were asked for.

    Args:
        users: their raw ids; for somebody given by a history the place in the question, from 0.
        lists: one each.
    """

    def __init__(self, users: Sequence[str], lists: Sequence[RecommendationList]) -> None:
        self.users, self._lists = tuple(users), tuple(lists)

    def __len__(self) -> int:
        return len(self._lists)

    @overload
    def __getitem__(self, index: int) -> RecommendationList: ...
    @overload
    def __getitem__(self, index: slice) -> "RecommendationLists": ...
    def __getitem__(self, index: int | slice) -> "RecommendationList | RecommendationLists":
        if isinstance(index, slice):
            return RecommendationLists(self.users[index], self._lists[index])
        return self._lists[index]

    def __iter__(self) -> Iterator[RecommendationList]:
        return iter(self._lists)

    def __repr__(self) -> str:
        return repr(self.table())

    def table(self) -> Table:
        """Columns as those of one list, after the user."""
        return _table(self._lists, self.users)


def _table(lists: Sequence[RecommendationList], users: Sequence[str] | None) -> Table:
    columns: dict[str, list[Any]] = {}
    if users is not None:
        columns["user"] = [user for user, lines in zip(users, lists, strict=True) for _ in lines]
    columns["rank"] = [rank for lines in lists for rank in range(1, len(lines) + 1)]
    columns |= {name: [getattr(line, name) for lines in lists for line in lines] for name in _COLUMNS}
    return Table(columns)
