"""How many stars simulated ratings get: Netflix's shares, and a noise floor that is known.

A score is cut into stars where the shares of the stars come out as Netflix's:

    score = b_i + b_i(t) + b_u + α_u τ + q_i · (p_u + τ δ_u) + ε,    ε ~ N(0, 1),

with b_i(t) a random walk of the item (in the bins of timeSVD++, Koren 2009) and τ the years from the middle
of the user's own time. The variance of the stars given all but ε is known, and so is the least RMSE that any
method can reach.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float32, Float64, Int8, Int16, Int32
from numpy.typing import NDArray

from refeed.ratings.simulation_pairs import BINS, DAYS, Pairs, PairSampler

__all__ = ["Chunk", "Simulation"]

# Deviations over the ratings, in units of the noise: chosen so that the methods come out as on Netflix (on a
# random split of 5M ratings of 50k users and 5k items: damped biases .98, biased matrix factorisation .91).
_ITEM_BIAS = 0.445
_POPULAR_IS_LIKED = 0.35  # correlation of an item's bias with its log weight
_ITEM_DRIFT = 0.15
_USER_BIAS = 0.425
_USER_DRIFT = 0.12  # a year
_TASTE = 0.58  # of all dimensions together
_TASTES = 20
_TASTE_DECAY = 0.87  # of the deviation, from one dimension to the next
_TASTE_DRIFT = 0.12  # a year, relative to the taste
_STARS = (0.0460, 0.1008, 0.2867, 0.3359, 0.2306)  # Netflix's shares

# What a generator is for; each has its own seed, so that a chunk's numbers depend on no other chunk.
_PARAMETERS, _SCORES = 1, 2


@dataclass(frozen=True, eq=False)
class Chunk:
    """The ratings of some users, sorted by user and item.

    Args:
        users: positions.
        items: positions.
        stars: 1 to 5.
        days: counted from `FIRST_DAY`.
        variance: the variances of the stars, given everything but the noise, summed over the ratings.
    """

    users: Int32[np.ndarray, " ratings"]
    items: Int32[np.ndarray, " ratings"]
    stars: Int8[np.ndarray, " ratings"]
    days: Int16[np.ndarray, " ratings"]
    variance: float


@dataclass(frozen=True, eq=False)
class _Items:
    """What the score needs of the items: biases in every bin of time, and tastes."""

    bias: Float32[np.ndarray, " items_bins"]
    tastes: Float32[np.ndarray, "items tastes"]


class Simulation:
    """Ratings to be made, chunk by chunk; the same arguments give the same ratings.

    Args:
        users: their number; each has a rating.
        items: their number; each has a rating.
        ratings: their number; each (user, item) pair occurs once.
        seed: of everything random.

    Raises:
        ConfigError: fewer ratings than users or than items, or more than half of all pairs; a negative seed.
    """

    def __init__(self, users: int, items: int, ratings: int, seed: int) -> None:
        self.pairs = PairSampler(users, items, ratings, seed)
        random = np.random.default_rng((seed, _PARAMETERS))
        # The first users are a random sample; what is typical is measured on them.
        pilot = self.pairs.chunk(0)
        self._items = _draw_items(self.pairs.weights, pilot, random)
        self._cuts = _cuts_into_stars(self._items, pilot, random)

    def chunks(self) -> Iterator[Chunk]:
        """Make all ratings, in the order of users and items."""
        for number in range(len(self.pairs)):
            random = np.random.default_rng((self.pairs.seed, _SCORES, number))
            yield self._rated(self.pairs.chunk(number), random)

    def _rated(self, pairs: Pairs, random: np.random.Generator) -> Chunk:
        expected = self._expected(pairs, random)
        scores = expected + random.standard_normal(len(expected), dtype=np.float32)
        stars = np.ones(len(scores), dtype=np.int8)
        for cut in self._cuts:
            stars += scores > cut
        return Chunk(
            users=(pairs.first + pairs.users).astype(np.int32),
            items=pairs.items.astype(np.int32),
            stars=stars,
            days=(pairs.times * DAYS).astype(np.int16),
            variance=float(np.interp(expected, *self._variances).sum()),
        )

    def _expected(self, pairs: Pairs, random: np.random.Generator) -> Float32[np.ndarray, " ratings"]:
        """The score without its noise."""
        size = (len(pairs.counts), _TASTES)
        bias, drift = random.standard_normal((2, len(pairs.counts)), dtype=np.float32)
        tastes, taste_drifts = random.standard_normal((2, *size), dtype=np.float32)
        q = self._items.tastes[pairs.items]
        drifted: NDArray[np.float32] = np.einsum("nk,nk->n", q, np.repeat(taste_drifts, pairs.counts, axis=0))
        drifted *= _TASTE_DRIFT
        drifted += np.repeat(_USER_DRIFT * drift, pairs.counts)
        scores: NDArray[np.float32] = np.einsum("nk,nk->n", q, np.repeat(tastes, pairs.counts, axis=0))
        scores += drifted * pairs.years
        scores += np.repeat(_USER_BIAS * bias, pairs.counts)
        scores += self._items.bias[pairs.bins]
        return scores

    @cached_property
    def _variances(self) -> tuple[Float64[np.ndarray, " grid"], Float64[np.ndarray, " grid"]]:
        """Expected scores, and the variances of their stars, to interpolate between."""
        grid = np.linspace(self._cuts[0] - 6, self._cuts[-1] + 6, 4001)
        # The star is 1 + how many cuts the score passes: the chance of each, and from that the moments.
        heights = np.subtract.outer(grid, self._cuts) / math.sqrt(2)
        passes = (1 + np.array([math.erf(height) for height in heights.ravel().tolist()])) / 2
        passes = passes.reshape(heights.shape)
        mean = passes.sum(1)
        square = passes @ (2 * np.arange(len(self._cuts)) + 1)
        return grid, square - np.square(mean)


def _draw_items(weights: Float64[np.ndarray, " items"], pilot: Pairs, random: np.random.Generator) -> _Items:
    """Draw the items' biases, drifts and tastes; over the pilot's ratings they have the variances wanted."""
    n = len(weights)
    share = np.bincount(pilot.items, minlength=n) / len(pilot.items)
    popularity = _standard(np.log(weights)[:, None], share)[:, 0]
    own = math.sqrt(1 - _POPULAR_IS_LIKED**2) * random.standard_normal(n)
    bias = _standard((_POPULAR_IS_LIKED * popularity + own)[:, None], share)
    walk = np.cumsum(random.standard_normal((n, BINS), dtype=np.float32), axis=1)
    # One more in each bin, as a small pilot may leave some empty.
    when = (np.bincount(pilot.bins % BINS, minlength=BINS) + 1) / (len(pilot.items) + BINS)
    walk -= (walk @ when)[:, None]
    walk /= math.sqrt(float(share @ (np.square(walk) @ when)))
    strengths = _TASTE_DECAY ** np.arange(_TASTES)
    strengths *= _TASTE / np.linalg.norm(strengths)
    tastes = _standard(random.standard_normal((n, _TASTES)), share) * strengths
    return _Items(
        bias=(_ITEM_BIAS * bias + _ITEM_DRIFT * walk).astype(np.float32).ravel(),
        tastes=tastes.astype(np.float32),
    )


def _cuts_into_stars(
    items: _Items, pilot: Pairs, random: np.random.Generator
) -> Float64[np.ndarray, " cuts"]:
    """Where the score passes from one star to the next, so that the shares of the stars come out.

    Given the item and the time, the score of a random user is normal.
    """
    variance = np.square(items.tastes[pilot.items]).sum(1)
    variance *= 1 + np.square(_TASTE_DRIFT * pilot.years)
    variance += _USER_BIAS**2 + np.square(_USER_DRIFT * pilot.years) + 1
    scores = items.bias[pilot.bins] + np.sqrt(variance) * random.standard_normal(len(variance))
    cuts: NDArray[np.float64] = np.quantile(scores, np.cumsum(_STARS[:-1])).astype(np.float64)
    return cuts


def _standard(
    values: Float64[np.ndarray, "items columns"], share: Float64[np.ndarray, " items"]
) -> Float64[np.ndarray, "items columns"]:
    """Shift and scale columns to mean 0 and variance 1, weighted."""
    centred: NDArray[np.float64] = values - share @ values
    scale: NDArray[np.float64] = np.sqrt(share @ np.square(centred))
    centred /= np.where(scale > 0, scale, 1)
    return centred
