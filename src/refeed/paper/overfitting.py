"""Whether validation errors rise again after their best epoch."""

import statistics
from dataclasses import dataclass

from refeed.paper.group import Group, signed
from refeed.paper.section import Verdict

__all__ = ["NOTICEABLE", "Rise", "rise_of"]

NOTICEABLE = 0.002
"""A rise of the RMSE below this is not told from noise."""


@dataclass(frozen=True)
class Rise:
    """How much the evaluation RMSE rose from its best epoch to the last one.

    Args:
        by_seed: in each training.
        best_epochs: of each training.
        epochs: that each had.
    """

    by_seed: tuple[float, ...]
    best_epochs: tuple[int, ...]
    epochs: tuple[int, ...]

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return statistics.fmean(self.by_seed)

    @property
    def overfits(self) -> Verdict:
        """Whether it clearly overfits; not settled while the last epoch is the best."""
        if min(self.by_seed) > NOTICEABLE:
            return "holds"
        return "not settled" if any(map(int.__eq__, self.best_epochs, self.epochs)) else "does not hold"

    def __str__(self) -> str:
        """For people."""
        best = "/".join(map(str, self.best_epochs))
        if self.best_epochs == self.epochs:
            return f"still falling in the last epoch, {best}"
        last = "/".join(map(str, self.epochs))
        return f"{signed(self.mean)} from its best epoch ({best}) to the last ({last})"


def rise_of(group: Group) -> Rise | None:
    """Of the trainings that did not diverge; None if there is none."""
    results = [result for result in group.well.values() if result.metrics]
    if not results:
        return None
    return Rise(
        tuple(result.metrics[-1]["valid_rmse"] - (result.valid_rmse or 0.0) for result in results),
        tuple(result.best_epoch or 0 for result in results),
        tuple(result.epochs for result in results),
    )
