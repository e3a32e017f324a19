"""A user's code in closed form, and the exact error of every rating predicted from the user's others.

The model of one user (ridge regression; Hoerl & Kennard 1970): ratings y_j = x_jᵀ z + noise over the rated
items j with vectors x_j, and a prior z ~ N(m, 1/λ). The posterior mean of the code z is

    z = A⁻¹ (Σ_j x_j y_j + λ m),    A = Σ_j x_j x_jᵀ + diag(p)

where p is the prior's precision. The pull m = Σ_j c_j is a sum over the rated items, too, so that leaving a
rating out takes its x_j x_jᵀ, x_j y_j and c_j away, and nothing else.

Here a block of users is padded to the same number of places (`model/padded.py`); a place without a rating has
`shown` = 0 and adds nothing.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Posterior", "leave_one_out", "posterior"]

_LEAST = 1e-4
"""1 − h is positive, but rounding could make it 0 where a rating alone decides a direction of the code."""


@dataclass(frozen=True)
class Posterior:
    """What a user's ratings say of the code.

    Args:
        mean: z, the code.
        covariance: A⁻¹; times the noise's variance it is the code's posterior covariance.
    """

    mean: Float[Tensor, "users width"]
    covariance: Float[Tensor, "users width width"]


def posterior(
    vectors: Float[Tensor, "users places width"],
    values: Float[Tensor, "users places"],
    *,
    pull: Float[Tensor, "users width"],
    precision: Float[Tensor, "users width"],
) -> Posterior:
    """The codes of a block of users; the solve is in float64, since A may be close to singular.

    Args:
        vectors: x_j, 0 at places that don't count.
        values: y_j; anything where the vector is 0.
        pull: λ m, what the prior adds to the right side.
        precision: p, above 0.
    """
    moments = vectors.transpose(1, 2) @ vectors
    moments.diagonal(dim1=1, dim2=2).add_(precision)
    factors, failed = torch.linalg.cholesky_ex(moments.double())
    # A training that diverges must end as one: with a loss that is none, not with an error of the solver.
    factors = factors.masked_fill((failed != 0)[:, None, None], torch.nan)
    covariance = torch.cholesky_inverse(factors).to(vectors.dtype)
    right = _over_places(vectors, values) + pull
    return Posterior(_times(covariance, right), covariance)


def leave_one_out(
    vectors: Float[Tensor, "users places width"],
    values: Float[Tensor, "users places"],
    pulls: Float[Tensor, "users places width"],
    precision: Float[Tensor, "users width"],
    shown: Float[Tensor, "users places"],
) -> tuple[Float[Tensor, "users places"], Float[Tensor, "users places"]]:
    """The error of each value predicted from the user's others, and xᵀA⁻¹x of the code that predicts it.

    By Sherman & Morrison (1950), with h = xᵀ A⁻¹ x and p = xᵀ z of the code z from all shown places:

        p without = (p − h y − xᵀ A⁻¹ λ c) / (1 − h)
        h without = h / (1 − h)

    For a place that isn't shown they are p and h themselves: the code has not seen its value.

    Args:
        vectors: x of all places.
        values: y.
        pulls: λ c, what each place adds to the pull (0 where it isn't shown).
        precision: p, above 0.
        shown: 1 where the code sees the value, 0 where not.

    Returns:
        y − p without, differentiable in all but `shown`; and h without, which is not.
    """
    errors, leverages = _LeaveOneOut.apply(vectors, values, pulls, precision, shown)  # type: ignore[no-untyped-call]
    return errors, leverages


def _over_places(vectors: Tensor, weights: Tensor) -> Tensor:
    """Σ_j weight × x_j of each user."""
    sums: Tensor = torch.bmm(vectors.transpose(1, 2), weights[..., None])[..., 0]
    return sums


def _times(matrices: Tensor, columns: Tensor) -> Tensor:
    products: Tensor = torch.bmm(matrices, columns[..., None])[..., 0]
    return products


class _LeaveOneOut(torch.autograd.Function):
    """With gradients by hand: a third of the operations that autograd would make of it."""

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, values: Tensor, pulls: Tensor, precision: Tensor, shown: Tensor
    ) -> tuple[Tensor, Tensor]:
        seen = vectors * shown[..., None]
        pull = pulls.sum(dim=1)
        code = posterior(seen, values, pull=pull, precision=precision)
        projected = vectors @ code.covariance  # xᵀ A⁻¹
        leverages = (projected * vectors).sum(dim=-1)
        own = leverages * shown * values + (projected * pulls).sum(dim=-1)
        rest = (1 - leverages * shown).clamp(min=_LEAST)
        errors = values - (_times(vectors, code.mean) - own) / rest
        right = _over_places(seen, values) + pull
        ctx.save_for_backward(
            vectors,
            seen,
            values,
            pulls,
            shown,
            code.mean,
            code.covariance,
            right,
            projected,
            leverages,
            rest,
            errors,
        )
        without = leverages / rest
        ctx.mark_non_differentiable(without)
        return errors, without

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (
            vectors, seen, values, pulls, shown, mean, covariance, right, projected, leverages, rest, errors
        ) = ctx.saved_tensors  # fmt: skip
        of_errors = gradients[0]
        of_predicted = -of_errors / rest  # p
        of_leverages = -of_predicted * shown * errors  # h, through the numerator and through 1 − h
        of_projected = of_leverages[..., None] * vectors - of_predicted[..., None] * pulls
        of_mean = _over_places(vectors, of_predicted)
        of_right = _times(covariance, of_mean)
        of_covariance = vectors.transpose(1, 2) @ of_projected + of_mean[:, :, None] * right[:, None]
        of_moments = -(covariance @ of_covariance @ covariance)
        of_seen = seen @ (of_moments + of_moments.transpose(1, 2)) + values[..., None] * of_right[:, None]
        of_vectors = torch.baddbmm(of_leverages[..., None] * projected, of_projected, covariance)
        of_vectors += of_predicted[..., None] * mean[:, None] + of_seen * shown[..., None]
        of_values = of_errors - of_predicted * leverages * shown + _times(seen, of_right)
        of_pulls = of_right[:, None] - of_predicted[..., None] * projected
        return of_vectors, of_values, of_pulls, of_moments.diagonal(dim1=1, dim2=2), None
