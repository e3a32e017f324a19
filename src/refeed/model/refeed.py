"""Dense re-feeding (paper section 2.2): f(x) as a new example, computed densely or collapsed.

Both hold what the pass before gave, y = act(h Wᵀ + b), with its weights as they were.

*dense* materialises y, users × items.

*collapsed* never does. For a linear output layer the next pass's first layer is

    y V' + c' = h (Wᵀ V') + b V' + c',

a width × width matrix applied to h; and with u = h' − h, Δ = W' − W, δ = b' − b, the error of the pass is

    e = y' − y = u W'ᵀ + h Δᵀ + 1 δᵀ,

so ‖e‖² is a quadratic form in u and h with the Gram matrices of W' and Δ. Its cost is items × width² a batch,
whatever the number of users. It is written in differences because e is small against y: in float32 the
difference of two large squares would keep little of it.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from refeed.model.autoencoder import Autoencoder

__all__ = ["Fed", "collapses", "feed"]

# What a pass costs: 7 products of items × width² collapsed, 6 of items × width × users dense. Their measured
# speeds per operation are alike (benchmarks/step.py), so the counts decide.
_COLLAPSED_PRODUCTS = 7
_DENSE_PRODUCTS = 6


def collapses(model: Autoencoder, users: int) -> bool:
    """Whether the collapsed re-feed of so many users is possible and cheaper than the dense one."""
    width = max(model.item_in.shape[1], model.item_out_weight.shape[1])
    return model.linear_output and users * _DENSE_PRODUCTS > width * _COLLAPSED_PRODUCTS


def feed(model: Autoencoder, hidden: Float[Tensor, "users width"], *, collapsed: bool) -> "Fed":
    """Hold the output of a pass, with the weights as they are now.

    Args:
        model: gave the hidden layer.
        hidden: the last hidden layer of the pass.
        collapsed: hold it as a product; the output layer must be linear.
    """
    with torch.no_grad():
        if collapsed:
            return Collapsed(hidden.detach(), model.item_out_weight.clone(), model.decode_b[-1].clone())
        return Dense(model.output(hidden))


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
    """The output itself, y."""

    y: Float[Tensor, "users items"]

    def times(self, weight: Float[Tensor, "items width"]) -> Float[Tensor, "users width"]:
        """The product of y and a weight matrix."""
        return self.y @ weight

    def errors(
        self, model: Autoencoder, hidden: Float[Tensor, "users width"]
    ) -> tuple[Float[Tensor, ""], int]:
        """Where y is exactly zero, which only a relu makes it, there is no error (equation 1's mask)."""
        mask = self.y != 0
        return ((model.output(hidden) - self.y) * mask).square().sum(), int(mask.sum())


@dataclass(frozen=True)
class Collapsed:
    """The output as a product, y = hidden · weightᵀ + bias, never computed.

    Args:
        hidden: h.
        weight: W, a copy from before the update.
        bias: b, likewise.
    """

    hidden: Float[Tensor, "users width"]
    weight: Float[Tensor, "items width"]
    bias: Float[Tensor, " items"]

    def times(self, weight: Float[Tensor, "items width_in"]) -> Float[Tensor, "users width_in"]:
        """The product of y and a weight matrix V: (h Wᵀ + b) V = h (Wᵀ V) + b V."""
        return torch.addmm(self.bias @ weight, self.hidden, self.weight.t() @ weight)

    def errors(
        self, model: Autoencoder, hidden: Float[Tensor, "users width"]
    ) -> tuple[Float[Tensor, ""], int]:
        """‖h' W'ᵀ + b' − y‖², over all users and items."""
        total: Float[Tensor, ""] = _Errors.apply(  # type: ignore[no-untyped-call]
            hidden, model.item_out_weight, model.decode_b[-1], self.hidden, self.weight, self.bias
        )
        return total, len(hidden) * len(self.bias)


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
    ) -> Tensor:
        moved, drift = new_hidden - hidden, new_weight - weight
        offset = new_bias - bias
        across = drift.t() @ new_weight
        # e W' and e Δ, users × width: all that the sum and the gradient of h' need.
        on_weight = moved @ (new_weight.t() @ new_weight) + hidden @ across + offset @ new_weight
        on_drift = moved @ across.t() + hidden @ (drift.t() @ drift) + offset @ drift
        on_offset = moved @ (offset @ new_weight) + hidden @ (offset @ drift) + offset @ offset
        ctx.save_for_backward(new_hidden, new_weight, hidden, moved, drift, offset, on_weight)
        return (moved * on_weight).sum() + (hidden * on_drift).sum() + on_offset.sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        new_hidden, new_weight, hidden, moved, drift, offset, on_weight = ctx.saved_tensors
        twice = 2 * gradients[0]
        of_weight = (
            new_weight @ (moved.t() @ new_hidden)
            + drift @ (hidden.t() @ new_hidden)
            + torch.outer(offset, new_hidden.sum(dim=0))
        )
        of_bias = new_weight @ moved.sum(dim=0) + drift @ hidden.sum(dim=0) + len(hidden) * offset
        return twice * on_weight, twice * of_weight, twice * of_bias, None, None, None
