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
    moments = vectors.transpose(1, 2) @ vectors + torch.diag_embed(precision)
    covariance: Tensor = _Inverse.apply(moments)  # type: ignore[no-untyped-call]
    right = (vectors.transpose(1, 2) @ values[..., None])[..., 0] + pull
    return Posterior((covariance @ right[..., None])[..., 0], covariance)


def leave_one_out(
    code: Posterior,
    vectors: Float[Tensor, "users places width"],
    values: Float[Tensor, "users places"],
    shown: Float[Tensor, "users places"],
    pulls: Float[Tensor, "users places width"],
) -> tuple[Float[Tensor, "users places"], Float[Tensor, "users places"]]:
    """Each value predicted from the user's others, and xᵀA⁻¹x: as `posterior` without the place would.

    By Sherman & Morrison (1950), with h = xᵀ A⁻¹ x and p = xᵀ z:

        p without = (p − h y − xᵀ A⁻¹ λ c) / (1 − h)

        xᵀA⁻¹x without = h / (1 − h)

    For a place that isn't shown they are p and h themselves: the code has not seen its value.

    Args:
        code: from the places that are shown.
        vectors: x of all places.
        values: y.
        shown: 1 where the code has seen the value, 0 where not.
        pulls: λ c, what the place added to the pull (0 where it isn't shown).
    """
    predicted = (vectors @ code.mean[..., None])[..., 0]
    projected = vectors @ code.covariance  # xᵀ A⁻¹
    leverages = (projected * vectors).sum(dim=-1)
    own = leverages * values * shown + (projected * pulls).sum(dim=-1)
    rest = (1 - leverages * shown).clamp(min=_LEAST)
    return (predicted - own) / rest, leverages / rest


class _Inverse(torch.autograd.Function):
    """The inverse of symmetric positive definite matrices; its gradient is −A⁻¹ G A⁻¹."""

    @staticmethod
    def forward(ctx: Any, matrices: Tensor) -> Tensor:
        factors = torch.linalg.cholesky(matrices.double())
        inverse: Tensor = torch.cholesky_inverse(factors).to(matrices.dtype)
        ctx.save_for_backward(inverse)
        return inverse

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (inverse,) = ctx.saved_tensors
        gradient: Tensor = -(inverse @ gradients[0] @ inverse)
        return gradient
