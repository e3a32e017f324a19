"""Runs that differ by seed and coin alone, taken together, and two such groups compared."""

import statistics
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float64

from refeed.evaluation.metrics import UserErrors
from refeed.evaluation.significance import Difference, Estimate, paired, pooled
from refeed.paper.trial import Result

__all__ = ["Contrast", "Group", "contrast"]

Number = Literal["valid_rmse", "test_rmse", "test_rmse_clipped", "seconds", "peak_mib"]


@dataclass(frozen=True, eq=False)
class Group:
    """The results of a variant, by seed.

    Args:
        results: seed → what its run left; at least one.
        failed: why a run gave nothing, for the seeds without a result.
    """

    results: dict[int, Result]
    failed: dict[int, str]

    @cached_property
    def well(self) -> dict[int, Result]:
        """The results of the runs that did not diverge."""
        return {seed: result for seed, result in self.results.items() if result.diverged is None}

    def values(self, number: Number) -> list[float]:
        """A number of each run that did not diverge."""
        return [getattr(result, number) for result in self.well.values()]

    def mean(self, number: Number) -> float | None:
        """Over the seeds; None if there is no run that did not diverge."""
        values = self.values(number)
        return statistics.fmean(values) if values else None

    def deviation(self, number: Number) -> float | None:
        """The standard deviation over the seeds; None with fewer than two."""
        values = self.values(number)
        return statistics.stdev(values) if len(values) > 1 else None

    def interval(self) -> Estimate | None:
        """The clipped test RMSE pooled over seeds and coins, and its 95 % interval over users."""
        if not self.well:
            return None
        ((rmse, _),) = pooled(_together([list(self.well.values())], clipped=True))
        return rmse


@dataclass(frozen=True)
class Contrast:
    """One group minus another, in test RMSE.

    Args:
        rmse: pooled over the seeds that both have, with a 95 % interval and p-value by a paired bootstrap
            over users.
        by_seed: the difference of each of those seeds.
    """

    rmse: Difference
    by_seed: tuple[float, ...]

    @property
    def sign(self) -> int:
        """−1 if the one is the better, 1 if the other is, 0 if that is not settled.

        Settled is what users and seeds agree on: the interval is on one side of 0, and so is every seed.
        """
        if self.rmse.low is None or self.rmse.high is None:
            return 0
        if self.rmse.high < 0 and max(self.by_seed) < 0:
            return -1
        return int(self.rmse.low > 0 and min(self.by_seed) > 0)

    def __str__(self) -> str:
        """For people."""
        if self.rmse.low is None or self.rmse.high is None:
            return signed(self.rmse.value)
        spread = ""
        if len(self.by_seed) > 1:
            spread = f"; by seed {', '.join(map(signed, self.by_seed))}"
        return (
            f"{signed(self.rmse.value)} ({signed(self.rmse.low)} to {signed(self.rmse.high)}, "
            f"p = {self.rmse.p:.3f}{spread})"
        )


def contrast(one: Group, other: Group, *, clipped: bool = False) -> Contrast | None:
    """Compare two groups on the same test ratings; None if they have no seed in common.

    Args:
        one: negative differences say that it is the better.
        other: what it is compared with.
        clipped: compare predictions clipped to the scale of the ratings.
    """
    both = [
        seed for seed in one.well if seed in other.well and one.well[seed].pairs == other.well[seed].pairs
    ]
    if not both:
        return None
    sides = [[group.well[seed] for seed in both] for group in (one, other)]
    number: Number = "test_rmse_clipped" if clipped else "test_rmse"
    mine, theirs = ([getattr(result, number) for result in side] for side in sides)
    by_seed = tuple(a - b for a, b in zip(mine, theirs, strict=True))
    one_errors, other_errors = _together(sides, clipped=clipped)
    ((rmse, _),) = paired([one_errors], [other_errors])
    return Contrast(rmse, by_seed)


def signed(value: float) -> str:
    """With a sign, as people write it."""
    return f"{value:+.4f}".replace("-", "−")


def _together(sides: list[list[Result]], *, clipped: bool) -> list[UserErrors]:
    """Each side's errors by user, added up over its runs; the same users in the same order."""
    tables = [[result.errors(clipped=clipped) for result in side] for side in sides]
    users = np.unique(np.concatenate([of for side in tables for of, _ in side]))
    added = []
    for side in tables:
        sums: Float64[np.ndarray, "users 3"] = np.zeros((len(users), 3))
        for of, table in side:
            sums[np.searchsorted(users, of)] += table
        added.append(UserErrors(*(np.ascontiguousarray(column) for column in sums.T)))
    return added
