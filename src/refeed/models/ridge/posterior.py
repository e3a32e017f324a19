"""A user's code in closed form, and the exact error of every rating predicted from the user's others.

The model of one user (ridge regression; Hoerl & Kennard 1970): ratings y_j = x_jᵀ z + noise over the rated
items j with vectors x_j, and a prior z ~ N(m, 1/λ). The posterior mean of the code z is

    z = A⁻¹ (Σ_j x_j y_j + λ m),    A = Σ_j x_j x_jᵀ + diag(p)

where p is the prior's precision. The prior's mean m = Σ_j c_j is a sum over the rated items, too, so that
leaving a rating out takes its x_j x_jᵀ, x_j y_j and c_j away, and nothing else.

Here a block of users is padded to the same number of places (`padded.py`); a place without a rating has
`observed` = 0 and adds nothing. Histories shorter than the code is wide are solved in the space of their
ratings, to the same numbers but for rounding (`dual.py`).
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from refeed.models.ridge.dual import leave_one_out_of_few, posterior_of_few

__all__ = ["Posterior", "leave_one_out", "leverages", "posterior"]

_ITEMS_AT_ONCE = 2048
_FEW = 16

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
    if _are_few(vectors):
        return Posterior(*posterior_of_few(vectors, values, pull=pull, precision=precision))
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
    implicit: Float[Tensor, "users places width"],
    precision: Float[Tensor, "users width"],
    observed: Float[Tensor, "users places"],
) -> tuple[Float[Tensor, "users places"], Float[Tensor, "users places"]]:
    """The error of each value predicted from the user's others, and xᵀA⁻¹x of the code that predicts it.

    By Sherman & Morrison (1950), with h = xᵀ A⁻¹ x and p = xᵀ z of the code z from all observed places:

        p without = (p − h y − xᵀ A⁻¹ λ c) / (1 − h)
        h without = h / (1 − h)

    For a place that isn't observed they are p and h themselves: the code has not seen its value.

    Args:
        vectors: x of all places.
        values: y.
        implicit: λ c, what each place adds to λ m (0 where it isn't observed).
        precision: p, above 0.
        observed: 1 where the code sees the value, 0 where not.

    Returns:
        y − p without, differentiable in all but `observed`; and h without, which is not.
    """
    if _are_few(vectors):
        return leave_one_out_of_few(vectors, values, implicit, precision, observed)
    errors, leverages = _LeaveOneOut.apply(vectors, values, implicit, precision, observed)  # type: ignore[no-untyped-call]
    return errors, leverages


def leverages(
    covariance: Float[Tensor, "users width width"], vectors: Float[Tensor, "items width"]
) -> Float[Tensor, "users items"]:
    """The variance xᵀA⁻¹x of each item for each user, from what isn't known of the user.

    For many users it is one product of matrices, of the different entries of A⁻¹ and those of x xᵀ.

    Args:
        covariance: A⁻¹.
        vectors: x.
    """
    found, width = vectors.new_empty(len(covariance), len(vectors)), vectors.shape[1]
    if len(covariance) < _FEW:
        for first in range(0, len(vectors), _ITEMS_AT_ONCE):
            some = vectors[first : first + _ITEMS_AT_ONCE]
            for row, own in enumerate(covariance):
                found[row, first : first + len(some)] = ((some @ own) * some).sum(dim=1)
        return found.clamp_(min=0)
    rows, columns = torch.triu_indices(width, width)
    entries = covariance[:, rows, columns]
    entries[:, rows != columns] *= 2
    for first in range(0, len(vectors), _ITEMS_AT_ONCE):
        some = vectors[first : first + _ITEMS_AT_ONCE].t().contiguous()
        squares = torch.cat([some[row] * some[row:] for row in range(width)])
        found[:, first : first + some.shape[1]] = entries @ squares
    return found.clamp_(min=0)


def _are_few(vectors: Float[Tensor, "users places width"]) -> bool:
    return vectors.shape[1] < vectors.shape[2]


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
        ctx: Any, vectors: Tensor, values: Tensor, implicit: Tensor, precision: Tensor, observed: Tensor
    ) -> tuple[Tensor, Tensor]:
        seen = vectors * observed[..., None]
        pull = implicit.sum(dim=1)
        code = posterior(seen, values, pull=pull, precision=precision)
        projected = vectors @ code.covariance  # xᵀ A⁻¹
        leverages = (projected * vectors).sum(dim=-1)
        own = leverages * observed * values + (projected * implicit).sum(dim=-1)
        rest = (1 - leverages * observed).clamp(min=_LEAST)
        errors = values - (_times(vectors, code.mean) - own) / rest
        right = _over_places(seen, values) + pull
        ctx.save_for_backward(
            vectors,
            seen,
            values,
            implicit,
            observed,
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
        vectors, seen, values, implicit, observed, mean, *rest_of_them = ctx.saved_tensors
        covariance, right, projected, leverages, rest, errors = rest_of_them
        grad_errors = gradients[0]
        grad_predicted = -grad_errors / rest  # p
        grad_leverages = -grad_predicted * observed * errors  # h, through the numerator and through 1 − h
        grad_projected = grad_leverages[..., None] * vectors - grad_predicted[..., None] * implicit
        grad_mean = _over_places(vectors, grad_predicted)
        grad_right = _times(covariance, grad_mean)
        grad_covariance = vectors.transpose(1, 2) @ grad_projected + grad_mean[:, :, None] * right[:, None]
        grad_moments = -(covariance @ grad_covariance @ covariance)
        grad_seen = (
            seen @ (grad_moments + grad_moments.transpose(1, 2)) + values[..., None] * grad_right[:, None]
        )
        grad_vectors = torch.baddbmm(grad_leverages[..., None] * projected, grad_projected, covariance)
        grad_vectors += grad_predicted[..., None] * mean[:, None] + grad_seen * observed[..., None]
        grad_values = grad_errors - grad_predicted * leverages * observed + _times(seen, grad_right)
        grad_implicit = grad_right[:, None] - grad_predicted[..., None] * projected
        return grad_vectors, grad_values, grad_implicit, grad_moments.diagonal(dim1=1, dim2=2), None
