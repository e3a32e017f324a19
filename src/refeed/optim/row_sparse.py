"""An optimizer that costs what a batch touches, and whose weights are those of the dense one.

Rows without a gradient wait; they catch up, all their skipped updates at once, before anybody reads them:
`catch_up` before a forward pass, `flush` before an evaluation or a save. See `skipped` for why that is exact.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from refeed import kernels
from refeed.optim.lazy_updates import Rule, Skipped

__all__ = ["RowSparse"]

_CHUNK = 1 << 17  # weights at a time: they, their buffers and temporaries stay in the cache


class RowSparse(torch.optim.Optimizer):
    """Sparse updates of some matrices, row by row; all other parameters have an optimizer of their own.

    Args:
        matrices: their gradients are sparse, of whole rows.
        rule: how a row is updated.
        rest: of all other parameters; by the same rule, as one can't see the difference.
        rate: learning rate.
    """

    def __init__(
        self, matrices: Iterable[nn.Parameter], rule: Rule, rest: torch.optim.Optimizer, rate: float
    ) -> None:
        super().__init__(list(matrices), {"lr": rate})
        self._matrices: list[nn.Parameter] = list(self.param_groups[0]["params"])
        self._rule = rule
        self._rest = rest
        self._skipped = Skipped(rule)
        self.param_groups += rest.param_groups  # one place to set the rate of all
        for matrix in self._matrices:
            buffers = {name: torch.zeros_like(matrix) for name in rule.buffers}
            last = torch.zeros(len(matrix), dtype=torch.int64, device=matrix.device)
            self.state[matrix] = {"last": last, **buffers}

    @torch.no_grad()
    def catch_up(self, matrix: nn.Parameter, rows: Int64[Tensor, " rows"]) -> None:
        """Make some rows what the dense optimizer would have made them by now.

        Args:
            matrix: one of the sparse ones.
            rows: positions, each once.
        """
        last = self.state[matrix]["last"]
        while len(rows := rows[last[rows] < self._skipped.now]):
            entries, ends = self._skipped.since(last[rows])
            entries = entries.to(matrix.dtype)
            if kernels.serves(matrix):
                self._rule.compiled_make_up(rows, entries, self._tables(matrix))
            else:
                for some, tensors in self._in_chunks(matrix, rows):
                    self._rule.make_up(entries[some], *tensors)
            last[rows] = ends

    def flush(self) -> None:
        """Let every row catch up."""
        for matrix in self._matrices:
            self.catch_up(matrix, torch.arange(len(matrix), device=matrix.device))
        self._skipped.restart()

    @torch.no_grad()
    def step(self, _closure: None = None) -> None:  # type: ignore[override]
        """One update, from the gradients; rows that have none wait."""
        self._rest.step()
        rate = self.param_groups[0]["lr"]
        update = self._skipped.now + 1
        for matrix in self._matrices:
            if matrix.grad is None:
                continue
            rows, gradient = _rows_of(matrix.grad)
            self.catch_up(matrix, rows)  # those that only other processes have read
            if kernels.serves(matrix):
                self._rule.compiled_update(update, rate, rows, gradient, self._tables(matrix))
            else:
                for some, tensors in self._in_chunks(matrix, rows):
                    self._rule.update(update, rate, gradient[some], *tensors)
            self.state[matrix]["last"][rows] = update
        self._skipped.append(rate)

    def state_dict(self) -> dict[str, Any]:
        """All of it as it is, rows that wait included: a resumed training rounds as one never stopped."""
        return {
            "matrices": [self.state[matrix] for matrix in self._matrices],
            "skipped": self._skipped.state_dict(),
            "rest": self._rest.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over what `state_dict` gave, without a copy."""
        for matrix, state in zip(self._matrices, state_dict["matrices"], strict=True):
            self.state[matrix] = state
        self._skipped.load_state_dict(state_dict["skipped"])
        self._rest.load_state_dict(state_dict["rest"])
        # PyTorch has put new groups into the rest.
        self.param_groups[1:] = self._rest.param_groups

    def _tables(self, matrix: nn.Parameter) -> list[Tensor]:
        return [matrix.data, *(self.state[matrix][name] for name in self._rule.buffers)]

    def _in_chunks(
        self, matrix: nn.Parameter, rows: Int64[Tensor, " rows"]
    ) -> Iterator[tuple[slice, list[Float[Tensor, "some width"]]]]:
        """Some rows of the matrix and of its buffers at a time; what the caller makes of them is kept."""
        wholes = self._tables(matrix)
        size = max(_CHUNK // matrix.shape[1], 1)
        for first in range(0, len(rows), size):
            some = slice(first, min(first + size, len(rows)))
            parts = [whole.index_select(0, rows[some]) for whole in wholes]
            yield some, parts
            for whole, part in zip(wholes, parts, strict=True):
                whole.index_copy_(0, rows[some], part)


def _rows_of(gradient: Tensor) -> tuple[Int64[Tensor, " rows"], Float[Tensor, "rows width"]]:
    """Each row once, ascending."""
    rows = gradient._indices()[0]  # noqa: SLF001 - the public one wants a flag that autograd drops
    if not bool((rows.diff() > 0).all()):  # tied weights: the sum of two
        gradient = gradient.coalesce()
    return gradient._indices()[0], gradient._values()  # noqa: SLF001
