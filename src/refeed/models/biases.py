"""Damped user and item biases: how far a user or an item lies from the mean of all ratings."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int32, Int64
from numpy.typing import NDArray

from refeed.errors import ConfigError, DataError
from refeed.ratings.pairs import align_to
from refeed.ratings.store import Ratings

__all__ = ["Biases", "pick_damping"]

_CHUNK = 1 << 22  # ratings at a time: bounds the float64 temporaries to some 100 MB
_TOLERANCE = 1e-9  # of the conjugate gradients' residual, relative to its start
_ITERATIONS = 200  # reached only by data that falls into many nearly separate parts
_GRID = (0.5, 1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 50.0, 100.0)


@dataclass(frozen=True, eq=False)
class Biases:
    """The minimiser of Σ(r − μ − b_u − b_i)² + λ_u Σ b_u² + λ_i Σ b_i², where μ is the mean of the ratings.

    Only μ and the items' biases are kept: a user's bias follows from the history, so that a new user is
    no special case.

    Args:
        mean: μ.
        items: b_i; 0 for an item without ratings.
        user_damping: λ_u.
    """

    mean: float
    items: Float64[np.ndarray, " items"]
    user_damping: float

    @classmethod
    def fit(cls, ratings: Ratings, *, user_damping: float, item_damping: float) -> "Biases":
        """Fit to training ratings.

        The users' biases are eliminated exactly; what remains, a positive definite system in the items'
        biases, is solved by conjugate gradients with the diagonal as preconditioner. An iteration costs two
        passes over the ratings, as a sweep of alternating least squares would, but many fewer are needed.

        Args:
            ratings: the training ratings; memory-mapped arrays are fine.
            user_damping: λ_u, at least 0.
            item_damping: λ_i, at least 0.

        Raises:
            DataError: there is no rating.
            ConfigError: a damping is negative or not finite.
        """
        if not len(ratings):
            raise DataError("there is not a single rating to fit biases to; check the training ratings")
        if not (0 <= user_damping < np.inf and 0 <= item_damping < np.inf):
            raise ConfigError(
                f"damping must be finite and at least 0, got user {user_damping}, item {item_damping}"
            )
        start = cls(ratings.mean, np.zeros(ratings.n_items), float(user_damping))
        return cls(start.mean, _solved(start, ratings, item_damping), start.user_damping)

    def of_users(
        self,
        indptr: Int64[np.ndarray, " starts"],
        items: Int32[np.ndarray, " ratings"] | Int64[np.ndarray, " ratings"],
        values: NDArray[np.floating],
    ) -> Float64[np.ndarray, " users"]:
        """The bias of each user: Σ(r − μ − b_i) / (n_u + λ_u), and 0 for an empty history.

        Args:
            indptr: where each user's ratings start in `items` and `values`, and the end of the last; it may
                be a slice of a longer one, with the whole `items` and `values`.
            items: item positions.
            values: ratings.
        """
        sums = np.zeros(len(indptr) - 1)
        for first, last in _blocks(indptr):
            begin, end = indptr[first], indptr[last]
            # Looked up before the mean is added: a call costs what the histories cost, not the items.
            level = self.items[items[begin:end]]
            level += self.mean
            sums[first:last] = _sums(values[begin:end] - level, indptr[first : last + 1] - begin)
        return _divided(sums, np.diff(indptr) + self.user_damping)

    def predict(
        self,
        user_biases: Float64[np.ndarray, " users"],
        users: Int64[np.ndarray, " pairs"],
        items: Int64[np.ndarray, " pairs"],
    ) -> Float64[np.ndarray, " pairs"]:
        """μ + b_u + b_i of each pair; `users` are positions in `user_biases`, which `of_users` gives."""
        predicted: Float64[np.ndarray, " pairs"] = self.mean + user_biases[users] + self.items[items]
        return predicted


def pick_damping(train: Ratings, valid: Ratings) -> tuple[float, float]:
    """The damping (user, item) with the lowest validation RMSE on a grid from 0.5 to 100.

    The error is smooth in both, so the grid is walked down from (5, 3) to a point without a better
    neighbour.

    Args:
        train: ratings to fit to.
        valid: held-out ratings, with ids of their own; pairs unknown to `train` are left out.

    Raises:
        DataError: no validation rating has a user and an item that `train` knows.
    """
    pairs = align_to(valid, train)
    if not len(pairs):
        raise DataError(
            f"none of the {len(valid)} validation ratings has a user and an item that occur in training; "
            "validate on ratings of the training users and items, or set the damping yourself"
        )
    errors: dict[tuple[int, int], float] = {}

    def error(point: tuple[int, int]) -> float:
        if point not in errors:
            biases = Biases.fit(train, user_damping=_GRID[point[0]], item_damping=_GRID[point[1]])
            users = biases.of_users(train.indptr, train.items, train.values)
            residual = pairs.values - biases.predict(users, pairs.users, pairs.items)
            errors[point] = float(np.mean(residual**2))
        return errors[point]

    best, previous = (_GRID.index(5.0), _GRID.index(3.0)), None
    while best != previous:
        previous = best
        best = min([best, *_neighbours(best)], key=error)
    return _GRID[best[0]], _GRID[best[1]]


def _neighbours(point: tuple[int, int]) -> Iterator[tuple[int, int]]:
    for step in (-1, 1):
        for user, item in ((point[0] + step, point[1]), (point[0], point[1] + step)):
            if 0 <= user < len(_GRID) and 0 <= item < len(_GRID):
                yield user, item


def _solved(start: Biases, ratings: Ratings, item_damping: float) -> Float64[np.ndarray, " items"]:
    """Conjugate gradients (Hestenes & Stiefel 1952) on the normal equations of the items' biases."""
    indptr, items, values = ratings.indptr, ratings.items, ratings.values
    counts = ratings.item_counts + item_damping

    def user_biases(of_items: Float64[np.ndarray, " items"]) -> Float64[np.ndarray, " users"]:
        return Biases(start.mean, of_items, start.user_damping).of_users(indptr, items, values)

    without = user_biases(start.items)
    solution = start.items
    residual = _item_sums(ratings, without, start.mean)
    tolerance = _TOLERANCE * np.linalg.norm(residual)
    direction = scaled = _divided(residual, counts)
    product = residual @ scaled
    for _ in range(_ITERATIONS):
        if np.linalg.norm(residual) <= tolerance:
            break
        # Users' biases are affine in the items': the difference is what `direction` alone would change.
        curved = counts * direction + _item_sums(ratings, user_biases(direction) - without)
        step = product / (direction @ curved)
        solution = solution + step * direction
        residual = residual - step * curved
        scaled = _divided(residual, counts)
        previous, product = product, residual @ scaled
        direction = scaled + (product / previous) * direction
    return solution


def _item_sums(
    ratings: Ratings, of_users: Float64[np.ndarray, " users"], mean: float | None = None
) -> Float64[np.ndarray, " items"]:
    """Per item, Σ b_u over who rated it; with a mean, Σ(r − mean − b_u)."""
    sums = np.zeros(ratings.n_items)
    for first, last in _blocks(ratings.indptr):
        begin, end = ratings.indptr[first], ratings.indptr[last]
        each = np.repeat(of_users[first:last], np.diff(ratings.indptr[first : last + 1]))
        weights = each if mean is None else ratings.values[begin:end] - (mean + each)
        sums += np.bincount(ratings.items[begin:end], weights=weights, minlength=len(sums))
    return sums


def _blocks(indptr: Int64[np.ndarray, " starts"]) -> Iterator[tuple[int, int]]:
    """Ranges of users that have about `_CHUNK` ratings together."""
    first, users = 0, len(indptr) - 1
    while first < users:
        last = int(np.searchsorted(indptr, indptr[first] + _CHUNK, side="right")) - 1
        last = min(max(last, first + 1), users)
        yield first, last
        first = last


def _sums(
    values: Float64[np.ndarray, " ratings"], indptr: Int64[np.ndarray, " starts"]
) -> Float64[np.ndarray, " users"]:
    """Sums of consecutive segments; 0 for an empty one, which `reduceat` alone gets wrong."""
    sums = np.zeros(len(indptr) - 1)
    filled = indptr[:-1] < indptr[1:]
    if filled.any():
        sums[filled] = np.add.reduceat(values, indptr[:-1][filled])
    return sums


def _divided(sums: Float64[np.ndarray, " n"], counts: Float64[np.ndarray, " n"]) -> Float64[np.ndarray, " n"]:
    """Quotients; 0 where the count is 0."""
    quotients = np.zeros_like(sums)
    np.divide(sums, counts, out=quotients, where=counts > 0)
    return quotients
