"""Dense re-feeding (paper section 2.2): f(x) as a new example, computed densely or collapsed.

Both hold what the pass before gave, y = act(h Wᵀ + b), with its weights as they were.

*dense* materialises y, users × items, and its errors; six products of users × items × width make a pass: y, y
times the first matrix and that product's gradient, the new outputs, and their two gradients.

*collapsed* never does. For a linear output layer the next pass's first layer is

    y V' + c' = h (Wᵀ V') + b V' + c',

a width × width matrix applied to h; and with u = h' − h, Δ = W' − W, δ = b' − b, the error of the pass is

    e = y' − y = u W'ᵀ + h Δᵀ + 1 δᵀ,

so ‖e‖² is a quadratic form in u and h with the Gram matrices of W' and Δ. Its cost is items × width² a batch,
whatever the number of users. It is written in differences because e is small against y: in float32 the
difference of two large squares would keep little of it, and of two products of halves nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from refeed.models.autoencoder.network import Autoencoder
from refeed.models.autoencoder.products import halved, product

__all__ = ["Fed", "feed"]

_AT_ONCE = 1 << 18  # outputs whose activation and error are computed in one go: they stay in the cache


def feed(model: Autoencoder, hidden: Float[Tensor, "users width"], *, collapsed: bool) -> "Fed":
    """Hold the output of a pass, with the weights as they are now.

    Args:
        model: gave the hidden layer.
        hidden: the last hidden layer of the pass.
        collapsed: hold it as a product; the output layer must be linear.
    """
    with torch.no_grad():
        if collapsed:
            weight = model.item_out_weight.clone()
            return Collapsed(hidden.detach(), weight, model.decode_b[-1].clone(), model.operands)
        y = _outputs(hidden, model.item_out_weight, model.operands)
        for rows in _blocks(y):
            rows.copy_(model.output_activation(rows + model.decode_b[-1]))
        return Dense(y)


@runtime_checkable
class Fed(Protocol):
    """The output y of a pass, detached, as the input and the target of the next."""

    def times(self, weight: Float[Tensor, "items width"]) -> Float[Tensor, "users width"]:
        """The product of y and a weight matrix."""
        ...

    def errors(
        self, model: Autoencoder, hidden: Float[Tensor, "users width"]
    ) -> tuple[Float[Tensor, ""], int]:
        """The sum of the squared errors of the model's outputs against y, and how many there are."""
        ...


@dataclass(frozen=True)
class Dense:
    """The output itself, y, in the precision of the products' operands."""

    y: Float[Tensor, "users items"]

    def times(self, weight: Float[Tensor, "items width"]) -> Float[Tensor, "users width"]:
        """The product of y and a weight matrix."""
        return product(self.y, weight, None if self.y.dtype == weight.dtype else self.y.dtype)

    def errors(
        self, model: Autoencoder, hidden: Float[Tensor, "users width"]
    ) -> tuple[Float[Tensor, ""], int]:
        """Where y is exactly zero, which only a relu makes it, there is no error (equation 1's mask)."""
        count = int(self.y.count_nonzero())
        total: Float[Tensor, ""] = _DenseErrors.apply(  # type: ignore[no-untyped-call]
            hidden, model.item_out_weight, model.decode_b[-1], self.y, model, count < self.y.numel()
        )
        return total, count


class _DenseErrors(torch.autograd.Function):
    """‖(act(h Wᵀ + b) − y) · mask‖², of which only one matrix stays: its derivative by h Wᵀ."""

    @staticmethod
    def forward(
        ctx: Any, hidden: Tensor, weight: Tensor, bias: Tensor, y: Tensor, model: Autoencoder, masked: bool
    ) -> Tensor:
        half = None if y.dtype == weight.dtype else y.dtype
        slopes = _outputs(hidden, weight, half)
        grad_bias, total = torch.zeros_like(bias), bias.new_zeros(())
        for rows, targets in zip(_blocks(slopes), _blocks(y), strict=True):
            with torch.enable_grad():
                before = (rows + bias).requires_grad_()
                errors = model.output_activation(before) - targets
            twice = (2 * errors.detach()).mul_(targets != 0) if masked else 2 * errors.detach()
            (slope,) = torch.autograd.grad(errors, before, twice)
            total += twice.square().sum() / 4
            grad_bias += slope.sum(dim=0)
            rows.copy_(slope)
        ctx.save_for_backward(hidden, halved(weight, half), slopes, grad_bias)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, slopes, grad_bias = ctx.saved_tensors
        (scale,) = gradients
        grad_hidden = (slopes @ weight).to(hidden.dtype) * scale
        grad_weight = (slopes.t() @ (hidden * scale).to(slopes.dtype)).to(hidden.dtype)
        return grad_hidden, grad_weight, grad_bias * scale, None, None, None


def _outputs(hidden: Tensor, weight: Tensor, half: torch.dtype | None) -> Tensor:
    """The outputs without bias, h Wᵀ, in the precision of the operands."""
    return halved(hidden.detach(), half) @ halved(weight, half).t()


def _blocks(matrix: Tensor, like: Tensor | None = None) -> Iterator[Tensor]:
    """Some rows at a time, as many as of `like`."""
    columns = (matrix if like is None else like).shape[1]
    return iter(torch.split(matrix, max(1, _AT_ONCE // max(1, columns))))


@dataclass(frozen=True)
class Collapsed:
    """The output as a product, y = hidden · weightᵀ + bias, never computed.

    Args:
        hidden: h.
        weight: W, a copy from before the update.
        bias: b, likewise.
        half: the precision of the products' operands; None: that of the weights.
    """

    hidden: Float[Tensor, "users width"]
    weight: Float[Tensor, "items width"]
    bias: Float[Tensor, " items"]
    half: torch.dtype | None = None

    def times(self, weight: Float[Tensor, "items width_in"]) -> Float[Tensor, "users width_in"]:
        """The product of y and a weight matrix V: (h Wᵀ + b) V = h (Wᵀ V) + b V."""
        sums: Float[Tensor, "users width_in"] = _Times.apply(  # type: ignore[no-untyped-call]
            weight, self.hidden, halved(self.weight, self.half), self.bias
        )
        return sums

    def errors(
        self, model: Autoencoder, hidden: Float[Tensor, "users width"]
    ) -> tuple[Float[Tensor, ""], int]:
        """‖h' W'ᵀ + b' − y‖², over all users and items."""
        total: Float[Tensor, ""] = _Errors.apply(  # type: ignore[no-untyped-call]
            hidden, model.item_out_weight, model.decode_b[-1], self.hidden, self.weight, self.bias, self.half
        )
        return total, len(hidden) * len(self.bias)


class _Times(torch.autograd.Function):
    """h (Wᵀ V) + b V, and its gradient by V: W (hᵀ g) + b ⊗ Σ g."""

    @staticmethod
    def forward(ctx: Any, new: Tensor, hidden: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(hidden, weight, bias)
        half = weight.dtype
        across = weight.t() @ new.to(half)
        return (hidden.to(half) @ across).to(new.dtype).add_(bias @ new)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias = ctx.saved_tensors
        gradient, half = gradients[0], weight.dtype
        inner = hidden.to(half).t() @ gradient.to(half)
        return (weight @ inner).to(bias.dtype).addr_(bias, gradient.sum(dim=0)), None, None, None


class _Errors(torch.autograd.Function):
    """‖e‖² with e = u W'ᵀ + h Δᵀ + 1 δᵀ, and its gradients 2 e W', 2 eᵀ h' and 2 eᵀ 1; e is never formed."""

    @staticmethod
    def forward(
        ctx: Any,
        new_hidden: Tensor,
        new_weight: Tensor,
        new_bias: Tensor,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        half: torch.dtype | None,
    ) -> Tensor:
        # [u h] and [W' Δ] side by side, so that e = [u h] [W' Δ]ᵀ + 1 δᵀ.
        sides = torch.cat([new_hidden - hidden, hidden], dim=1)
        both, offset = _beside_drift(new_weight, weight, half), new_bias - bias
        gram, on_offset = _gram(both), (offset[None].to(both.dtype) @ both)[0].to(offset.dtype)
        # e W' and e Δ, users × width: all that the sum and the gradient of h' need.
        on_both = (sides.to(both.dtype) @ gram).to(offset.dtype).add_(on_offset)
        ctx.save_for_backward(new_hidden, sides, both, offset, on_both[:, : weight.shape[1]])
        squares = torch.vdot(sides.flatten(), on_both.flatten()) + (sides @ on_offset).sum()
        return squares + len(sides) * (offset @ offset)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        new_hidden, sides, both, offset, on_weight = ctx.saved_tensors
        twice, half = 2 * gradients[0], both.dtype
        inner = (sides.to(half).t() @ (twice * new_hidden).to(half)).to(half)
        grad_weight = (both @ inner).to(offset.dtype).addr_(offset, twice * new_hidden.sum(dim=0))
        grad_bias = (both @ sides.sum(dim=0).to(half)).to(offset.dtype) + len(sides) * offset
        return twice * on_weight, grad_weight, twice * grad_bias, None, None, None, None


def _beside_drift(new: Tensor, old: Tensor, half: torch.dtype | None) -> Tensor:
    """[W' Δ]; the difference is taken before anything is rounded."""
    width = new.shape[1]
    both = new.new_empty((len(new), 2 * width), dtype=half or new.dtype)
    for rows, after, before in zip(_blocks(both), _blocks(new, both), _blocks(old, both), strict=True):
        rows[:, :width] = after
        rows[:, width:] = after - before
    return both


def _gram(matrix: Tensor) -> Tensor:
    """matrixᵀ matrix, a quarter of the columns at a time and what is known by symmetry not computed."""
    columns = matrix.shape[1]
    gram = matrix.new_empty(columns, columns)
    step = -(-columns // 4)
    for first in range(0, columns, step):
        some = slice(first, first + step)
        gram[some, first:] = matrix[:, some].t() @ matrix[:, first:]
        gram[first:, some] = gram[some, first:].t()
    return gram
