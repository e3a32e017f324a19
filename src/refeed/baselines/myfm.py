"""Bayesian SVD++ "flipped" by myFM's Gibbs sampler (Rendle, Zhang & Koren 2019, section 4.2).

A factorisation machine over the user, the set of items that the user rated, the item, and the set of users
who rated it. With x_u and x_i the features of both sides, one sample (w₀, w, V) of the posterior predicts

    w₀ + c_u + c_i + ⟨a_u, a_i⟩,   a_u = Vᵀ x_u,   c_u = ⟨w, x_u⟩ + ½(‖a_u‖² − ‖V ∘ x_u‖²)

and a_i, c_i likewise: a matrix factorisation. The mean of many samples is one again, whose factors are those
of all samples side by side; they are kept as the best approximation of a given rank.
"""

import contextlib
import io
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from refeed.baselines.peers import peer
from refeed.baselines.solution import Factors, width_of
from refeed.config.baselines import MyFMConfig
from refeed.ratings.store import Ratings

__all__ = ["blocks_of", "compressed", "solve_myfm"]

_Matrix = NDArray[np.float64]


def solve_myfm(config: MyFMConfig, train: Ratings, seed: int) -> Factors:
    """Sample from the posterior of ratings from 1 to 5; the mean of the predictions after the burn-in.

    Raises:
        ConfigError: myFM is not installed.
    """
    myfm = peer("myfm", config.kind)
    users, items = blocks_of(train)
    mean = _Mean(users, items, width_of(config, train.n_users, train.n_items))

    def collect(iteration: int, machine: Any, *_: Any) -> tuple[bool, None]:
        if iteration >= config.burn_in:
            mean.add(float(machine.w0), np.asarray(machine.w), np.asarray(machine.V))
        return False, None

    sizes = train.n_users, train.n_items
    sampler = myfm.MyFMRegressor(rank=_rank(config, len(train)), random_seed=seed)
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar can't be turned off
        sampler.fit(
            None,
            train.values.astype(np.float64),
            X_rel=[
                myfm.RelationBlock(train.users.astype(np.uint64), users),
                myfm.RelationBlock(train.items.astype(np.uint64), items),
            ],
            n_iter=config.iterations,
            n_kept_samples=1,  # the sums below are all that is wanted of the others
            group_shapes=[sizes[0], sizes[1], sizes[1], sizes[0]],
            callback=collect,
        )
    return mean.factors()


def _rank(config: MyFMConfig, ratings: int) -> int:
    if config.rank != "auto":
        return config.rank
    return 10 if ratings < 300_000 else 32 if ratings < 3_000_000 else 64


def blocks_of(train: Ratings) -> tuple[Any, Any]:
    """[user | rated items / √n_u] of every user, and [item | raters / √n_i] of every item; sparse."""
    from scipy import sparse  # type: ignore[import-untyped,unused-ignore]  # noqa: PLC0415 - myFM brings it

    rated = sparse.csr_matrix(
        (np.ones(len(train)), train.items, train.indptr), shape=(train.n_users, train.n_items)
    )

    def side(matrix: Any) -> Any:
        counts = np.diff(matrix.indptr)
        scaled = sparse.diags(1 / np.sqrt(np.maximum(counts, 1))) @ matrix
        return sparse.hstack([sparse.identity(matrix.shape[0]), scaled], format="csr")

    return side(rated), side(rated.T.tocsr())


@dataclass
class _Mean:
    """The mean of the samples' predictions, while they come."""

    of_users: Any
    of_items: Any
    width: int
    count: int = 0
    level: float = 0.0
    biases: list[_Matrix] = field(default_factory=list)
    factors_so_far: list[_Matrix] = field(default_factory=list)

    def add(self, level: float, weights: _Matrix, vectors: _Matrix) -> None:
        """Add a sample: w₀, w and V."""
        cut = self.of_users.shape[1]
        biases, factors = [], []
        for block, some in ((self.of_users, slice(0, cut)), (self.of_items, slice(cut, None))):
            w, v = weights[some], vectors[some]
            a = block @ v
            squares = block.multiply(block) @ np.square(v).sum(axis=1)
            biases.append(block @ w + (np.square(a).sum(axis=1) - squares) / 2)
            factors.append(a)
        self.count += 1
        self.level += level
        if not self.biases:
            self.biases, self.factors_so_far = biases, factors
            return
        self.biases = [before + new for before, new in zip(self.biases, biases, strict=True)]
        self.factors_so_far = [
            np.hstack([before, new]) for before, new in zip(self.factors_so_far, factors, strict=True)
        ]
        if self.factors_so_far[0].shape[1] > 3 * self.width:
            self.factors_so_far = self._compressed()

    def factors(self) -> Factors:
        """The mean's factors."""
        users, items = self._compressed()
        b_u, b_i = (torch.from_numpy(total / self.count).float() for total in self.biases)
        return Factors(
            mean=self.level / self.count,
            user_biases=b_u,
            item_biases=b_i,
            users=torch.from_numpy(users / self.count).float(),
            items=torch.from_numpy(items).float(),
        )

    def _compressed(self) -> list[_Matrix]:
        users, items = self.factors_so_far
        return list(compressed(users, items, self.width))


def compressed(users: _Matrix, items: _Matrix, width: int) -> tuple[_Matrix, _Matrix]:
    """Factors of some width whose product is the best approximation of users @ items.T (Eckart & Young 1936).

    Args:
        users: [users, any width].
        items: [items, the same width].
        width: of the result; columns beyond the rank of the product are 0.
    """
    (q_u, r_u), (q_i, r_i) = np.linalg.qr(users), np.linalg.qr(items)
    left, strengths, right = np.linalg.svd(r_u @ r_i.T, full_matrices=False)
    roots = np.sqrt(strengths[:width])
    small = q_u @ (left[:, :width] * roots), q_i @ (right[:width].T * roots)
    missing = width - len(roots)
    padded = [np.pad(part, ((0, 0), (0, missing))) for part in small]
    return padded[0], padded[1]
