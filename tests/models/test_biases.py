"""Damped biases against the normal equations solved densely."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jaxtyping import Float64

from refeed.errors import ConfigError, DataError
from refeed.models import biases as module
from refeed.models.biases import Biases, pick_damping
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings


def _random(seed: int, *, users: int = 12, items: int = 8, share: float = 0.4) -> Ratings:
    rng = np.random.default_rng(seed)
    u, i = np.nonzero(rng.random((users, items)) < share)
    return Ratings.from_arrays(
        u,
        i,
        rng.integers(1, 6, len(u)).astype(float),
        user_ids=Ids(f"u{n}" for n in range(users)),
        item_ids=Ids(f"i{n}" for n in range(items)),
    )


def _ridge(
    ratings: Ratings, user_damping: float, item_damping: float
) -> tuple[Float64[np.ndarray, " users"], Float64[np.ndarray, " items"]]:
    """The same minimum from the full design matrix; the least-norm one where it is not unique."""
    rows = np.arange(len(ratings))
    design = np.zeros((len(ratings), ratings.n_users + ratings.n_items))
    design[rows, ratings.users] = 1
    design[rows, ratings.n_users + ratings.items] = 1
    damping = np.repeat([user_damping, item_damping], [ratings.n_users, ratings.n_items])
    gram = design.T @ design + np.diag(damping)
    both = np.linalg.pinv(gram) @ (design.T @ (ratings.values.astype(float) - ratings.mean))
    return both[: ratings.n_users], both[ratings.n_users :]


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    share=st.floats(0.05, 1.0),
    user_damping=st.floats(0.1, 50),
    item_damping=st.floats(0.1, 50),
)
def test_fit_solves_the_normal_equations(
    seed: int, share: float, user_damping: float, item_damping: float
) -> None:
    ratings = _random(seed, share=share)
    assume(len(ratings) > 0)
    fitted = Biases.fit(ratings, user_damping=user_damping, item_damping=item_damping)
    users, items = _ridge(ratings, user_damping, item_damping)
    np.testing.assert_allclose(fitted.items, items, atol=1e-7)
    np.testing.assert_allclose(
        fitted.of_users(ratings.indptr, ratings.items, ratings.values), users, atol=1e-7
    )


def test_without_damping_the_predictions_are_those_of_least_squares() -> None:
    ratings = _random(3)
    fitted = Biases.fit(ratings, user_damping=0.0, item_damping=0.0)
    users, items = _ridge(ratings, 0.0, 0.0)
    of_users = fitted.of_users(ratings.indptr, ratings.items, ratings.values)
    predicted = fitted.predict(of_users, ratings.users, ratings.items.astype(np.int64))
    expected = ratings.mean + users[ratings.users] + items[ratings.items]
    np.testing.assert_allclose(predicted, expected, atol=1e-7)


def test_biases_are_recovered_from_ratings_that_are_made_of_them() -> None:
    rng = np.random.default_rng(0)
    u, i = np.nonzero(rng.random((300, 60)) < 0.5)
    b_u, b_i = rng.normal(0, 0.5, 300), rng.normal(0, 0.7, 60)
    ratings = Ratings.from_arrays(
        u, i, 3.5 + b_u[u] + b_i[i], user_ids=Ids(map(str, range(300))), item_ids=Ids(map(str, range(60)))
    )
    fitted = Biases.fit(ratings, user_damping=0.0, item_damping=0.0)
    np.testing.assert_allclose(fitted.items - fitted.items.mean(), b_i - b_i.mean(), atol=1e-5)


def test_small_chunks_give_the_same_biases(monkeypatch: pytest.MonkeyPatch) -> None:
    ratings = _random(1, users=40, items=10)
    whole = Biases.fit(ratings, user_damping=2.0, item_damping=3.0)
    monkeypatch.setattr(module, "_CHUNK", 7)
    chunked = Biases.fit(ratings, user_damping=2.0, item_damping=3.0)
    np.testing.assert_allclose(chunked.items, whole.items, atol=1e-12)


def test_an_empty_history_has_bias_zero_and_an_unrated_item_too() -> None:
    # The first, a middle and the last user are empty: segments that reduceat alone gets wrong.
    ratings = Ratings.from_arrays(
        np.array([1, 1, 3]),
        np.array([0, 1, 0]),
        np.array([5.0, 1.0, 4.0]),
        user_ids=Ids("abcde"),
        item_ids=Ids("xyz"),
    )
    for damping in (0.0, 2.0):
        fitted = Biases.fit(ratings, user_damping=damping, item_damping=damping)
        users = fitted.of_users(ratings.indptr, ratings.items, ratings.values)
        assert users[[0, 2, 4]].tolist() == [0, 0, 0]
        assert users[3] != 0
        assert fitted.items[2] == 0


def test_a_slice_of_the_users_has_the_biases_of_the_whole() -> None:
    ratings = _random(2)
    fitted = Biases.fit(ratings, user_damping=2.0, item_damping=3.0)
    whole = fitted.of_users(ratings.indptr, ratings.items, ratings.values)
    part = fitted.of_users(ratings.indptr[4:8], ratings.items, ratings.values)
    np.testing.assert_allclose(part, whole[4:7], atol=1e-12)


def test_a_negative_damping_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 0, got user -1"):
        Biases.fit(_random(0), user_damping=-1.0, item_damping=0.0)


def test_no_rating_is_refused() -> None:
    nothing = _random(0).select(np.zeros(len(_random(0)), dtype=bool))
    with pytest.raises(DataError, match="not a single rating"):
        Biases.fit(nothing, user_damping=1.0, item_damping=1.0)


def test_the_picked_damping_has_no_better_neighbour_on_the_grid() -> None:
    rng = np.random.default_rng(5)
    u, i = np.nonzero(rng.random((150, 40)) < 0.3)
    values = 3 + rng.normal(0, 0.3, 150)[u] + rng.normal(0, 0.6, 40)[i] + rng.normal(0, 1, len(u))
    everything = Ratings.from_arrays(
        u, i, values, user_ids=Ids(map(str, range(150))), item_ids=Ids(map(str, range(40)))
    )
    held_out = rng.random(len(everything)) < 0.2
    train, valid = everything.select(~held_out), everything.select(held_out)

    def error(user: float, item: float) -> float:
        fitted = Biases.fit(train, user_damping=user, item_damping=item)
        users = fitted.of_users(train.indptr, train.items, train.values)
        predicted = fitted.predict(users, valid.users, valid.items.astype(np.int64))
        return float(np.mean((predicted - valid.values) ** 2))

    user, item = pick_damping(train, valid)
    grid = module._GRID
    best = error(user, item)
    for step in (-1, 1):
        assert error(grid[min(max(grid.index(user) + step, 0), len(grid) - 1)], item) >= best
        assert error(user, grid[min(max(grid.index(item) + step, 0), len(grid) - 1)]) >= best
    # The truth: noise variance 1 over bias variance .09 and .36.
    assert 3 <= user <= 30
    assert 0.5 <= item <= 10


def test_damping_cannot_be_picked_on_strangers() -> None:
    train = _random(0)
    strangers = Ratings.from_arrays(
        np.array([0]), np.array([0]), np.array([3.0]), user_ids=Ids(["nobody"]), item_ids=Ids(["i0"])
    )
    with pytest.raises(DataError, match="none of the 1 validation ratings"):
        pick_damping(train, strangers)
