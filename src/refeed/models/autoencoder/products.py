"""Matrix products with operands in half precision, where the processor is fast at them.

Weights, sums, losses and the optimizer's state stay in float32; only what goes into a product is rounded to
bf16, and its terms are added in float32 (Micikevicius et al. 2018, Mixed Precision Training).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["halved", "product"]


def halved(matrix: Float[Tensor, "*shape"], half: torch.dtype | None) -> Float[Tensor, "*shape"]:
    """A matrix as the operand of a product; `half` None: as it is."""
    return matrix if half is None else matrix.to(half)


def product(
    a: Float[Tensor, "rows inner"], b: Float[Tensor, "inner columns"], half: torch.dtype | None
) -> Float[Tensor, "rows columns"]:
    """The product a b in the higher precision of both, its operands in `half`; None: a plain product.

    Differentiable in `a` and `b`.
    """
    if half is None:
        return a @ b
    result: Float[Tensor, "rows columns"] = _HalfProduct.apply(a, b, half)  # type: ignore[no-untyped-call]
    return result


class _HalfProduct(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, half: torch.dtype) -> Tensor:
        one, other = a.to(half), b.to(half)
        ctx.save_for_backward(one, other)
        ctx.types = a.dtype, b.dtype
        return (one @ other).to(torch.promote_types(a.dtype, b.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        one, other = ctx.saved_tensors
        gradient = gradients[0].to(one.dtype)
        of_a = (gradient @ other.t()).to(ctx.types[0]) if ctx.needs_input_grad[0] else None
        of_b = (one.t() @ gradient).to(ctx.types[1]) if ctx.needs_input_grad[1] else None
        return of_a, of_b, None
