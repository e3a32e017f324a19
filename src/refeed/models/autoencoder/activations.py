"""The activations of the paper's section 3.2, by name."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from refeed.config import Activation

__all__ = ["ACTIVATIONS"]


def _identity(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "relu": functional.relu,
    "relu6": functional.relu6,
    "tanh": torch.tanh,
    "elu": functional.elu,
    "lrelu": functional.leaky_relu,  # slope 0.01
    "swish": functional.silu,  # x · sigmoid(x)
    "selu": functional.selu,
    "none": _identity,
}
