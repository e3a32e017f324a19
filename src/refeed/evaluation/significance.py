"""How far errors and metrics could be otherwise with other users: the bootstrap over users.

The ratings of one user are not independent, so whole users are drawn, with replacement (the multinomial
bootstrap of Efron 1979 on clusters); intervals are the percentiles of the drawn values.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

from refeed.evaluation.metrics import UserErrors

__all__ = ["Difference", "Estimate", "mean_differences", "mean_estimates", "paired", "pooled"]

_CHUNK = 1 << 20  # drawn users held at a time: some 32 MB


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval.

    Args:
        value: over the users that there are.
        low: 2.5 % of the draws lie below; None with fewer than two users, who say nothing of others.
        high: 2.5 % of the draws lie above; None likewise.
    """

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Difference(Estimate):
    """A difference between two runs, its 95 % interval and its p-value.

    Args:
        p: two-sided: twice the share of draws on the other side of 0, at least 2 / (draws + 1); 1.0 with
            fewer than two users.
    """

    p: float


def pooled(
    runs: Sequence[UserErrors], *, seed: int = 0, resamples: int = 1000
) -> list[tuple[Estimate, Estimate]]:
    """RMSE and MAE of each run, each with its interval.

    Args:
        runs: errors of the same users, of at least one rating; the same users are drawn for all.
        seed: of the draws; the same for the same numbers twice.
        resamples: how many draws of users.
    """
    estimates = []
    for errors, drawn in zip(runs, _draws(runs, seed=seed, resamples=resamples), strict=True):
        rmse, mae = _rmse_mae(_sums(errors).sum(axis=0)).tolist()
        estimates.append((Estimate(rmse, *_interval(drawn[:, 0])), Estimate(mae, *_interval(drawn[:, 1]))))
    return estimates


def paired(
    ones: Sequence[UserErrors], others: Sequence[UserErrors], *, seed: int = 0, resamples: int = 1000
) -> list[tuple[Difference, Difference]]:
    """The differences one − other in RMSE and MAE, run by run; each pair on the same ratings.

    A negative difference says that the one is the better. Both are drawn together, so what a user makes hard
    for both does not count.

    Args:
        ones: the errors of some runs.
        others: the errors of as many others, their users in the same order.
        seed: of the draws.
        resamples: how many draws of users.
    """
    drawn = _draws([*ones, *others], seed=seed, resamples=resamples)
    pairs = zip(ones, others, drawn[: len(ones)], drawn[len(ones) :], strict=True)
    differences = []
    for one, other, draws_one, draws_other in pairs:
        values = _rmse_mae(_sums(one).sum(axis=0)) - _rmse_mae(_sums(other).sum(axis=0))
        by_rmse, by_mae = (
            Difference(float(value), *_interval(draws), p=_two_sided(draws))
            for value, draws in zip(values, (draws_one - draws_other).T, strict=True)
        )
        differences.append((by_rmse, by_mae))
    return differences


def mean_estimates(
    values: Float[np.ndarray, "users metrics"], *, seed: int = 0, resamples: int = 1000
) -> list[Estimate]:
    """The mean of each metric over users, each with its interval.

    Args:
        values: of each user, at least one.
        seed: of the draws; the same users are drawn as by `pooled` with the same seed.
        resamples: how many draws of users.
    """
    drawn = _mean_draws(values, seed=seed, resamples=resamples)
    means = values.mean(axis=0, dtype=np.float64)
    return [Estimate(mean, *_interval(draws)) for mean, draws in zip(means.tolist(), drawn.T, strict=True)]


def mean_differences(
    one: Float[np.ndarray, "users metrics"],
    other: Float[np.ndarray, "users metrics"],
    *,
    seed: int = 0,
    resamples: int = 1000,
) -> list[Difference]:
    """The differences one − other of the means over the same users, in the same order; metric by metric."""
    values = one.astype(np.float64) - other
    drawn = _mean_draws(values, seed=seed, resamples=resamples)
    return [
        Difference(mean, *_interval(draws), p=_two_sided(draws))
        for mean, draws in zip(values.mean(axis=0).tolist(), drawn.T, strict=True)
    ]


def _mean_draws(
    values: Float[np.ndarray, "users metrics"], *, seed: int, resamples: int
) -> Float64[np.ndarray, "resamples metrics"]:
    users = len(values)
    if users < 2:
        return np.empty((0, values.shape[1]))
    exact = values.astype(np.float64)
    return np.concatenate([weights @ exact / users for weights in _weights(users, seed, resamples)])


def _draws(
    runs: Sequence[UserErrors], *, seed: int, resamples: int
) -> list[Float64[np.ndarray, "resamples metrics"]]:
    """RMSE and MAE of each run in each draw, the same users for all; no rows with fewer than two users."""
    users = len(runs[0].counts)
    if users < 2:
        return [np.empty((0, 2)) for _ in runs]
    # A product with few columns passes over the weights once: all runs together.
    sums = np.concatenate([_sums(errors) for errors in runs], axis=1)
    drawn = np.concatenate([weights @ sums for weights in _weights(users, seed, resamples)])
    return [_rmse_mae(run) for run in np.split(drawn, len(runs), axis=1)]


def _weights(users: int, seed: int, resamples: int) -> Iterator[Float64[np.ndarray, "chunk users"]]:
    """How often each user is drawn, a chunk of draws at a time; the chunks don't change the numbers."""
    generator = np.random.default_rng(seed)
    at_once = max(1, _CHUNK // users)
    for first in range(0, resamples, at_once):
        draws = min(at_once, resamples - first)
        drawn = generator.integers(users, size=(draws, users)) + users * np.arange(draws)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=draws * users)
        yield counts.reshape(draws, users).astype(np.float64)


def _sums(errors: UserErrors) -> Float64[np.ndarray, "users 3"]:
    return np.stack([errors.counts, errors.squared, errors.absolute], axis=1)


def _rmse_mae(sums: Float64[np.ndarray, "*draws 3"]) -> Float64[np.ndarray, "*draws 2"]:
    means: Float64[np.ndarray, "*draws 2"] = sums[..., 1:] / sums[..., :1]
    means[..., 0] = np.sqrt(means[..., 0])
    return means


def _interval(draws: Float64[np.ndarray, " resamples"]) -> tuple[float | None, float | None]:
    if not len(draws):
        return None, None
    low, high = np.quantile(draws, [0.025, 0.975])
    return float(low), float(high)


def _two_sided(differences: Float64[np.ndarray, " resamples"]) -> float:
    below = 1 + np.count_nonzero(differences <= 0)
    above = 1 + np.count_nonzero(differences >= 0)
    return float(min(1.0, 2 * min(below, above) / (len(differences) + 1)))
