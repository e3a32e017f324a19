"""Whether a new model is worse than the old one, on what was held back from both: the newest ratings."""

from dataclasses import dataclass
from typing import Literal

from refeed.errors import DataError
from refeed.evaluation.evaluate import evaluate
from refeed.inference.recommender import Recommender
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel

__all__ = ["Compared", "compared"]


@dataclass(frozen=True)
class Compared:
    """What came out.

    Args:
        measure: RMSE, the lower the better; of models of interactions nDCG@10, the higher the better.
        held_back: what both were measured on: ratings, or interactions.
        old: of the old model.
        new: of the new one.
    """

    measure: Literal["RMSE", "nDCG@10"]
    held_back: int
    old: float
    new: float

    @property
    def worse_by(self) -> float:
        """By how much the new one is worse; negative: it is better."""
        return self.new - self.old if self.measure == "RMSE" else self.old - self.new


def compared(
    old: TrainedModel, new: TrainedModel, histories: tuple[Ratings, Ratings], test: Ratings
) -> Compared | None:
    """Measure both.

    Args:
        old: the model that is served.
        new: the one that may take its place.
        histories: what is known of people, over the items of each.
        test: what was held back, of people and items that both know.

    Returns:
        None, if there is nothing to measure them on.
    """
    try:
        if new.kind == "interactions":
            before, after = (
                Recommender(model).evaluate_lists(test, k=[10], given=known)
                for model, known in zip((old, new), histories, strict=True)
            )
            figures = (before["ndcg@10"].value, after["ndcg@10"].value)
            return Compared("nDCG@10", len(test), *figures)
        one, two = (
            evaluate(model.model, known, test, scale=model.scale)
            for model, known in zip((old, new), histories, strict=True)
        )
    except DataError:
        return None
    return Compared("RMSE", two.ratings, one.rmse_clipped.value, two.rmse_clipped.value)
