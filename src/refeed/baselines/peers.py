"""Libraries of the extra `peers`, imported when they are needed, and what they find."""

import importlib
import warnings
from types import ModuleType

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from refeed.baselines.solution import Factors
from refeed.errors import ConfigError, TrainingDivergedError
from refeed.ratings.store import Ratings

__all__ = ["found_factors", "peer"]


def peer(name: str, kind: str) -> ModuleType:
    """The library `name`, or a module of one as in `library.module`, for a model of this kind.

    Raises:
        ConfigError: it can't be imported.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it imports in turn; the user can do nothing about that
            return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"a {kind} model needs the library {name.partition('.')[0]}, which can't be imported ({error}); "
            'install the extra "peers": pip install "refeed[peers]"'
        ) from error


def found_factors(
    train: Ratings,
    *,
    mean: float,
    user_biases: Float[np.ndarray, " users"],
    item_biases: Float[np.ndarray, " items"],
    users: Float[np.ndarray, "users width"],
    items: Float[np.ndarray, "items width"],
) -> Factors:
    """The arrays of a library as factors, which it left as it drew them where there are no ratings: 0 here.

    Raises:
        TrainingDivergedError: there is a NaN or an infinite number among them.
    """

    def copied(part: Float[np.ndarray, "..."]) -> Tensor:
        if not np.isfinite(part).all():
            raise TrainingDivergedError(
                "the factors became NaN or infinite; try a smaller learning rate or a larger decay"
            )
        return torch.tensor(part, dtype=torch.float32)

    p, q = copied(users), copied(items)
    p[torch.from_numpy(train.user_counts == 0)] = 0
    q[torch.from_numpy(train.item_counts == 0)] = 0
    return Factors(mean, copied(user_biases), copied(item_biases), p, q)
