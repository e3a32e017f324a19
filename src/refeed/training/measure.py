"""Errors during training: pooled over the ratings, without clipping, over all processes."""

import math

import numpy as np
import torch

from refeed.models.interface import Model, predict_pairs
from refeed.ratings.pairs import Aligned
from refeed.ratings.store import Ratings
from refeed.runtime import Runtime

__all__ = ["train_rmse", "valid_rmse"]

_USERS_AT_ONCE = 4096


def valid_rmse(model: Model, train: Ratings, pairs: Aligned | None, runtime: Runtime) -> float | None:
    """The RMSE on held-out ratings, as the paper evaluates; None without any."""
    if pairs is None:
        return None
    mine = runtime.share(len(pairs))
    times = None if pairs.times is None else pairs.times[mine]
    predicted = predict_pairs(model, train, pairs.users[mine], pairs.items[mine], times)
    error = torch.tensor(float(np.square(predicted - pairs.values[mine]).sum()), dtype=torch.float64)
    return math.sqrt(float(runtime.sum_tensor(error.to(runtime.device))) / len(pairs))


def train_rmse(model: Model, train: Ratings) -> float:
    """The RMSE on the ratings that a model was fitted to, some users at a time."""
    error = 0.0
    for first in range(0, train.n_users, _USERS_AT_ONCE):
        users = np.arange(first, min(first + _USERS_AT_ONCE, train.n_users))
        some = slice(train.indptr[users[0]], train.indptr[users[-1] + 1])
        items, values = train.items[some].astype(np.int64), train.values[some]
        times = None if train.times is None else train.times[some]
        predicted = predict_pairs(model, train, np.repeat(users, train.user_counts[users]), items, times)
        error += float(np.square(predicted - values).sum())
    return math.sqrt(error / len(train))
