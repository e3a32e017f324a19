"""What a split did, in numbers and in words."""

from dataclasses import dataclass

from refeed.ratings.dates import span_of
from refeed.ratings.store import Ratings

__all__ = ["Part", "SplitReport", "part_of"]


@dataclass(frozen=True)
class Part:
    """What one part of a split holds.

    Args:
        ratings: how many.
        users: users with a rating in it.
        items: items with a rating in it.
        span: first and last time, Unix seconds; None without times or ratings.
    """

    ratings: int
    users: int
    items: int
    span: tuple[int, int] | None

    def __str__(self) -> str:
        """The part on one line."""
        span = "" if self.span is None else f"   {span_of(self.span)}"
        return f"{self.ratings:>11,} ratings {self.users:>9,} users {self.items:>9,} items{span}"


@dataclass(frozen=True)
class SplitReport:
    """What a split did; `str()` of it is for people.

    Args:
        how: the split, in words.
        train: what training got.
        valid: what validation got.
        test: what the test got.
        tested_users: users with a rating in validation or test.
        cold_ratings: held-out ratings removed because their user or item is not in train.
        cold_users: users with held-out ratings who are not in train.
        cold_items: items with held-out ratings that are not in train.
        left_out: ratings before the training window or after the test interval.
        valid_given: of users held out whole, what the model may fold in; None in other splits.
        test_given: likewise, of the users of the test.
        notes: what to know before trusting numbers on this split, a sentence each.
    """

    how: str
    train: Part
    valid: Part
    test: Part
    tested_users: int
    cold_ratings: int
    cold_users: int
    cold_items: int
    left_out: int
    notes: tuple[str, ...]
    valid_given: Part | None = None
    test_given: Part | None = None

    def __str__(self) -> str:
        """The report as lines of text."""
        what = "are not in train" if self.test_given is None else "are too little known or not in train"
        removed = (
            f"  removed {self.cold_ratings:,} held-out ratings: {self.cold_users:,} users and "
            f"{self.cold_items:,} items {what}"
        )
        lines = [
            f"split {self.how}",
            f"  train {self.train}",
            f"  valid {self.valid}",
            f"  test  {self.test}",
            *(
                f"  {name} given {part}"
                for name, part in (("valid", self.valid_given), ("test", self.test_given))
                if part is not None
            ),
            removed,
        ]
        if self.left_out:
            lines.append(f"  left out {self.left_out:,} ratings outside these dates")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


def part_of(ratings: Ratings) -> Part:
    """Count what compacted ratings hold."""
    times = ratings.times
    span = None if times is None or not len(times) else (int(times.min()), int(times.max()))
    return Part(len(ratings), ratings.n_users, ratings.n_items, span)
