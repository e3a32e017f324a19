"""Passes over ratings, of which the best on validation is kept."""

import math
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import TypeVar

import numpy as np
from jaxtyping import Float64

from refeed.errors import TrainingDivergedError
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings

__all__ = ["best_epoch"]

State = TypeVar("State")


def best_epoch(
    epochs: Iterator[State],
    predict: Callable[[State, Aligned], Float64[np.ndarray, " pairs"]],
    train: Ratings,
    valid: Ratings | None,
) -> State:
    """The state after the epoch with the lowest validation RMSE; without validation, after the last.

    Args:
        epochs: gives the state after every epoch, perhaps the same object, changed; at least one.
        predict: the predictions of a state for validation pairs, in training's positions.
        train: the training ratings.
        valid: held-out ratings, or None.

    Raises:
        TrainingDivergedError: a validation error is NaN or infinite.
    """
    pairs = None if valid is None else align_to(valid, train)
    best, lowest, state = None, math.inf, None
    for number, state in enumerate(epochs, start=1):
        if pairs is None:
            continue
        error = float(np.mean(np.square(predict(state, pairs) - pairs.values)))
        if not math.isfinite(error):
            raise TrainingDivergedError(
                f"the validation error became {error:g} in epoch {number}; try a smaller learning rate"
            )
        if error < lowest:
            best, lowest = deepcopy(state), error
    kept = state if best is None else best
    if kept is None:
        raise ValueError("there was no epoch")
    return kept
