"""How far items have moved by the end of the training ratings, carried forward to those of the future.

An item's level is not what it was: films age, and the first to see them are not those who follow. The errors
e_j of its ratings, each predicted from its user's others, say by how much; the later ones say more (they are
smoothed exponentially, which is the best there is for a level that walks at random; Muth 1960), and few say
little:

    d_i = Σ_j w_j e_j / ( Σ_j w_j + 20 ),    w_j = exp( −age_j / days ),

with sums over the item's ratings j, the last of all training ratings being of age 0.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64, Int64

from refeed.config import RidgeConfig
from refeed.evaluation.significance import paired
from refeed.models.ridge.held_out import held_out_errors
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings

__all__ = ["carry_forward"]

_DAYS = (30.0, 90.0, 365.0)  # tried
_DAMPING = 20.0  # ratings
_SECONDS = 86_400.0  # a day


def carry_forward(
    model: RidgeAutoencoder, train: Ratings, held_out: Aligned | None, config: RidgeConfig, *, seed: int = 0
) -> str | None:
    """Set d of a trained model.

    With drift = "auto" it is set only if the validation RMSE falls beyond chance: if the 95 % interval of the
    difference (`evaluation/significance.py`) leaves out 0. What is chosen then is what makes it fall most.

    Args:
        model: trained.
        train: the training ratings.
        held_out: the validation ratings.
        config: says over how many days.
        seed: of the draws of users that say what is chance.

    Returns:
        What was chosen, for people; None where there was no choice.
    """
    model.drift.zero_()
    times = train.times
    if times is None or config.drift == 0:
        return None
    if config.drift != "auto":
        _set(model, _drifts(model, train, times, (config.drift,))[0])
        return None
    if held_out is None:
        return None
    still = model.predict(train, held_out.users, held_out.items)
    drifts = _drifts(model, train, times, _DAYS)
    before = held_out_errors(still, train, held_out)
    moved = [held_out_errors(still + drift[held_out.items], train, held_out) for drift in drifts]
    differences = [rmse for rmse, _ in paired(moved, [before] * len(drifts), seed=seed)]
    best = int(np.argmin([difference.value for difference in differences]))
    gained = differences[best]
    sure = gained.high is not None and gained.high < 0
    if sure:
        _set(model, drifts[best])
    return (
        f"drift of items over {_DAYS[best]:g} days carried forward: validation RMSE {gained.value:+.4f}, "
        + ("kept" if sure else "which may be chance: left out")
    )


def _drifts(
    model: RidgeAutoencoder, train: Ratings, times: Int64[np.ndarray, " ratings"], over: Sequence[float]
) -> list[Float64[np.ndarray, " items"]]:
    """How far each item has moved, in units of ratings, with weights over so many days."""
    latest = times.max()
    sums, counts = np.zeros((len(over), train.n_items)), np.full((len(over), train.n_items), _DAMPING)
    for some in model.leave_one_out(train):
        items, age = train.items[some.at], latest - times[some.at]
        for row, days in enumerate(over):
            weights = np.exp(-age / (_SECONDS * days))
            sums[row] += np.bincount(items, weights=weights * some.errors, minlength=train.n_items)
            counts[row] += np.bincount(items, weights=weights, minlength=train.n_items)
    return list(sums / counts)


def _set(model: RidgeAutoencoder, drift: Float64[np.ndarray, " items"]) -> None:
    model.drift.copy_(torch.from_numpy(drift / float(model.deviation)))
