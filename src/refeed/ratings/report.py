"""What was read, in words."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from refeed.errors import printable
from refeed.ratings.store_meta import DataKind

__all__ = ["PrepareReport", "described"]


@dataclass(frozen=True)
class PrepareReport:
    """What `prepare` read and wrote; `str` of it is the report that people read.

    Args:
        out: the store.
        format: what the sources were recognised as.
        read: rows of ratings in the sources; the sum of `ratings`, `duplicates`, `bad` and `missing`.
        ratings: (user, item) pairs in the store.
        users: users in the store.
        items: items in the store.
        duplicates: rows of a user and an item that another row has, too: of ratings the latest stays,
            interactions
            are added up.
        bad: rows left out as they are no ratings.
        bad_file: where those were written; None without any.
        titled: items that have a title.
        scale: lowest and highest rating.
        span: first and last time, Unix seconds; None without times.
        missing: rows left out as they are "not rated".
        kind: what the store holds.
        notes: what else the user should know, a sentence each.
    """

    out: Path
    format: str
    read: int
    ratings: int
    users: int
    items: int
    duplicates: int
    bad: int
    bad_file: Path | None
    titled: int
    scale: tuple[float, float]
    span: tuple[int, int] | None
    missing: int
    kind: DataKind
    notes: tuple[str, ...]

    def __str__(self) -> str:
        """The report, a line for each fact."""
        shape = f"{self.users:,} users × {self.items:,} items"
        density = 100 * self.ratings / (self.users * self.items)
        lines = [
            f"{self.out}",
            f"  {self.kind:10} {self.ratings:,}, {density:.3g} % of {shape}",
            f"  read as    {self.format}: {self.read:,} rows",
            f"  {'scale' if self.kind == 'ratings' else 'values':10} {self.scale[0]:g} to {self.scale[1]:g}",
            f"  times      {_date(self.span[0])} to {_date(self.span[1])}"
            if self.span
            else "  times      none",
            f"  titles     {self.titled:,} of {self.items:,} items" if self.titled else "  titles     none",
        ]
        if self.duplicates and self.kind == "ratings":
            lines.append(
                f"  duplicates {self.duplicates:,} rows left out; the latest of each user and item stays"
            )
        elif self.duplicates:
            lines.append(
                f"  repeated   {self.duplicates:,} rows; the values of each user and item are added up"
            )
        if self.missing:
            lines.append(f"  not rated  {self.missing:,} left out")
        if self.bad:
            lines.append(f"  bad rows   {self.bad:,} left out, see {self.bad_file}")
        return printable("\n".join(lines + [f"  note       {note}" for note in self.notes]))


def described(
    name: str,
    *,
    ratings: int,
    users: int,
    items: int,
    scale: tuple[float, float] | None,
    span: tuple[int, int] | None,
    titled: int,
) -> str:
    """Ratings in at most five lines, without a single one of them.

    Args:
        name: the first words.
        ratings: how many there are.
        users: how many there are, with or without ratings.
        items: likewise.
        scale: lowest and highest value, if there is any.
        span: first and last time, Unix seconds; None without times.
        titled: items that have a title.
    """
    density = f", {100 * ratings / (users * items):.3g} %" if users and items else ""
    lines = [f"{name}: {ratings:,}{density} of {users:,} users × {items:,} items"]
    if scale:
        lines.append(f"  scale   {scale[0]:g} to {scale[1]:g}")
    lines.append(f"  times   {_date(span[0])} to {_date(span[1])}" if span else "  times   none")
    lines.append(f"  titles  {titled:,} of {items:,} items" if titled else "  titles  none")
    return "\n".join(lines)


def _date(seconds: int) -> str:
    # Not fromtimestamp: that fails for times that some tables do have.
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).date().isoformat()
    except OverflowError:
        return f"{seconds} s"
