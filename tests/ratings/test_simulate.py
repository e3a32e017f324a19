"""Simulated ratings: their shape, their noise floor, and the files they are written to."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from refeed.errors import ConfigError, DataError
from refeed.models.biases import Biases
from refeed.ratings import simulation, simulation_files, simulation_pairs
from refeed.ratings.read import prepare
from refeed.ratings.simulate import simulate, simulate_ratings
from refeed.ratings.simulation import Simulation
from refeed.ratings.simulation_pairs import DAYS, FIRST_DAY, PairSampler
from refeed.ratings.store import Ratings

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def medium() -> Ratings:
    """600,000 ratings, more than one chunk."""
    return simulate_ratings(6_000, 2_000, 600_000, seed=3)


def years(ratings: Ratings) -> Array:
    """The time of each rating in years since the first day."""
    assert ratings.times is not None
    return (ratings.times / 86_400 - FIRST_DAY) / 365.25


def residuals(ratings: Ratings) -> Array:
    """What damped biases leave over."""
    biases = Biases.fit(ratings, user_damping=5.0, item_damping=5.0)
    users = biases.of_users(ratings.indptr, ratings.items, ratings.values)
    predicted = biases.mean + users[ratings.users] + biases.items[ratings.items]
    return np.asarray(ratings.values - predicted, dtype=np.float64)


def rmse(errors: Array) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def digest(path: Path) -> dict[str, str]:
    """What every file of a folder, or a single file, holds."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_stars_have_netflix_mean_deviation_and_shares(medium: Ratings) -> None:
    shares = np.bincount(medium.values.astype(int), minlength=6) / len(medium)
    assert medium.mean == pytest.approx(3.60, abs=0.03)
    assert np.std(medium.values.astype(float)) == pytest.approx(1.085, abs=0.02)
    assert shares[0] == 0
    assert shares[1:].tolist() == pytest.approx([0.046, 0.101, 0.287, 0.336, 0.231], abs=0.015)


def test_users_activity_is_log_normal_as_on_netflix(medium: Ratings) -> None:
    counts = medium.user_counts
    assert np.median(counts) / np.mean(counts) == pytest.approx(96 / 209, rel=0.1)
    assert np.std(np.log(counts)) == pytest.approx(1.24, abs=0.06)


def test_items_popularity_has_netflix_long_tail() -> None:
    # As dense as Netflix, so that nothing saturates more than there.
    counts = simulate_ratings(20_000, 3_000, 700_000, seed=0).item_counts
    quartiles = np.quantile(counts, [0.25, 0.5, 0.75]) / np.mean(counts)
    assert quartiles.tolist() == pytest.approx([192 / 5655, 561 / 5655, 2668 / 5655], rel=0.2)
    assert 0.4 < counts.max() / 20_000 < 0.6  # Netflix: 232,944 of 480,189 users


def test_half_of_the_ratings_fall_into_the_last_year(medium: Ratings) -> None:
    when = years(medium)
    assert when.min() >= 0
    assert when.max() == pytest.approx((DAYS - 1) / 365.25)
    assert np.mean(when > when.max() - 1) == pytest.approx(0.5, abs=0.07)


def test_users_arrive_over_time_and_some_leave(medium: Ratings) -> None:
    when = years(medium)
    first = np.minimum.reduceat(when, medium.indptr[:-1])
    last = np.maximum.reduceat(when, medium.indptr[:-1])
    arrived = [int(np.sum(first < year)) for year in range(1, 7)]
    joined = np.diff([0, *arrived])
    assert np.all(np.diff(joined) > 0)
    assert arrived[-1] == medium.n_users
    assert 0.25 < np.mean(last < 5.75) < 0.5  # Netflix: 35 % have none in the last three months


@settings(max_examples=20, deadline=None)
@given(st.integers(2, 60), st.integers(2, 60), st.floats(0, 1), st.integers(0, 9))
def test_numbers_are_exact_and_pairs_distinct(users: int, items: int, part: float, seed: int) -> None:
    least, most = max(users, items), users * items // 2
    ratings = least + round(part * (most - least))
    if ratings > most:
        return
    simulated = simulate_ratings(users, items, ratings, seed)
    keys = simulated.users * items + simulated.items
    assert len(simulated) == ratings
    assert np.all(np.diff(keys) > 0)
    assert simulated.user_counts.min() >= 1
    assert simulated.item_counts.min() >= 1
    assert simulated.scale[0] >= 1
    assert simulated.scale[1] <= 5


def test_more_than_a_chunk_is_exact_too(medium: Ratings) -> None:
    assert len(medium) == 600_000
    assert len(Simulation(6_000, 2_000, 600_000, 3).pairs) > 1
    assert np.all(np.diff(medium.users * 2_000 + medium.items) > 0)
    assert medium.user_counts.min() >= 1
    assert medium.item_counts.min() >= 1


def test_a_race_and_leaving_out_repetitions_draw_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = []
    for race in (0, 10**6):
        monkeypatch.setattr(simulation_pairs, "_RACE", race)
        sampler = PairSampler(20_000, 40, 120_000, seed=5)
        each = np.minimum(sampler.user_counts, 12)  # leaving out takes for ever where nearly all are drawn
        keys = np.concatenate(list(sampler._drawn(0, each, np.random.default_rng(0))))
        assert np.array_equal(np.bincount(keys // 40), each)
        counts.append(np.bincount(keys % 40, minlength=40))
    spread = np.sqrt(2 * counts[0] * (1 - counts[0] / 20_000) + 1)
    assert not np.array_equal(counts[0], counts[1])
    assert np.abs((counts[0] - counts[1]) / spread).max() < 4.5


def test_knowing_everything_but_the_noise_errs_by_the_noise_floor() -> None:
    simulated = Simulation(500, 200, 20_000, 1)
    random = np.random.default_rng((1, simulation._SCORES, 0))
    expected = simulated._expected(simulated.pairs.chunk(0), random)
    (chunk,) = simulated.chunks()
    random = np.random.default_rng(99)
    draws = np.zeros((6, len(expected)))
    for _ in range(400):
        star = 1 + np.searchsorted(simulated._cuts, expected + random.standard_normal(len(expected)))
        draws[star, np.arange(len(expected))] += 1 / 400
    mean = np.arange(6) @ draws
    variance = (np.square(np.arange(6)) @ draws - np.square(mean)) * 400 / 399
    assert chunk.variance == pytest.approx(float(variance.sum()), rel=0.005)
    assert rmse(chunk.stars - mean) == pytest.approx(np.sqrt(chunk.variance / len(expected)), rel=0.02)


def test_methods_come_in_their_order_above_the_noise_floor() -> None:
    n_users, n_items, rank = 2_500, 500, 12
    ratings = simulate_ratings(n_users, n_items, 300_000, seed=2)
    held = np.random.default_rng(0).random(len(ratings)) < 0.1
    train = ratings.select(~held)
    users, items, stars = ratings.users[held], ratings.items[held], ratings.values[held].astype(float)
    biases = Biases.fit(train, user_damping=5.0, item_damping=5.0)
    of_users = biases.of_users(train.indptr, train.items, train.values)
    level = biases.mean + of_users[:, None] + biases.items

    # Alternating ridge regressions on what the biases leave over, dense as it is so small.
    rated = np.zeros((n_users, n_items))
    rated[train.users, train.items] = 1
    rest = np.zeros((n_users, n_items))
    rest[train.users, train.items] = train.values
    rest -= rated * level
    random = np.random.default_rng(1)
    p, q = np.zeros((n_users, rank)), 0.1 * random.standard_normal((n_items, rank))
    for _ in range(12):
        for here, there, mask, target in ((p, q, rated, rest), (q, p, rated.T, rest.T)):
            squares = (mask @ np.einsum("nk,nl->nkl", there, there).reshape(-1, rank**2)).reshape(
                -1, rank, rank
            )
            ridge = squares + 8 * np.eye(rank)
            here[:] = np.linalg.solve(ridge, (target @ there)[:, :, None])[:, :, 0]
    mean_error = rmse(stars - biases.mean)
    bias_error = rmse(stars - np.clip(level[users, items], 1, 5))
    factors_error = rmse(stars - np.clip((level + p @ q.T)[users, items], 1, 5))
    floor = float(ratings.source["noise_floor"])
    assert mean_error == pytest.approx(1.085, abs=0.02)
    assert bias_error == pytest.approx(0.98, abs=0.02)
    assert factors_error == pytest.approx(0.91, abs=0.025)
    assert floor < factors_error - 0.02


@pytest.mark.parametrize("of", ["items", "users"])
def test_items_and_users_drift_over_time(medium: Ratings, of: Literal["items", "users"]) -> None:
    # How the later ratings of each differ from its earlier ones, seen by two random halves of the ratings.
    of_each = medium.items if of == "items" else medium.users
    rest, when = residuals(medium), years(medium)
    counts = np.bincount(of_each)
    middle = np.bincount(of_each, when) / counts
    late = when > middle[of_each]
    half = np.random.default_rng(0).random(len(medium)) < 0.5

    def difference(which: NDArray[np.bool_]) -> Array:
        means = [
            np.bincount(of_each[side], rest[side], minlength=len(counts))
            / np.maximum(1, np.bincount(of_each[side], minlength=len(counts)))
            for side in (which & late, which & ~late)
        ]
        return np.asarray(means[0] - means[1])

    spread = np.sqrt(np.bincount(of_each, np.square(when - middle[of_each])) / counts)
    often = (counts >= 200) & (spread > 0.75)
    seen, again = difference(half)[often], difference(~half)[often]
    assert np.corrcoef(seen, again)[0, 1] > 0.2


@pytest.mark.parametrize("kind", ["parquet", "netflix"])
def test_files_hold_what_is_simulated_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Literal["parquet", "netflix"]
) -> None:
    monkeypatch.setattr(simulation_files, "_BUCKET", 700)  # several buckets of movies
    out = tmp_path / "simulated.parquet"
    report = simulate(out, users=90, items=40, ratings=1_500, format=kind, seed=8)
    expected = simulate_ratings(90, 40, 1_500, seed=8)
    prepared = prepare([out], tmp_path / "store")
    read = Ratings.load(tmp_path / "store")
    assert prepared.bad == prepared.duplicates == 0
    for name in ("indptr", "items", "values", "times"):
        np.testing.assert_array_equal(getattr(read, name), getattr(expected, name))
    assert read.user_ids == expected.user_ids
    assert read.item_ids == expected.item_ids
    assert report.noise_floor == expected.source["noise_floor"]
    if kind == "netflix":
        assert read.titles == tuple(f"Simulated movie {number}" for number in range(1, 41))


@pytest.mark.parametrize("kind", ["parquet", "netflix"])
def test_a_seed_gives_the_same_bytes(tmp_path: Path, kind: Literal["parquet", "netflix"]) -> None:
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        simulate(tmp_path / name, users=400, items=90, ratings=9_000, format=kind, seed=seed)
    assert digest(tmp_path / "one") == digest(tmp_path / "again")
    assert digest(tmp_path / "one") != digest(tmp_path / "other")


@pytest.mark.parametrize(
    ("kind", "place"), [("parquet", "simulated.json"), ("netflix", "simulated/simulation.json")]
)
def test_the_report_is_true_and_beside_the_data(
    tmp_path: Path, kind: Literal["parquet", "netflix"], place: str
) -> None:
    report = simulate(tmp_path / "simulated", users=300, items=70, ratings=5_000, format=kind, seed=4)
    assert json.loads((tmp_path / place).read_text()) == json.loads(json.dumps(asdict(report)))
    ratings = simulate_ratings(300, 70, 5_000, seed=4)
    assert report.mean == pytest.approx(ratings.mean)
    assert report.deviation == pytest.approx(float(np.std(ratings.values.astype(float))))
    assert report.per_user.mean == pytest.approx(5_000 / 300)
    assert report.per_user.median == np.median(ratings.user_counts)
    assert report.per_item.largest == ratings.item_counts.max()
    assert report.last_year == pytest.approx(np.mean(years(ratings) >= (DAYS - 365) / 365.25))
    assert sum(report.stars) == pytest.approx(1)
    assert f"noise floor  {report.noise_floor:.4f}" in str(report)


@pytest.mark.parametrize(
    ("users", "items", "ratings"), [(10, 10, 9), (10, 20, 15), (10, 10, 51), (0, 10, 10), (1, 1, 1)]
)
def test_numbers_that_do_not_go_together_are_refused(users: int, items: int, ratings: int) -> None:
    with pytest.raises(ConfigError, match=f"{ratings} ratings of {users} users and {items} items"):
        simulate_ratings(users, items, ratings, seed=0)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(ConfigError, match="--seed -1 is negative"):
        simulate_ratings(10, 10, 20, seed=-1)


def test_what_exists_is_not_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "mine.parquet"
    out.write_text("mine")
    with pytest.raises(DataError, match=r"mine\.parquet exists already"):
        simulate(out, users=10, items=10, ratings=20)
    assert out.read_text() == "mine"
