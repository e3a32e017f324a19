"""The lines of lists."""

from dataclasses import dataclass

__all__ = ["Recommendation", "SimilarItem"]


@dataclass(frozen=True)
class Recommendation:
    """One line of a list.

    Args:
        item: raw id.
        title: None where unknown.
        rating: the predicted rating, within the scale of the training ratings; None without ratings.
        score: what the list is ranked by.
        support: training ratings (or interactions) of the item.
        p_liked: the probability that the person likes it; None where the model doesn't say.
        low: the lower end of an interval that holds 80 % of such ratings; None where the model doesn't know
            how sure it is.
        high: its upper end.
    """

    item: str
    title: str | None
    rating: float | None
    score: float
    support: int
    p_liked: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class SimilarItem:
    """One item like another.

    Args:
        item: raw id.
        title: None where unknown.
        similarity: cosine of the two items' vectors in the model, −1 to 1.
        score: what the list is ranked by: the similarity, shrunk by support.
        support: training ratings of the item.
    """

    item: str
    title: str | None
    similarity: float
    score: float
    support: int
