"""How lists are ranked: by who takes an item up and likes it, by the predicted rating, or by interactions."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor

from refeed.errors import ModelError
from refeed.inference.block_ranking import block_scores
from refeed.inference.ranking import (
    COVERAGE,
    NO_PART,
    SHRINK,
    By,
    check_cautious,
    check_list,
    checked_beta,
    chosen_way,
)
from refeed.models.interface import predict_blocks
from refeed.models.intervals import Uncertain
from refeed.models.liked import probability_liked
from refeed.models.liking import Liking
from refeed.models.list_part import ListPart
from refeed.models.list_score import ListWeights, list_scores
from refeed.models.quantiles import error_deviation, interval_ends
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel

__all__ = ["By", "Details", "Listing", "listing_of", "uncertain_part"]


@dataclass(frozen=True, eq=False)
class Listing:
    """A way to rank.

    With both parts an item's score is log max(s, floor) + β log P(liked) (`models/list_score.py`), by
    interaction it is s, by rating the prediction shrunk by support (`inference/ranking.py`).

    Args:
        trained: the model.
        by: what counts.
        liking: what "liked" means; None where there are no ratings.
        weights: β and the floor.
        shrink: by rating: ratings at which half of an item's advantage counts.
        cautious: by rating: deviations of the prediction to take off before ranking.
    """

    trained: TrainedModel
    by: By
    liking: Liking | None
    weights: ListWeights
    shrink: float = SHRINK
    cautious: float = 0.0

    def score_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        """What all items are ranked by, for each of the users, `size` users at a time.

        Args:
            histories: as `Model` wants them.
            users: positions in `histories`.
            size: users a block, at least 1.
        """
        if self.by == "rating":
            yield from self._rating_blocks(histories, users, size)
            return
        part = self.part
        taken = part.interactions.score_blocks(histories, users, size)
        if self.by == "interaction" or self.liking is None:
            yield from taken
            return
        predictions = predict_blocks(self.trained.model, histories, users, size)
        for at, (scores, predicted) in enumerate(zip(taken, predictions, strict=True)):
            some = users[at * size : at * size + len(scores)]
            liked = probability_liked(self.liking, predicted.float(), self._std(histories, some))
            yield list_scores(scores, liked, self.weights)

    @property
    def part(self) -> ListPart:
        """The second part of the model."""
        if self.trained.lists is None:
            raise ModelError(NO_PART)
        return self.trained.lists

    def _rating_blocks(
        self, histories: Ratings, users: Int64[np.ndarray, " users"], size: int
    ) -> Iterator[Float32[Tensor, "block items"]]:
        for at, predictions in enumerate(predict_blocks(self.trained.model, histories, users, size)):
            if self.cautious:
                model = uncertain_part(self.trained)
                some = users[at * size : at * size + len(predictions)]
                std = torch.from_numpy(model.predictive_std_all(histories, some)).to(predictions)
                sigma = self.cautious * error_deviation(model.quantiles.cpu().numpy())
                unknown = std.square() - torch.from_numpy(model.item_noise()).to(std)
                predictions.sub_(unknown.clamp_(min=0).sqrt_(), alpha=sigma)
            yield block_scores(predictions, self.trained.items.counts, self.shrink)

    def _std(
        self, histories: Ratings, users: Int64[np.ndarray, " users"]
    ) -> Float32[Tensor, "users items"] | None:
        model = self.trained.model
        if not isinstance(model, Uncertain) or not bool(model.quantiles.any()):
            return None
        return torch.from_numpy(model.predictive_std_all(histories, users))

    def details(
        self, histories: Ratings, users: Int64[np.ndarray, " pairs"], items: Int64[np.ndarray, " pairs"]
    ) -> "Details":
        """What is shown beside the items of lists, for each (user, item) pair."""
        if self.trained.kind == "interactions":
            nothing = np.full(len(users), np.nan)
            return Details(nothing, nothing, nothing, nothing)
        model = self.trained.model
        predictions = model.predict(histories, users, items)
        sure = isinstance(model, Uncertain) and bool(model.quantiles.any())
        std = model.predictive_std(histories, users, items) if sure else None  # type: ignore[attr-defined]
        low = high = liked = np.full(len(users), np.nan)
        if std is not None:
            ends = interval_ends(model.quantiles.cpu().numpy(), COVERAGE)  # type: ignore[attr-defined]
            low, high = (np.clip(predictions + end * std, *self.trained.scale) for end in ends)
        if self.liking is not None:
            spread = None if std is None else torch.from_numpy(std)
            liked = probability_liked(self.liking, torch.from_numpy(predictions), spread).numpy()
        return Details(np.clip(predictions, *self.trained.scale), low, high, liked)


@dataclass(frozen=True)
class Details:
    """What is shown beside the items of lists; NaN where the model doesn't say.

    Args:
        ratings: predicted, within the scale of the training ratings.
        low: the lower end of an interval that holds 80 % of such ratings.
        high: its upper end.
        liked: P(liked).
    """

    ratings: Float64[np.ndarray, " pairs"]
    low: Float64[np.ndarray, " pairs"]
    high: Float64[np.ndarray, " pairs"]
    liked: Float64[np.ndarray, " pairs"]


def listing_of(
    trained: TrainedModel,
    *,
    by: Any = None,
    liked: Any = None,
    beta: Any = None,
    shrink: Any = SHRINK,
    cautious: Any = 0.0,
) -> Listing:
    """The way to rank that somebody asks for.

    Args:
        trained: the model.
        by: "both", "rating" or "interaction"; None: both where the model has both, else what it has.
        liked: the lowest rating that counts as liked; None: what the model was trained with.
        beta: the weight of log P(liked); None: likewise.
        shrink: see `Listing`.
        cautious: see `Listing`; asks for `by` = "rating".

    Raises:
        ConfigError: values out of range.
        ModelError: the model has no such part, or does not know how sure it is.
    """
    check_list(1, shrink)
    check_cautious(cautious)
    part, rated = trained.lists, trained.kind == "ratings"
    way = chosen_way(by, cautious, taken=part is not None, rated=rated)
    if part is None and way != "rating":
        raise ModelError(NO_PART)
    weights = ListWeights() if part is None else part.weights
    if beta is not None:
        weights = replace(weights, beta=checked_beta(beta))
    liking = None if part is None else part.liking_of(liked)
    if cautious:
        uncertain_part(trained)
    return Listing(trained, way, liking, weights, float(shrink), float(cautious))


def uncertain_part(trained: TrainedModel) -> Uncertain:
    """The rating model, if it knows how sure it is.

    Raises:
        ModelError: it doesn't.
    """
    model = trained.model
    if not (isinstance(model, Uncertain) and bool(model.quantiles.any())):
        raise ModelError(
            f"a model of kind {trained.config.model.kind} does not know how sure it is; train one of kind "
            "ridge (the default recipe) for intervals"
        )
    return model
