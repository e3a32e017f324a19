"""Several seeds together, and the comparison of two groups."""

from pathlib import Path

import numpy as np
import pytest

from refeed.paper.group import Contrast, Group, contrast
from refeed.paper.trial import Result


def result(folder: Path, errors: list[float], *, pairs: str = "p", diverged: str | None = None) -> Result:
    """A run with one test rating of each user, off by so much."""
    folder.mkdir(parents=True)
    table = np.array([[1.0, error**2, abs(error)] for error in errors])
    np.savez(folder / "errors.npz", users=np.arange(len(errors)), raw=table, clipped=table)
    rmse = float(np.sqrt(np.mean(np.square(errors))))
    return Result("key", folder, 1, 1.0, 1.0, diverged, 1, rmse, rmse, rmse, None, pairs=pairs)


def noisy(seed: int, size: float) -> list[float]:
    return [float(error) for error in size * np.random.default_rng(seed).normal(size=400)]


def test_mean_and_deviation_are_over_the_seeds_that_did_not_diverge(tmp_path: Path) -> None:
    group = Group(
        {
            0: result(tmp_path / "0", [1.0]),
            1: result(tmp_path / "1", [2.0]),
            2: result(tmp_path / "2", [9.0], diverged="nan"),
        },
        {},
    )
    assert group.mean("test_rmse") == 1.5
    assert group.deviation("test_rmse") == pytest.approx(np.std([1, 2], ddof=1))


def test_one_seed_has_no_deviation_and_none_has_no_mean(tmp_path: Path) -> None:
    assert Group({0: result(tmp_path / "0", [1.0])}, {}).deviation("test_rmse") is None
    assert Group({}, {0: "why"}).mean("test_rmse") is None
    assert Group({}, {0: "why"}).interval() is None


def test_a_difference_is_of_errors_pooled_over_the_seeds(tmp_path: Path) -> None:
    one = Group({seed: result(tmp_path / f"a{seed}", noisy(seed, 1.0)) for seed in (0, 1)}, {})
    other = Group({seed: result(tmp_path / f"b{seed}", noisy(seed, 1.5)) for seed in (0, 1)}, {})
    difference = contrast(one, other)
    assert difference is not None
    pooled = [
        np.sqrt(np.mean(np.square(np.concatenate([noisy(0, size), noisy(1, size)])))) for size in (1.0, 1.5)
    ]
    assert difference.rmse.value == pytest.approx(pooled[0] - pooled[1], abs=1e-12)
    assert difference.by_seed == pytest.approx(
        [np.sqrt(np.mean(np.square(noisy(seed, 1.0)))) * -0.5 for seed in (0, 1)]
    )
    assert difference.sign == -1
    reverse = contrast(other, one)
    assert reverse is not None
    assert reverse.sign == 1


def test_a_difference_that_seeds_disagree_about_is_not_settled(tmp_path: Path) -> None:
    one = Group({0: result(tmp_path / "a0", noisy(0, 1.0)), 1: result(tmp_path / "a1", noisy(1, 1.0))}, {})
    other = Group({0: result(tmp_path / "b0", noisy(0, 2.0)), 1: result(tmp_path / "b1", noisy(1, 0.99))}, {})
    difference = contrast(one, other)
    assert difference is not None
    assert difference.rmse.high is not None
    assert difference.rmse.high < 0
    assert difference.sign == 0


def test_groups_on_other_ratings_are_not_compared(tmp_path: Path) -> None:
    one = Group({0: result(tmp_path / "a", [1.0])}, {})
    other = Group({0: result(tmp_path / "b", [1.0], pairs="q")}, {})
    assert contrast(one, other) is None


def test_too_few_users_settle_nothing(tmp_path: Path) -> None:
    one, other = Group({0: result(tmp_path / "a", [1.0])}, {}), Group({0: result(tmp_path / "b", [2.0])}, {})
    difference = contrast(one, other)
    assert isinstance(difference, Contrast)
    assert difference.sign == 0
    assert str(difference) == "−1.0000"


def test_users_in_another_order_are_matched_by_their_position(tmp_path: Path) -> None:
    errors = noisy(3, 1.0)
    one = result(tmp_path / "a", errors)
    other = result(tmp_path / "b", errors)
    users, table = other.errors()
    order = np.random.default_rng(0).permutation(len(users))
    np.savez(other.folder / "errors.npz", users=users[order], raw=table[order], clipped=table[order])
    difference = contrast(Group({0: one}, {}), Group({0: other}, {}))
    assert difference is not None
    assert (difference.rmse.low, difference.rmse.value, difference.rmse.high) == (0, 0, 0)
