"""The levels of users and items in closed form, with what it says of an item who rated it.

A linear mixed model of the ratings:

    r_ui = μ + a_u + b_i + n_i^-½ Σ_{w rated i} f_w + e_ui

with independent a ~ N(0, σ_a²), b ~ N(0, σ_b²), f ~ N(0, σ_f²) and e ~ N(0, σ_e²). Items that the same
users rated have like levels: these have the covariance σ_b² I + σ_f² K, where K is the cosine of the items'
raters. (f is the linear part of SVD++ "flipped"; Rendle, Zhang & Koren 2019, section 4.2.)

The four variances are those with the highest marginal likelihood, found by the fixed point of MacKay (1992,
"Bayesian interpolation", section 4): with C the inverse of the normal equations' matrix and p_x the length
of x,

    γ_x = p_x − λ_x tr C_xx,    σ_x² = ‖x‖² / γ_x,    σ_e² = ‖e‖² / (N − 1 − Σ γ_x),    λ_x = σ_e² / σ_x²

The traces are estimated from random signs (Hutchinson 1990), and all systems are solved together by conjugate
gradients: nothing but sums over an item's users and a user's items is needed, and no validation ratings.
"""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from refeed.models.ridge.interaction_matrix import InteractionMatrix
from refeed.models.variances import sums_above_mean, variances_of
from refeed.ratings.store import Ratings

__all__ = ["Dampings", "MixedLevels", "dampings_of"]

_MOST = 250_000  # ratings, more than which variances are estimated from those of some users
_PROBES, _SIGNS = 6, 50_000  # the least vectors of random signs that traces are estimated from; signs
_ROUNDS, _SETTLED = 12, 0.05  # of the fixed point; it ends once no variance changes by more than this part
_FURTHER = 1.7  # how far each round goes, against what the fixed point says: it creeps
_LEAST, _LARGEST = 0.2, 2000.0  # a damping
_ITERATIONS, _TOLERANCE = 200, 1e-4  # of the conjugate gradients; of the residual, as part of the right side
_COARSE = 1e-2  # the tolerance where only variances are asked for


@dataclass(frozen=True)
class Dampings:
    """λ = σ_e² / σ² of each kind of level, in ratings, from 0.2 to 2,000.

    Args:
        users: of a.
        items: of b.
        raters: of f.
    """

    users: float
    items: float
    raters: float


@dataclass(frozen=True, eq=False)
class MixedLevels:
    """The best linear unbiased predictions of the levels.

    Args:
        mean: μ, by generalised least squares.
        users: a.
        items: b, without what their raters say.
        raters: f.
        pooled: n_i^-½ Σ f_w of each item.
    """

    mean: float
    users: Float64[np.ndarray, " users"]
    items: Float64[np.ndarray, " items"]
    raters: Float64[np.ndarray, " users"]
    pooled: Float64[np.ndarray, " items"]

    @classmethod
    def fit(
        cls, train: Ratings, dampings: Dampings, interactions: InteractionMatrix | None = None
    ) -> "MixedLevels":
        """Solve the normal equations.

        Args:
            train: the training ratings; memory-mapped arrays are fine.
            dampings: of the levels.
            interactions: of the training ratings, where they are there already.
        """
        equations = _Equations(train, interactions)
        solved = equations.solve(equations.right, dampings)[:, 0]
        mean, users, items, raters = equations.parts(solved)
        return cls(
            train.mean + float(mean),
            users.cpu().numpy(),
            items.cpu().numpy(),
            raters.cpu().numpy(),
            equations.pooled(raters[:, None])[:, 0].cpu().numpy(),
        )


def dampings_of(train: Ratings, seed: int = 0) -> Dampings:
    """The dampings that the variances with the highest marginal likelihood make.

    Of more than 250,000 ratings, those of some users are looked at. With fewer of its raters b takes over
    some of what f said of an item, and a little less of it is damped.

    Args:
        train: the training ratings.
        seed: of the random signs, and of which users are taken.
    """
    random = np.random.default_rng(seed)
    if len(train) > _MOST:
        chosen = random.random(train.n_users) < _MOST / len(train)
        train = train.select(np.repeat(chosen, train.user_counts)).compact()
    moments = variances_of(train)
    noise = max(moments.noise, 1e-6)
    # What moments say of items is theirs and their raters'.
    variances = _bounded(noise, np.array([moments.users, moments.items / 2, moments.items / 2]))
    if not len(train):
        return _dampings(noise, variances)
    equations = _Equations(train)
    probes = max(_PROBES, min(_SIGNS // sum(equations.sizes), 64))
    signs = np.where(random.random((sum(equations.sizes), probes)) < 0.5, -1.0, 1.0)
    signs[0] = 0
    drawn = torch.from_numpy(signs).to(equations.right)
    right, solved = torch.cat([equations.right, drawn], dim=1), None
    for _ in range(_ROUNDS):
        dampings = _dampings(noise, variances)
        solved = equations.solve(right, dampings, solved, tolerance=_COARSE)
        best, inverse = solved[:, :1], (solved[:, 1:] * drawn).mean(dim=1)
        parts = list(zip(equations.parts(best), equations.parts(inverse), strict=True))[1:]
        lambdas = (dampings.users, dampings.items, dampings.raters)
        known = [  # γ; that of items and users without ratings is 0
            max(len(part) - damping * float(traces.sum()), 1e-3)
            for (part, traces), damping in zip(parts, lambdas, strict=True)
        ]
        noise = max(equations.squared_error(best) / max(len(train) - 1 - sum(known), 1.0), 1e-6)
        told = np.array([float(part.square().sum()) / g for (part, _), g in zip(parts, known, strict=True)])
        ratios = _bounded(noise, told) / variances
        variances = _bounded(noise, variances * ratios**_FURTHER)
        if np.abs(np.log(ratios)).max() < _SETTLED:
            break
    return _dampings(noise, variances)


def _bounded(noise: float, variances: Float64[np.ndarray, " three"]) -> Float64[np.ndarray, " three"]:
    bounded: Float64[np.ndarray, " three"] = np.clip(variances, noise / _LARGEST, noise / _LEAST)
    return bounded


def _dampings(noise: float, variances: Float64[np.ndarray, " three"]) -> Dampings:
    return Dampings(*(noise / _bounded(noise, variances)).tolist())


class _Equations:
    """The normal equations of μ, a, b and f, one below the other in the rows of a matrix.

    Args:
        train: the training ratings.
        interactions: who rated what.
    """

    def __init__(self, train: Ratings, interactions: InteractionMatrix | None = None) -> None:
        self._matrix = interactions or InteractionMatrix(train, torch.device("cpu"))
        self.sizes = [1, train.n_users, train.n_items, train.n_users]
        device = self._matrix.device
        self._of_users, of_items = (
            torch.from_numpy(counts.astype(np.float64))[:, None].to(device)
            for counts in (train.user_counts, train.item_counts)
        )
        self._of_items, self._root = of_items, of_items.clamp(min=1).rsqrt()
        by_user, by_item, self._squares = sums_above_mean(train)
        users, items = (torch.from_numpy(sums)[:, None].to(device) for sums in (by_user, by_item))
        self.right = torch.cat(
            [users.sum(dim=0, keepdim=True), users, items, self._matrix.over_items(self._root * items)]
        )
        self._diagonal = torch.cat(
            [
                self._of_users.sum(dim=0, keepdim=True),
                self._of_users,
                of_items,
                self._matrix.over_items(self._root.square() * of_items),
            ]
        )

    def parts(self, rows: Tensor) -> list[Tensor]:
        """The rows of μ, a, b and f."""
        starts = np.cumsum([0, *self.sizes[:-1]]).tolist()
        return [rows[start : start + size] for start, size in zip(starts, self.sizes, strict=True)]

    def pooled(self, raters: Tensor) -> Tensor:
        """n_i^-½ Σ f_w of each item."""
        return self._root * self._matrix.over_users(raters)

    def solve(
        self,
        right: Tensor,
        dampings: Dampings,
        start: Tensor | None = None,
        *,
        tolerance: float = _TOLERANCE,
    ) -> Tensor:
        """Conjugate gradients (Hestenes & Stiefel 1952), the columns side by side."""
        lambdas = torch.cat(
            [
                right.new_full((size, 1), damping)
                for size, damping in zip(
                    self.sizes, (0.0, dampings.users, dampings.items, dampings.raters), strict=True
                )
            ]
        )
        diagonal = (self._diagonal + lambdas).clamp(min=1e-12)
        solution = torch.zeros_like(right) if start is None else start.clone()
        residual = right - self._times(solution) - lambdas * solution
        enough = tolerance * right.norm(dim=0)
        direction = scaled = residual / diagonal
        product = (residual * scaled).sum(dim=0)
        for _ in range(_ITERATIONS):
            if bool((residual.norm(dim=0) <= enough).all()):
                break
            curved = self._times(direction) + lambdas * direction
            step = product / (direction * curved).sum(dim=0).clamp(min=1e-300)
            solution += step * direction
            residual = residual - step * curved
            scaled = residual / diagonal
            previous, product = product, (residual * scaled).sum(dim=0)
            direction = scaled + product / previous.clamp(min=1e-300) * direction
        return solution

    def squared_error(self, solution: Tensor) -> float:
        """Σ (r − what these levels say)²."""
        return self._squares + float((solution * (self._times(solution) - 2 * self.right)).sum())

    def _times(self, columns: Tensor) -> Tensor:
        """XᵀX times some columns, for X the model's matrix of ratings × levels."""
        mean, users, items, raters = self.parts(columns)
        # PyTorch sums rows of float32 some fifty times as fast, and conjugate gradients need no more digits.
        by_users = self._matrix.over_users(torch.cat([users, raters], dim=1).float()).double()
        of_users, of_raters = by_users.chunk(2, dim=1)
        levels = items + self._root * of_raters
        by_item = of_users + self._of_items * (levels + mean)
        by_items = self._matrix.over_items(torch.cat([levels, self._root * by_item], dim=1).float()).double()
        of_levels, own_raters = by_items.chunk(2, dim=1)
        by_user = of_levels + self._of_users * (users + mean)
        return torch.cat([by_user.sum(dim=0, keepdim=True), by_user, by_item, own_raters])
