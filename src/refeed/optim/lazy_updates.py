"""What an update does to a row that has no gradient in it, and how to make up for many at once.

A row of a weight matrix that a batch doesn't touch still moves: by its momentum, and by weight decay. Neither
depends on the other rows, so a row may wait until somebody reads it. What the updates that it skipped make
together depends on when they were, not on the row: it is kept in a table, an entry for each update after
which a row may have been left alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from refeed import kernels

__all__ = ["AdamW", "Momentum", "Rule", "Skipped"]


@runtime_checkable
class Rule(Protocol):
    """An optimizer, row by row. Updates are counted from 1."""

    @property
    def buffers(self) -> tuple[str, ...]:
        """The names of what it keeps for each weight."""
        ...

    @property
    def identity(self) -> Float64[np.ndarray, " columns"]:
        """The entry of a row that has skipped nothing."""
        ...

    def begins(self, start: int, update: int) -> bool:
        """Whether what is skipped from this update on must be kept apart from what is since `start`."""
        ...

    def extend(
        self,
        entries: Float64[np.ndarray, "lasts columns"],
        lasts: Int64[np.ndarray, " lasts"],
        update: int,
        rate: float,
    ) -> None:
        """Add an update to the entries of rows that were updated last in `lasts`; the last entry is new."""
        ...

    def make_up(self, entries: Float[Tensor, "rows columns"], weight: Tensor, *buffers: Tensor) -> None:
        """Move rows on, in place, by the updates that they skipped."""
        ...

    def update(self, update: int, rate: float, gradient: Tensor, weight: Tensor, *buffers: Tensor) -> None:
        """Move rows on, in place, by an update that they have a gradient in."""
        ...

    def compiled_make_up(
        self,
        rows: Int64[Tensor, " rows"],
        entries: Float[Tensor, "rows columns"],
        tables: Sequence[Float[Tensor, "items width"]],
    ) -> None:
        """As `make_up`, of some rows of the whole matrix and its buffers, by a compiled kernel."""
        ...

    def compiled_update(
        self,
        update: int,
        rate: float,
        rows: Int64[Tensor, " rows"],
        gradient: Float[Tensor, "rows width"],
        tables: Sequence[Float[Tensor, "items width"]],
    ) -> None:
        """As `update`, likewise."""
        ...


class Skipped:
    """The table of skipped updates.

    It falls into segments: an entry reaches to the end of its own, and from there the entry of that update
    leads on.

    Args:
        rule: the optimizer.
    """

    def __init__(self, rule: Rule) -> None:
        self.now = 0
        self._rule = rule
        self._base = 0
        self._starts = [0]
        self._entries = np.empty((64, len(rule.identity)))

    def append(self, rate: float) -> None:
        """Count one update more."""
        if self.now > self._starts[-1] and self._rule.begins(self._starts[-1], self.now + 1):
            self._starts.append(self.now)
        place = self.now - self._base
        if place == len(self._entries):
            self._entries = np.concatenate([self._entries, np.empty_like(self._entries)])
        self._entries[place] = self._rule.identity
        start = self._starts[-1]
        entries = self._entries[start - self._base : place + 1]
        self._rule.extend(entries, np.arange(start, self.now + 1), self.now + 1, rate)
        self.now += 1

    def restart(self) -> None:
        """Forget everything, as no row is behind."""
        self._base, self._starts = self.now, [self.now]

    def since(
        self, lasts: Int64[Tensor, " rows"]
    ) -> tuple[Float64[Tensor, "rows columns"], Int64[Tensor, " rows"]]:
        """The entries of rows updated last in `lasts`, each before `now`, and how far they reach."""
        on_cpu = lasts.cpu()
        bounds = torch.tensor([*self._starts[1:], self.now])
        ends = bounds[torch.searchsorted(bounds, on_cpu, right=True)]
        entries = torch.from_numpy(self._entries)[on_cpu - self._base]
        return entries.to(lasts.device), ends.to(lasts.device)

    def state_dict(self) -> dict[str, int | list[int] | Tensor]:
        """All of it, as a checkpoint can hold it."""
        entries = torch.from_numpy(self._entries[: self.now - self._base].copy())
        return {"now": self.now, "base": self._base, "starts": list(self._starts), "entries": entries}

    def load_state_dict(self, state: dict[str, int | list[int] | Tensor]) -> None:
        """Take over what `state_dict` gave."""
        self.now, self._base, self._starts = state["now"], state["base"], list(state["starts"])  # type: ignore[assignment,arg-type]
        entries = state["entries"].cpu().numpy()  # type: ignore[union-attr]
        self._entries = np.concatenate([entries, np.empty((64, len(self._rule.identity)))])


@dataclass(frozen=True)
class Momentum:
    """SGD with momentum b and L2 decay λ: m ← b m + g + λ w, w ← w − r m (Sutskever et al. 2013, as PyTorch).

    Without a gradient (w, m) is multiplied by a 2 × 2 matrix that is the same for all weights. An entry is
    the product of these matrices, row by row.
    """

    momentum: float
    decay: float
    buffers = ("momentum",)
    identity = np.array([1.0, 0.0, 0.0, 1.0])

    def begins(self, start: int, update: int) -> bool:
        """Short segments keep the table's cost small; any length is exact."""
        return update - start > 1024

    def extend(
        self,
        entries: Float64[np.ndarray, "lasts columns"],
        _lasts: Int64[np.ndarray, " lasts"],
        _update: int,
        rate: float,
    ) -> None:
        """Multiply by one matrix more."""
        of_weight, of_momentum = entries[:, :2], entries[:, 2:]
        of_momentum *= self.momentum
        of_momentum += self.decay * of_weight
        of_weight -= rate * of_momentum

    def make_up(self, entries: Float[Tensor, "rows 4"], weight: Tensor, *buffers: Tensor) -> None:
        """Multiply by the product."""
        (momentum,) = buffers
        keep, drift, pull, fade = entries.t()[:, :, None]
        if self.decay:
            before = weight.clone()
            weight.mul_(keep).addcmul_(momentum, drift)
            momentum.mul_(fade).addcmul_(before, pull)
        else:  # keep = 1, pull = 0
            weight.addcmul_(momentum, drift)
            momentum.mul_(fade)

    def update(self, _update: int, rate: float, gradient: Tensor, weight: Tensor, *buffers: Tensor) -> None:
        """One step."""
        (momentum,) = buffers
        momentum.mul_(self.momentum).add_(gradient)
        if self.decay:
            momentum.add_(weight, alpha=self.decay)
        weight.sub_(momentum, alpha=rate)

    def compiled_make_up(
        self,
        rows: Int64[Tensor, " rows"],
        entries: Float[Tensor, "rows 4"],
        tables: Sequence[Float[Tensor, "items width"]],
    ) -> None:
        """As `make_up`."""
        kernels.update("momentum_skip", rows, entries, tables)

    def compiled_update(
        self,
        _update: int,
        rate: float,
        rows: Int64[Tensor, " rows"],
        gradient: Float[Tensor, "rows width"],
        tables: Sequence[Float[Tensor, "items width"]],
    ) -> None:
        """As `update`."""
        kernels.update("momentum_step", rows, gradient, tables, (rate, self.momentum, self.decay))


_SPREAD = 1 / 9  # how far, relatively, the β of a segment lie from their centre at most; see `AdamW`


@dataclass(frozen=True)
class AdamW:
    """AdamW (Loshchilov & Hutter 2019) with betas b₁, b₂ and decay λ.

    Without a gradient m ← b₁ m and v ← b₂ v. After j updates skipped since s, the t-th of all, the weight has
    moved by

        − c m / (β √v + ε)  with  c = r b₁ʲ / (1 − b₁ᵗ)  and  β = b₂^(j/2) / √(1 − b₂ᵗ)

    and m, v as of s. Only β and c depend on j. So around a centre β̄, with η = β/β̄ − 1, D = β̄ √v + ε and u =
    β̄ √v / D, which is in [0, 1), the sum over j is

        − (m / D) Σ c / (1 + η u) = − (m / D) Σₙ (−u)ⁿ Mₙ  with the moments  Mₙ = Σ c ηⁿ.

    A segment ends before |η| exceeds 1/9, so `terms` of the series leave out at most (1/9)^terms × 9/8 of the
    sum, whatever v is: 3e-8 with 8, 6e-16 with 16, below the rounding of float32 and float64.

    An entry holds b₁ʲ, b₂ʲ, the product of the decay's 1 − r λ, β̄ and the moments; each c, too, shrinks by
    the decays that come after it.
    """

    decay: float
    terms: int
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    buffers = ("mean", "square")

    @property
    def identity(self) -> Float64[np.ndarray, " columns"]:
        """Nothing fades, nothing moves."""
        return np.array([1.0, 1.0, 1.0, *[0.0] * (1 + self.terms)])

    def begins(self, start: int, update: int) -> bool:
        """When β would get too far from where it began."""
        ratio = float(self._beta(start, update) / self._beta(start, start + 1))
        return ratio < (1 - _SPREAD) / (1 + _SPREAD)

    def extend(
        self,
        entries: Float64[np.ndarray, "lasts columns"],
        lasts: Int64[np.ndarray, " lasts"],
        update: int,
        rate: float,
    ) -> None:
        """Add one term to the moments."""
        beta = np.asarray(self._beta(lasts, update))
        entries[-1, 3] = beta[-1] / (1 + _SPREAD)
        entries[:, 0] *= self.betas[0]
        entries[:, 1] *= self.betas[1]
        keep = 1 - rate * self.decay
        entries[:, 2] *= keep
        step = rate / (1 - self.betas[0] ** update) * entries[:, 0]
        powers = np.power.outer(beta / entries[:, 3] - 1, np.arange(self.terms))
        entries[:, 4:] *= keep
        entries[:, 4:] += step[:, None] * powers

    def make_up(self, entries: Float[Tensor, "rows columns"], weight: Tensor, *buffers: Tensor) -> None:
        """Sum the series."""
        mean, square = buffers
        fade, fade_square, keep, centre, *moments = entries.t()[:, :, None]
        scaled = square.sqrt().mul_(centre)
        denominator = scaled + self.epsilon
        u = scaled.div_(denominator)
        total = moments[-1].expand_as(weight)
        for moment in reversed(moments[:-1]):
            total = torch.addcmul(moment, total, u, value=-1)
        weight.mul_(keep).addcmul_(total, denominator.reciprocal_().mul_(mean), value=-1)
        mean.mul_(fade)
        square.mul_(fade_square)

    def update(self, update: int, rate: float, gradient: Tensor, weight: Tensor, *buffers: Tensor) -> None:
        """One step."""
        mean, square = buffers
        first, second = self.betas
        mean.lerp_(gradient, 1 - first)
        square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        denominator = square.sqrt().div_((1 - second**update) ** 0.5).add_(self.epsilon)
        weight.mul_(1 - rate * self.decay).addcdiv_(mean, denominator, value=-rate / (1 - first**update))

    def compiled_make_up(
        self,
        rows: Int64[Tensor, " rows"],
        entries: Float[Tensor, "rows columns"],
        tables: Sequence[Float[Tensor, "items width"]],
    ) -> None:
        """As `make_up`."""
        kernels.update("adamw_skip", rows, entries, tables, (0.0, 0.0, 0.0, 0.0, 0.0, self.epsilon))

    def compiled_update(
        self,
        update: int,
        rate: float,
        rows: Int64[Tensor, " rows"],
        gradient: Float[Tensor, "rows width"],
        tables: Sequence[Float[Tensor, "items width"]],
    ) -> None:
        """As `update`."""
        first, second = self.betas
        step, root = rate / (1 - first**update), (1 - second**update) ** 0.5
        scalars = (1 - rate * self.decay, 1 - first, second, root, step, self.epsilon, 1 - second)
        kernels.update("adamw_step", rows, gradient, tables, scalars)

    def _beta(
        self, last: int | Int64[np.ndarray, " lasts"], update: int
    ) -> Float64[np.ndarray, " lasts"] | np.float64:
        return np.sqrt(np.float64(self.betas[1]) ** (update - last) / (1 - self.betas[1] ** update))
