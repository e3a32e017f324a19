"""Why a prediction is what it is: the item's level, and what each of the person's ratings adds."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Explanation", "Part", "Taken"]


@dataclass(frozen=True)
class Part:
    """What one rating adds to a prediction.

    Args:
        item: raw id of what was rated.
        title: None where unknown.
        rating: the person's rating of it.
        adds: what that, and having rated it at all, adds to the prediction; negative: takes off.
    """

    item: str
    title: str | None
    rating: float
    adds: float


@dataclass(frozen=True)
class Taken:
    """An interaction score as a sum: `score` = `everybody` + Σ `adds` over `parts`, up to rounding.

    Args:
        score: how likely the person is to take the item up, on the scale of a share of people.
        everybody: what everybody gets: the item's popularity.
        parts: one for each item of the person's history, the weightiest first.
    """

    score: float
    everybody: float
    parts: tuple[Part, ...]

    @classmethod
    def of(cls, everybody: float, parts: Sequence[Part]) -> "Taken":
        """Add the parts up, and put the weightiest first."""
        return cls(everybody + float(np.sum([part.adds for part in parts])), everybody, _ordered(parts))


@dataclass(frozen=True)
class Explanation:
    """A prediction as a sum: `prediction` = `level` + Σ `adds` over `parts`, up to rounding.

    Args:
        item: raw id of what is predicted.
        title: None where unknown.
        prediction: the predicted rating, not clipped.
        level: what somebody of whom nothing is known would be predicted to give.
        parts: one for each of the person's ratings, the weightiest first.
        taken: why the person may take the item up, likewise; None where the model has no such part.
        p_liked: the probability that they like it; None where the model doesn't say.

    Without ratings, or where the rating model's predictions are no sums, `prediction` and `level` are NaN and
    there are no parts.
    """

    item: str
    title: str | None
    prediction: float
    level: float
    parts: tuple[Part, ...]
    taken: Taken | None = None
    p_liked: float | None = None

    def table(self, k: int) -> str:
        """The same for people: the k weightiest parts of each sum, and the others in one line."""
        what, lines = self.title or self.item, []
        if not math.isnan(self.prediction):
            lines.append(f"{self.level:8.3f}  level of {what}")
            lines += [
                f"{part.adds:+8.3f}  {part.rating:g} for {part.title or part.item}" for part in self.parts[:k]
            ]
            lines += _rest(self.parts[k:], "ratings")
            lines.append(f"{self.prediction:8.3f}  prediction")
        if self.p_liked is not None:
            lines.append(f"{self.p_liked:8.3f}  probability of liking it")
        if self.taken is not None:
            lines += ["", f"{self.taken.everybody:8.4f}  what everybody gets of {what}"]
            lines += [f"{part.adds:+8.4f}  {part.title or part.item}" for part in self.taken.parts[:k]]
            lines += _rest(self.taken.parts[k:], "items")
            lines.append(f"{self.taken.score:8.4f}  score for taking it up")
        return "\n".join(lines).strip("\n")

    @classmethod
    def of(cls, item: str, title: str | None, level: float, parts: Sequence[Part]) -> "Explanation":
        """Add the parts up, and put the weightiest first."""
        total = level + float(np.sum([part.adds for part in parts]))
        return cls(item, title, total, level, _ordered(parts))


def _ordered(parts: Sequence[Part]) -> tuple[Part, ...]:
    return tuple(sorted(parts, key=lambda part: -abs(part.adds)))


def _rest(parts: Sequence[Part], what: str) -> list[str]:
    return [f"{sum(part.adds for part in parts):+8.3f}  {len(parts):,} more {what}"] if parts else []
