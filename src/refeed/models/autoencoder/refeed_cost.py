"""Whether a dense re-feed is cheaper collapsed: by counts, or by times measured once, not guessed."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from refeed.models.autoencoder.network import Autoencoder

__all__ = ["Costs", "collapses", "timed_costs"]

# Products in a pass and its gradients (`refeed.py`): of users × items × width dense; collapsed of items ×
# width²: one for the next first layer and one for its gradient, 2.5 for the Gram matrix, 2 for the gradient.
_DENSE_PRODUCTS = 6.0
_COLLAPSED_PRODUCTS = 6.5
_ITEMS, _USERS = 16_384, 256  # at most so many are timed; the costs grow in proportion
_REPEATS = 3


@dataclass(frozen=True)
class Costs:
    """What a re-feed costs.

    Args:
        dense: computed densely, seconds a user.
        collapsed: computed collapsed, seconds a batch.
    """

    dense: float
    collapsed: float

    @property
    def collapse_from(self) -> int:
        """The number of users in a batch from which on the collapsed re-feed is the cheaper one."""
        return math.ceil(self.collapsed / self.dense)


def collapses(model: Autoencoder, users: int) -> bool:
    """Whether the collapsed re-feed of so many users is possible and cheaper than the dense one.

    By `model.collapse_from`, or, where that is not set, by the count of multiplications.
    """
    if not model.linear_output:
        return False
    if model.collapse_from is not None:
        return users >= model.collapse_from
    return users * _DENSE_PRODUCTS > _width(model) * _COLLAPSED_PRODUCTS


def timed_costs(model: Autoencoder) -> Costs:
    """Time one product of each kind, on this machine, in a few hundredths of a second."""
    like = model.item_out_weight
    items, width, dtype = min(len(like), _ITEMS), _width(model), model.operand_type or like.dtype
    weight = torch.ones(items, width, device=like.device, dtype=dtype)
    hidden = torch.ones(_USERS, width, device=like.device, dtype=dtype)
    dense = _seconds(lambda: hidden @ weight.t(), like.device) / _USERS
    collapsed = _seconds(lambda: weight.t() @ weight, like.device)
    growth = len(like) / items
    return Costs(_DENSE_PRODUCTS * dense * growth, _COLLAPSED_PRODUCTS * collapsed * growth)


def _width(model: Autoencoder) -> int:
    return max(model.item_in.shape[1], model.item_out_weight.shape[1])


def _seconds(work: Callable[[], object], device: torch.device) -> float:
    """The shortest of some times, after one go to warm up."""
    times = []
    for _ in range(1 + _REPEATS):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - started)
    return min(times[1:])
