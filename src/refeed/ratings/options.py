"""How a table is to be read, where its looks don't say."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from refeed.errors import DataError
from refeed.ratings.columns import Kind, parse_columns

__all__ = ["Encoding", "ReadOptions"]

Encoding = Literal["utf-8", "latin-1", "cp1252", "auto"]


@dataclass(frozen=True)
class ReadOptions:
    """How a table is to be read, where its looks don't say.

    Args:
        columns: which column is which, such as "user=userId,item=2,rating=stars,timestamp=ts": names, or
            numbers
            counted from 1. Also "rating=none" (interactions), "count=plays" (interactions, so many each) and
            "timestamp=none".
        encoding: of text; "auto": each field that is no UTF-8 is read as cp1252.
        missing: ratings that mean "not rated", such as "-1"; those rows are left out and counted. Numbers are
            compared as numbers.
        wide: the tables have a row for each user and a column for each item.
        kind: what the tables hold; "auto": interactions where there is no rating, or all ratings are equal.

    Raises:
        DataError: another encoding, kind, or form of `columns`.
    """

    columns: str | None = None
    encoding: Encoding = "utf-8"
    missing: tuple[str, ...] = ()
    wide: bool = False
    kind: Kind = "auto"

    def __post_init__(self) -> None:
        """Check what is given."""
        if self.encoding not in get_args(Encoding):
            raise DataError(
                f"the encoding {self.encoding!r} is not known; give one of {', '.join(get_args(Encoding))}"
            )
        if self.kind not in get_args(Kind):
            raise DataError(f"the kind {self.kind!r} is not known; give auto, ratings or interactions")
        parse_columns(self.columns)

    @property
    def mapping(self) -> Mapping[str, str | int]:
        """What `columns` says: field → name or number from 1."""
        return parse_columns(self.columns)
