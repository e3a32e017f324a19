"""The closed form of `posterior.py` in the space of the ratings, for histories shorter than the code is wide.

With the prior's precision P = diag(p) and its mean m = P⁻¹ Σ_j c_j, a user's values are jointly Gaussian with
mean Xm and covariance I + K, K = X P⁻¹ Xᵀ (Rasmussen & Williams 2006, section 2.1). So n ratings cost n³
instead of width³:

    S = (I + K)⁻¹ over the observed places,    G = X P⁻¹ Cᵀ,    e = y − G 1,    a = S e,
    z = m + P⁻¹ Xᵀ a,    A⁻¹ = P⁻¹ − P⁻¹ Xᵀ S X P⁻¹.

An observed value's error once it is left out is a_j / S_jj (ibid., eq. 5.12); as its c_j is taken out of the
mean, too, which adds G_·j to e, it is (a_j + Σ_i S_ji G_ij) / S_jj here. And 1 / S_jj is its predictive
variance.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["leave_one_out_of_few", "posterior_of_few"]


def posterior_of_few(
    vectors: Float[Tensor, "users places width"],
    values: Float[Tensor, "users places"],
    *,
    pull: Float[Tensor, "users width"],
    precision: Float[Tensor, "users width"],
) -> tuple[Float[Tensor, "users width"], Float[Tensor, "users width width"]]:
    """The mean and the covariance of `posterior.posterior`, with its arguments."""
    scaled, mean = vectors / precision[:, None], pull / precision
    solved = _inverse(scaled @ vectors.transpose(1, 2))
    weights = _times(solved, values - _times(vectors, mean))
    covariance = torch.diag_embed(1 / precision) - scaled.transpose(1, 2) @ (solved @ scaled)
    return mean + _times(scaled.transpose(1, 2), weights), covariance


def leave_one_out_of_few(
    vectors: Float[Tensor, "users places width"],
    values: Float[Tensor, "users places"],
    implicit: Float[Tensor, "users places width"],
    precision: Float[Tensor, "users width"],
    observed: Float[Tensor, "users places"],
) -> tuple[Float[Tensor, "users places"], Float[Tensor, "users places"]]:
    """The errors and leverages of `posterior.leave_one_out`, with its arguments."""
    errors, leverages = _LeaveOneOut.apply(vectors, values, implicit, precision, observed)  # type: ignore[no-untyped-call]
    return errors, leverages


def _inverse(kernel: Float[Tensor, "users places places"]) -> Float[Tensor, "users places places"]:
    """S; not a number where a training has diverged, so that it ends as one."""
    matrix = kernel.double()
    matrix.diagonal(dim1=1, dim2=2).add_(1)
    factors, failed = torch.linalg.cholesky_ex(matrix)
    factors.diagonal(dim1=1, dim2=2).masked_fill_((failed != 0)[:, None], torch.nan)
    return torch.cholesky_inverse(factors).to(kernel.dtype)


def _times(matrices: Tensor, columns: Tensor) -> Tensor:
    products: Tensor = torch.bmm(matrices, columns[..., None])[..., 0]
    return products


class _LeaveOneOut(torch.autograd.Function):
    """With gradients by hand, through the matrices K and G of places by places."""

    @staticmethod
    def forward(
        ctx: Any, vectors: Tensor, values: Tensor, implicit: Tensor, precision: Tensor, observed: Tensor
    ) -> tuple[Tensor, Tensor]:
        scaled = vectors / precision[:, None]
        kernel, told = scaled @ vectors.transpose(1, 2), scaled @ implicit.transpose(1, 2)  # K, G
        solved = _inverse(kernel * observed[:, :, None] * observed[:, None])
        rest = values - told.sum(dim=2)  # e
        weights = _times(solved, rest * observed)  # a
        own = solved.diagonal(dim1=1, dim2=2)  # S_jj, 1 where it isn't observed
        left_out = (weights + (solved * told.transpose(1, 2)).sum(dim=2)) / own
        errors = torch.where(observed > 0, left_out, rest - _times(kernel, weights))
        ctx.save_for_backward(
            implicit, precision, observed, scaled, kernel, told, solved, rest, weights, errors
        )
        across = kernel * observed[:, None]
        unseen = kernel.diagonal(dim1=1, dim2=2) - ((across @ solved) * across).sum(dim=2)
        without = torch.where(observed > 0, 1 / own - 1, unseen)
        ctx.mark_non_differentiable(without)
        return errors, without

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        implicit, precision, observed, scaled, kernel, told, solved, *others = ctx.saved_tensors
        rest, weights, errors = others
        own = solved.diagonal(dim1=1, dim2=2)
        of_seen, of_unseen = gradients[0] * observed, gradients[0] * (1 - observed)
        of_left_out = of_seen / own
        of_weights = of_left_out - _times(kernel.transpose(1, 2), of_unseen) * observed
        grad_solved = of_weights[..., None] * (rest * observed)[:, None]
        grad_solved += of_left_out[..., None] * told.transpose(1, 2)
        grad_solved.diagonal(dim1=1, dim2=2).sub_(of_left_out * errors)
        grad_kernel = -(solved @ grad_solved @ solved) * observed[:, :, None] * observed[:, None]
        grad_kernel -= of_unseen[..., None] * weights[:, None]
        grad_rest = _times(solved, of_weights) * observed + of_unseen
        grad_told = (solved * of_left_out[..., None]).transpose(1, 2) - grad_rest[..., None]
        through_kernel = (grad_kernel + grad_kernel.transpose(1, 2)) @ scaled
        through_told = grad_told @ (implicit / precision[:, None])
        grad_implicit = grad_told.transpose(1, 2) @ scaled
        # Both K and G are products of x, of x or c, and of 1 / p: half of K's gradient would count x twice.
        grad_precision = -(scaled * (through_kernel / 2 + through_told)).sum(dim=1)
        return through_kernel + through_told, grad_rest, grad_implicit, grad_precision, None
