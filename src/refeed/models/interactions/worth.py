"""What an interaction is worth as an input, on numpy alone (the formulas of `inputs.py`)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST", "PRIOR", "Worth", "later_interactions"]

LEAST = 0.05
"""What the least liked interaction is worth."""

PRIOR = 5.0
"""Interactions at the mean that are added to each user's own, for their mean."""


@dataclass(frozen=True)
class Worth:
    """From values and times of interactions to inputs.

    Args:
        mean: of the values (or of log(1 + count)) of all training interactions.
        deviation: theirs.
        grade: w, at least 0; 0: every interaction counts alike, whatever its value.
        recency: ρ, at least 0.
        span: τ, in interactions.
        counts: values are counts rather than ratings.
    """

    mean: float
    deviation: float
    grade: float
    recency: float
    span: float
    counts: bool

    def inputs(
        self, indptr: NDArray[np.int64], values: NDArray[np.floating], times: NDArray[np.int64] | None
    ) -> NDArray[np.float32]:
        """The inputs of users one after the other, [interactions].

        Args:
            indptr: where each user's interactions start, and their total at the end.
            values: ratings or counts.
            times: Unix seconds; None: unknown.
        """
        inputs = self.graded(indptr, values)
        if self.recency and times is not None:
            inputs *= self._recencies(indptr, times)
        return inputs

    def graded(self, indptr: NDArray[np.int64], values: NDArray[np.floating]) -> NDArray[np.float32]:
        """max(1 + w (r − m_u) / s, 0.05) of each interaction."""
        if not self.grade:
            return np.ones(len(values), dtype=np.float32)
        levels, counts = self.levels(values), np.diff(indptr)
        sums = _sums_by_user(indptr, levels - self.mean)
        means = self.mean + sums / (counts + PRIOR)
        graded = 1 + self.grade * (levels - np.repeat(means, counts)) / self.deviation
        return np.maximum(graded, LEAST).astype(np.float32)

    def levels(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Ratings as they are, counts as log(1 + count)."""
        levels = np.asarray(values, dtype=np.float64)
        return np.log1p(np.maximum(levels, 0)) if self.counts else levels

    def _recencies(self, indptr: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.float32]:
        weights = 1 + self.recency * np.exp(-later_interactions(indptr, times) / self.span)
        counts = np.diff(indptr)
        means = _sums_by_user(indptr, weights) / np.maximum(counts, 1)
        recencies: NDArray[np.float32] = (weights / np.repeat(means, counts)).astype(np.float32)
        return recencies


def later_interactions(indptr: NDArray[np.int64], times: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many interactions of the same user are later than each one; those at the same time are not."""
    counts = np.diff(indptr)
    owners = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((-times, owners))
    sorted_times, sorted_owners = times[order], owners[order]
    places = np.arange(len(times))
    new = np.ones(len(times), dtype=bool)
    new[1:] = (sorted_times[1:] != sorted_times[:-1]) | (sorted_owners[1:] != sorted_owners[:-1])
    firsts = np.maximum.accumulate(np.where(new, places, 0))
    later = np.empty(len(times), dtype=np.int64)
    later[order] = firsts - indptr[sorted_owners]
    return later


def _sums_by_user(indptr: NDArray[np.int64], values: NDArray[np.floating]) -> NDArray[np.float64]:
    owners = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    sums = np.bincount(owners, weights=values, minlength=len(indptr) - 1)
    return sums.astype(np.float64)  # bincount of nothing counts in whole numbers
