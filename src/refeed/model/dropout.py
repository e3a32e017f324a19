"""Inverted dropout from an explicit generator."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

__all__ = ["Dropout"]


@dataclass(frozen=True)
class Dropout:
    """Drops units, a fresh mask at every call, and scales the rest so that the mean stays.

    Args:
        probability: of dropping a unit, in [0, 1).
        generator: the source of the masks, on the device of the units.
        rows: which rows of the whole batch the caller holds: with several processes each draws the mask of
            the whole batch and takes its own rows, so that the numbers don't depend on their count.
        total: the rows of the whole batch.
    """

    probability: float
    generator: torch.Generator
    rows: slice
    total: int

    def __call__(self, units: Float[Tensor, "users width"]) -> Float[Tensor, "users width"]:
        """The units, some of them zero."""
        if self.probability == 0:
            return units
        draws = torch.rand((self.total, units.shape[1]), generator=self.generator, device=units.device)
        kept = (draws[self.rows] >= self.probability).to(units.dtype)
        return units * kept.mul_(1 / (1 - self.probability))
