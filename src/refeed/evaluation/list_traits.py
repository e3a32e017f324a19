"""What lists are like, whoever reads them: how much of the catalogue they show, how popular, how evenly."""

import numpy as np
from jaxtyping import Float64, Int64

from refeed.evaluation.top_lists import Chances

__all__ = ["Exposure", "gini", "popularity_percentiles", "self_information"]


def self_information(counts: Int64[np.ndarray, " items"]) -> Float64[np.ndarray, " items"]:
    """−log2 of the chance that a training rating drawn at random is of the item, in bits.

    Castells, Vargas & Wang (2011) call it an item's novelty of free discovery. An item without a training
    rating counts as if it had one.
    """
    total = max(int(counts.sum()), 1)
    bits: Float64[np.ndarray, " items"] = -np.log2(np.maximum(counts, 1) / total)
    return bits


def popularity_percentiles(counts: Int64[np.ndarray, " items"]) -> Float64[np.ndarray, " items"]:
    """The share of the items that have fewer training ratings than each, those with as many counted half.

    0 is the rarest, 1 the most popular, and the mean over the catalogue is ½.
    """
    ordered = np.sort(counts)
    below, up_to = (np.searchsorted(ordered, counts, side) for side in ("left", "right"))
    percentiles: Float64[np.ndarray, " items"] = (below + up_to) / (2 * len(counts))
    return percentiles


def gini(exposures: Float64[np.ndarray, " items"]) -> float:
    """How unevenly items are listed: 0 where all are as often, near 1 where few items have all the places.

    Σ (2 i − n − 1) x_i / (n Σ x), with the exposures x ascending.
    """
    n, total = len(exposures), float(exposures.sum())
    if not total:
        return 0.0
    ranks = 2 * np.arange(1, n + 1) - n - 1
    return max(0.0, float(ranks @ np.sort(exposures)) / (n * total))


class Exposure:
    """In how many lists each item is expected to be, over all orders of equal scores; summed list by list.

    Args:
        n_items: the size of the catalogue.
    """

    def __init__(self, n_items: int) -> None:
        self._lists = np.zeros(n_items)
        self._log_of_absence = np.zeros(n_items)

    def add(self, chances: Chances) -> None:
        """Count the lists of some more users."""
        self._lists += chances.by_item()
        self._log_of_absence += chances.by_item(log_of_absence=True)

    def coverage(self) -> float:
        """The share of the catalogue that is expected to be in at least one list."""
        return float(np.mean(-np.expm1(self._log_of_absence)))

    def gini(self) -> float:
        """The Gini coefficient of the expected lists an item; items in no list count."""
        return gini(self._lists)
