"""Explanations from both parts of a model."""

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from refeed.errors import ModelError
from refeed.inference.catalogue import Catalogue
from refeed.inference.explanation import Explanation, Part, Taken
from refeed.inference.listing import listing_of
from refeed.models.explaining import Explaining
from refeed.ratings.store import Ratings
from refeed.trained_model import TrainedModel

__all__ = ["explanation_of"]


def explanation_of(
    trained: TrainedModel, catalogue: Catalogue, histories: Ratings, user: int, item: int
) -> Explanation:
    """Why a prediction is what it is, and why an item is in a list (see `Recommender.explain`).

    Args:
        trained: the model.
        catalogue: its items.
        histories: what is known of the user.
        user: position in `histories`.
        item: position of the item.

    Raises:
        ModelError: no part of the model is a sum.
    """
    explanation = _of_rating(trained, catalogue, histories, user, item)
    if trained.lists is None:
        return explanation
    everybody, adds = trained.lists.interactions.explain(histories, user, item)
    taken = Taken.of(everybody, _parts(catalogue, histories, user, adds))
    liked = listing_of(trained).details(histories, np.array([user]), np.array([item])).liked[0]
    return replace(explanation, taken=taken, p_liked=None if math.isnan(liked) else float(liked))


def _of_rating(
    trained: TrainedModel, catalogue: Catalogue, histories: Ratings, user: int, item: int
) -> Explanation:
    model = trained.model
    raw, title = catalogue.ids[item], catalogue.title(item)
    if trained.kind == "ratings" and isinstance(model, Explaining):
        level, adds = model.explain(histories, user, item)
        return Explanation.of(raw, title, level, _parts(catalogue, histories, user, adds))
    if trained.lists is not None:
        return Explanation(raw, title, math.nan, math.nan, ())
    beside = " that is blended with a network" if trained.config.network else ""
    raise ModelError(
        f"a prediction of a model of kind {trained.config.model.kind}{beside} is no sum of parts; train one "
        "of kind ridge alone (the default recipe) for explanations"
    )


def _parts(
    catalogue: Catalogue, histories: Ratings, user: int, adds: Float64[np.ndarray, " ratings"]
) -> list[Part]:
    _, items, values = histories.rows(np.array([user]))
    return [
        Part(catalogue.ids[at], catalogue.title(at), float(value), float(added))
        for at, value, added in zip(items.tolist(), _list(values), adds, strict=True)
    ]


def _list(values: NDArray[np.float32]) -> list[float]:
    found: list[float] = values.tolist()
    return found
