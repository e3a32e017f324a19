"""The bootstrap over users, on errors whose truth is known."""

from dataclasses import astuple

import numpy as np
import pytest
from jaxtyping import Float64
from scipy.stats import kstest

from refeed.evaluation import significance
from refeed.evaluation.metrics import UserErrors
from refeed.evaluation.significance import paired, pooled


def _sample(
    rng: np.random.Generator, users: int = 150, *, shift: float = 0.0
) -> tuple[UserErrors, UserErrors]:
    """Two runs whose errors share what is hard about a user; those of the first are `shift` larger."""
    counts = rng.integers(1, 30, users).astype(float)
    hardness = rng.gamma(4, 0.25, users)
    one, other = (counts * (hardness + shift_ + rng.normal(0, 0.1, users)) for shift_ in (shift, 0.0))
    return UserErrors(counts, one, one), UserErrors(counts, other, other)


def _counted(errors: UserErrors, weights: Float64[np.ndarray, " users"]) -> tuple[float, float]:
    total = (weights * errors.counts).sum()
    squared, absolute = (weights * errors.squared).sum(), (weights * errors.absolute).sum()
    return float(np.sqrt(squared / total)), float(absolute / total)


def test_the_value_is_pooled_over_ratings_not_averaged_over_users() -> None:
    errors = UserErrors(np.array([1.0, 9.0]), np.array([4.0, 9.0]), np.array([2.0, 9.0]))
    [(rmse, mae)] = pooled([errors])
    assert rmse.value == np.sqrt(13 / 10)
    assert mae.value == 11 / 10


def test_the_interval_is_that_of_drawing_users_one_by_one() -> None:
    errors, _ = _sample(np.random.default_rng(1), users=40)
    rng = np.random.default_rng(2)
    draws = np.array(
        [_counted(errors, np.bincount(rng.integers(40, size=40), minlength=40)) for _ in range(4000)]
    )
    for estimate, column in zip(pooled([errors], resamples=4000)[0], draws.T, strict=True):
        assert estimate.low == pytest.approx(np.quantile(column, 0.025), rel=0.02)
        assert estimate.high == pytest.approx(np.quantile(column, 0.975), rel=0.02)


def test_the_interval_holds_the_truth_in_95_of_100_samples() -> None:
    rng = np.random.default_rng(3)
    hits = 0
    for seed in range(400):
        [(_, mae)] = pooled([_sample(rng)[0]], seed=seed, resamples=300)
        # E[hardness] is 4 × .25 = 1, whatever the counts: they are independent of it.
        hits += mae.low is not None and mae.high is not None and mae.low <= 1 <= mae.high
    assert 0.91 <= hits / 400 <= 0.98


def test_p_values_are_uniform_where_there_is_no_difference() -> None:
    rng = np.random.default_rng(4)
    p = []
    for seed in range(400):
        one, other = _sample(rng)
        [(_, mae)] = paired([one], [other], seed=seed, resamples=300)
        p.append(mae.p)
    assert kstest(p, "uniform").pvalue > 0.001
    assert 0.02 <= np.mean(np.array(p) < 0.05) <= 0.09


def test_a_planted_difference_is_found_with_its_sign_and_size() -> None:
    rng = np.random.default_rng(5)
    one, other = _sample(rng, users=400, shift=0.05)
    [(_, mae)] = paired([one], [other])
    assert mae.low is not None
    assert mae.high is not None
    assert 0 < mae.low < 0.05 < mae.high
    assert mae.p == pytest.approx(2 / 1001)
    [(_, reverse)] = paired([other], [one])
    assert reverse.value == -mae.value
    assert reverse.p == mae.p
    # Unpaired, the same two runs can't be told apart: what is hard about a user hides it.
    (_, alone), (_, beside) = pooled([one, other])
    assert alone.low is not None
    assert beside.high is not None
    assert alone.low < beside.high


def test_a_run_does_not_differ_from_itself() -> None:
    one, _ = _sample(np.random.default_rng(6))
    for difference in paired([one], [one])[0]:
        assert (difference.value, difference.low, difference.high, difference.p) == (0, 0, 0, 1)


def test_the_seed_decides_the_draws_and_the_chunks_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    errors, _ = _sample(np.random.default_rng(7))
    whole = pooled([errors], seed=1)
    assert pooled([errors], seed=1) == whole
    assert pooled([errors], seed=2) != whole
    monkeypatch.setattr(significance, "_CHUNK", 1000)
    for chunked, one in zip(pooled([errors], seed=1)[0], whole[0], strict=True):
        assert chunked.low == pytest.approx(one.low, rel=1e-12)
        assert chunked.high == pytest.approx(one.high, rel=1e-12)


def test_a_single_user_has_a_value_but_no_interval() -> None:
    errors = UserErrors(np.array([4.0]), np.array([9.0]), np.array([6.0]))
    [(rmse, _)] = pooled([errors])
    assert (rmse.value, rmse.low, rmse.high) == (1.5, None, None)
    [(difference, _)] = paired([errors], [errors])
    assert (difference.low, difference.p) == (None, 1.0)


def test_runs_together_come_out_as_each_alone() -> None:
    runs = _sample(np.random.default_rng(8))
    together = [*pooled(runs, seed=3), *paired(runs, runs[::-1], seed=3)]
    alone = [pooled([run], seed=3)[0] for run in runs]
    alone += [paired([one], [other], seed=3)[0] for one, other in (runs, runs[::-1])]

    for one, other in zip(together, alone, strict=True):
        for estimate, single in zip(one, other, strict=True):
            assert astuple(estimate) == pytest.approx(astuple(single), rel=1e-12)
