"""r̂ = μ + b_u + b_i + ⟨p_u, q_i⟩: what PMF, MF, SVD++ and factorisation machines equal once fitted."""

from typing import Literal

import numpy as np
import torch
from jaxtyping import Float32, Float64, Int64
from torch import Tensor, nn

from refeed.baselines.scale import Scale
from refeed.baselines.solution import FactorConfig, Factors, width_of
from refeed.config.baselines import (
    CornacMFConfig,
    LenskitMFConfig,
    PmfConfig,
    SurpriseConfig,
    SvdppConfig,
)
from refeed.ratings.store import Ratings

__all__ = ["FactorModel"]

_PAIRS_AT_ONCE = 1 << 16  # bounds what the gathered factors take


class FactorModel(nn.Module):
    """A `Model` of factors, for the users and items of its training alone.

    Args:
        config: the solver and its settings.
        n_users: the number of users.
        n_items: the number of items.
        seed: of the solver.
    """

    axis: Literal["user", "item"] = "user"
    folds_in = False
    mean: Tensor
    user_biases: Tensor
    item_biases: Tensor
    users: Tensor
    items: Tensor

    def __init__(self, config: FactorConfig, n_users: int, n_items: int, seed: int) -> None:
        super().__init__()
        self.config = config
        self._seed = seed
        width = width_of(config, n_users, n_items)
        self.register_buffer("mean", torch.zeros((), dtype=torch.float64))
        self.register_buffer("user_biases", torch.zeros(n_users))
        self.register_buffer("item_biases", torch.zeros(n_items))
        self.register_buffer("users", torch.zeros(n_users, width))
        self.register_buffer("items", torch.zeros(n_items, width))

    def fit(self, train: Ratings, valid: Ratings | None = None) -> None:
        """Let the solver find the factors.

        Args:
            train: ratings to fit to.
            valid: held-out ratings; a solver that goes through epochs keeps the best one on them.

        Raises:
            ConfigError: the solver is of the extra `peers`, which is not installed.
            TrainingDivergedError: the error became NaN or infinite.
        """
        scale = Scale.of(train)
        found = self._solve(scale.mapped(train), None if valid is None else scale.mapped(valid))
        self.mean.fill_(scale.back(found.mean))
        for name in ("user_biases", "item_biases", "users"):
            getattr(self, name).copy_(getattr(found, name) * scale.unit)
        self.items.copy_(found.items)

    def _solve(self, train: Ratings, valid: Ratings | None) -> Factors:
        # Imported when needed: four of the six stand on libraries that need not be installed.
        if isinstance(self.config, PmfConfig):
            from refeed.baselines.pmf import solve_pmf  # noqa: PLC0415

            return solve_pmf(self.config, train, valid, self._seed)
        if isinstance(self.config, SvdppConfig):
            from refeed.baselines.svdpp import solve_svdpp  # noqa: PLC0415

            return solve_svdpp(self.config, train, valid, self._seed)
        if isinstance(self.config, SurpriseConfig):
            from refeed.baselines.surprise import solve_surprise  # noqa: PLC0415

            return solve_surprise(self.config, train, self._seed)
        if isinstance(self.config, CornacMFConfig):
            from refeed.baselines.cornac import solve_cornac  # noqa: PLC0415

            return solve_cornac(self.config, train, self._seed)
        if isinstance(self.config, LenskitMFConfig):
            from refeed.baselines.lenskit import solve_lenskit  # noqa: PLC0415

            return solve_lenskit(self.config, train, self._seed)
        from refeed.baselines.myfm import solve_myfm  # noqa: PLC0415

        return solve_myfm(self.config, train, self._seed)

    def predict(
        self,
        histories: Ratings,  # noqa: ARG002
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        """μ + b_u + b_i + ⟨p_u, q_i⟩ of each pair (see `Model`)."""
        predicted = np.empty(len(users))
        for first in range(0, len(users), _PAIRS_AT_ONCE):
            some = slice(first, first + _PAIRS_AT_ONCE)
            u, i = torch.from_numpy(users[some]), torch.from_numpy(items[some])
            above = (self.users[u] * self.items[i]).sum(dim=1) + self.user_biases[u] + self.item_biases[i]
            predicted[some] = above.double().numpy() + float(self.mean)
        return predicted

    def predict_all(
        self,
        histories: Ratings,  # noqa: ARG002
        users: Int64[np.ndarray, " users"],
    ) -> Float32[np.ndarray, "users items"]:
        """μ + b_u + b_i + ⟨p_u, q_i⟩ of every item by each of the users (see `Model`)."""
        some = torch.from_numpy(users)
        products = self.users[some] @ self.items.t() + self.user_biases[some, None] + self.item_biases
        predicted: Float32[np.ndarray, "users items"] = products.add_(float(self.mean)).numpy()
        return predicted

    def item_vectors(self) -> Float32[np.ndarray, "items width"]:
        """q_i of each item."""
        vectors: Float32[np.ndarray, "items width"] = self.items.numpy()
        return vectors
