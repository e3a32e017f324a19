"""Inverted dropout from an explicit generator."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int16
from torch import Tensor

__all__ = ["Dropout"]

_STEPS = 1 << 16


@dataclass(frozen=True)
class Dropout:
    """Drops units, a fresh mask at every call, and scales the rest so that the mean stays.

    Args:
        probability: of dropping a unit, in [0, 1), to the nearest 1/65536.
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
        dropped = min(round(self.probability * _STEPS), _STEPS - 1)
        if dropped == 0:
            return units
        kept = self._draws(units.shape[1], units.device) >= dropped - _STEPS // 2
        return units * kept.to(units.dtype).mul_(1 / (1 - self.probability))

    def _draws(self, width: int, device: torch.device) -> Int16[Tensor, "users width"]:
        """Uniform over all integers of 16 bits: four of each draw, as drawing is what takes the time."""
        draws = torch.empty((self.total, -(-width // 4)), dtype=torch.int64, device=device)
        return draws.random_(-(2**63), None, generator=self.generator).view(torch.int16)[self.rows, :width]
