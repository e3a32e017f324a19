"""What is predicted of users and items that the training ratings don't know.

| user | item | prediction |
|---|---|---|
| unknown | known | as for somebody of whom nothing is known; the item's damped mean, from a model that knows the users of its training alone |
| known | unknown | the user's level: μ + Σ_j (r_j − mean_j) / (n + 5) over the user's n ratings, mean_j being the item's mean |
| unknown | unknown | μ, the mean of all training ratings |
"""  # noqa: E501 - a table

from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64

from refeed.errors import ConfigError
from refeed.models.interface import Model, predict_pairs
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

__all__ = ["Cold", "check_cold", "predict_any"]

Cold = Literal["error", "empty", "fallback"]
"""What to do with a pair whose user or item is unknown: refuse it, leave it without a prediction, or predict
it by what is known."""

_DAMPING = 5.0  # ratings


def predict_any(
    model: Model,
    histories: Ratings,
    users: Int64[np.ndarray, " pairs"],
    items: Int64[np.ndarray, " pairs"],
    times: Int64[np.ndarray, " pairs"] | None = None,
) -> Float64[np.ndarray, " pairs"]:
    """The predicted rating of each pair, known or not.

    Args:
        model: predicts the pairs that it knows.
        histories: as `Model` wants them.
        users: positions in `histories`; −1: unknown.
        items: positions in the model's items; −1: unknown.
        times: Unix seconds of each pair, or None.
    """
    predicted = np.full(len(users), histories.mean if len(histories) else 0.0)
    known = (users >= 0) & (items >= 0)
    if known.any():
        at = None if times is None else times[known]
        predicted[known] = predict_pairs(model, histories, users[known], items[known], at)
    new_user, new_item = (users < 0) & (items >= 0), (users >= 0) & (items < 0)
    if new_user.any():
        predicted[new_user] = _of_nobody(model, histories, items[new_user])
    if new_item.any():
        each, owners = np.unique(users[new_item], return_inverse=True)
        predicted[new_item] = _levels(histories, each)[owners]
    return predicted


def _of_nobody(
    model: Model, histories: Ratings, items: Int64[np.ndarray, " pairs"]
) -> Float64[np.ndarray, " pairs"]:
    """The predictions for somebody of whom nothing is known."""
    if model.folds_in:
        nothing = Ratings(
            indptr=np.zeros(2, dtype=np.int64),
            items=np.empty(0, dtype=np.int32),
            values=np.empty(0, dtype=np.float32),
            times=None,
            user_ids=Ids(["nobody"]),
            item_ids=histories.item_ids,
        )
        return model.predict(nothing, np.zeros(len(items), dtype=np.int64), items)
    counts, means = histories.item_counts[items], np.nan_to_num(histories.item_means[items])
    damped: Float64[np.ndarray, " pairs"] = (counts * means + _DAMPING * histories.mean) / (counts + _DAMPING)
    return damped


def _levels(histories: Ratings, users: Int64[np.ndarray, " users"]) -> Float64[np.ndarray, " users"]:
    """What each user gives an ordinary item."""
    indptr, items, values = histories.rows(users)
    above = np.concatenate([[0.0], np.cumsum(values - histories.item_means[items])])
    sums = above[indptr[1:]] - above[indptr[:-1]]
    levels: Float64[np.ndarray, " users"] = histories.mean + sums / (np.diff(indptr) + _DAMPING)
    return levels


def check_cold(cold: str) -> None:
    """Refuse another word.

    Raises:
        ConfigError: it is none of error, empty and fallback.
    """
    if cold not in ("error", "empty", "fallback"):
        raise ConfigError(f"cold = {cold!r}: give error, empty or fallback")
