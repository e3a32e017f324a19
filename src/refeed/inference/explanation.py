"""Why a prediction is what it is: the item's level, and what each of the person's ratings adds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Explanation", "Part"]


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
class Explanation:
    """A prediction as a sum: `prediction` = `level` + Σ `adds` over `parts`, up to rounding.

    Args:
        item: raw id of what is predicted.
        title: None where unknown.
        prediction: the predicted rating, not clipped.
        level: what somebody of whom nothing is known would be predicted to give.
        parts: one for each of the person's ratings, the weightiest first.
    """

    item: str
    title: str | None
    prediction: float
    level: float
    parts: tuple[Part, ...]

    def table(self, k: int) -> str:
        """The same for people: the k weightiest parts, and the others in one line."""
        shown, rest = self.parts[:k], self.parts[k:]
        lines = [f"{self.level:8.3f}  level of {self.title or self.item}"]
        lines += [f"{part.adds:+8.3f}  {part.rating:g} for {part.title or part.item}" for part in shown]
        if rest:
            lines.append(f"{sum(part.adds for part in rest):+8.3f}  {len(rest):,} more ratings")
        return "\n".join([*lines, f"{self.prediction:8.3f}  prediction"])

    @classmethod
    def of(cls, item: str, title: str | None, level: float, parts: Sequence[Part]) -> "Explanation":
        """Add the parts up, and put the weightiest first."""
        total = level + float(np.sum([part.adds for part in parts]))
        ordered = sorted(parts, key=lambda part: -abs(part.adds))
        return cls(item, title, total, level, tuple(ordered))
