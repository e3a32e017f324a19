"""The lines of lists."""

from dataclasses import dataclass

__all__ = ["Recommendation", "SimilarItem"]


@dataclass(frozen=True)
class Recommendation:
    """One line of a list.

    Args:
        item: raw id.
        title: None where unknown.
        rating: the predicted rating, within the scale of the training ratings.
        score: what the list is ranked by: the prediction, shrunk by support.
        support: training ratings of the item.
    """

    item: str
    title: str | None
    rating: float
    score: float
    support: int


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
