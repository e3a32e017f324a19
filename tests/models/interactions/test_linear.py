"""The linear autoencoder, against the formulas written out densely in float64."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from refeed import kernels
from refeed.config.interactions import LinearConfig
from refeed.errors import ConfigError
from refeed.models.interactions.choose import fit_interactions, load_interactions
from refeed.models.interactions.gram import gram, weighted
from refeed.models.interactions.inputs import Inputs, later_interactions
from refeed.models.interactions.inverse import invert_in_place
from refeed.models.interactions.linear import Linear, learn_linear, linear_memory
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

FIXED = LinearConfig(
    ridge=3.0,
    ridge_power=0.5,
    user_power=0.25,
    grade=0.4,
    recency=2.0,
    recency_span=5.0,
    popularity=0.2,
    trend=0.5,
    half_life=10.0,
)


def silent(_: str) -> None:
    """For those who don't want to hear of trials."""


def interactions(
    users: int = 40, items: int = 12, *, density: float = 0.3, seed: int = 0, timed: bool = True
) -> Ratings:
    rng = np.random.default_rng(seed)
    taken = rng.random((users, items)) < density * rng.uniform(0.2, 1.8, items)
    of_user, of_item = np.nonzero(taken)
    return Ratings.from_arrays(
        of_user,
        of_item,
        rng.integers(1, 6, len(of_user)).astype(float),
        user_ids=Ids(f"u{n}" for n in range(users)),
        item_ids=Ids(f"i{n}" for n in range(items)),
        times=rng.integers(0, 90 * 86_400, len(of_user)) if timed else None,
    )


def dense(train: Ratings, inputs: Inputs) -> NDArray[np.float64]:
    """X, a row a user."""
    batch = inputs.batch(train, np.arange(train.n_users), torch.device("cpu"))
    x = np.zeros((train.n_users, train.n_items))
    x[train.users, train.items] = batch.values.numpy()
    return x


def least_squares(x: NDArray[np.float64], ridges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each item's ridge regression on all the others: B with a zero diagonal, column by column."""
    n_items = x.shape[1]
    weights = np.zeros((n_items, n_items))
    for item in range(n_items):
        others = np.arange(n_items) != item
        matrix = x[:, others].T @ x[:, others] + np.diag(ridges[others])
        weights[others, item] = np.linalg.solve(matrix, x[:, others].T @ x[:, item])
    return weights


def test_weights_are_each_item_s_ridge_regression_on_the_others() -> None:
    train = interactions()
    inputs = Inputs().batch(train, np.arange(train.n_users), torch.device("cpu"))
    expected = least_squares(dense(train, Inputs()), np.full(train.n_items, 2.5))
    np.testing.assert_allclose(learn_linear(inputs, ridge=2.5).weights, expected, atol=1e-5)


def test_users_and_ridges_are_weighed_by_their_powers() -> None:
    train = interactions()
    inputs = Inputs().batch(train, np.arange(train.n_users), torch.device("cpu"))
    known = train.user_counts > 0
    shares = np.maximum(train.user_counts, 1) / train.user_counts[known].mean()
    x = dense(train, Inputs()) * shares[:, None] ** -0.15
    diagonal = (x**2).sum(axis=0)
    expected = least_squares(x, 2.5 * (diagonal / diagonal.mean()) ** 0.7)
    found = learn_linear(inputs, ridge=2.5, ridge_power=0.7, user_power=0.3)
    np.testing.assert_allclose(found.weights, expected, atol=1e-5)


@pytest.mark.parametrize("compiled", [True, False])
def test_the_gram_matrix_is_that_of_the_dense_inputs(compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiled:
        monkeypatch.setattr(kernels, "serves", lambda *_: False)
    monkeypatch.setattr("refeed.models.interactions.gram._TERMS_AT_ONCE", 50)
    train = interactions()
    inputs = weighted(
        Inputs(grade=0.5).fit(train).batch(train, np.arange(train.n_users), torch.device("cpu")), 0.5
    )
    x = np.zeros((train.n_users, train.n_items))
    x[train.users, train.items] = inputs.values.numpy()
    np.testing.assert_allclose(gram(inputs).triu(), np.triu(x.T @ x), rtol=1e-5)


def test_the_inverse_takes_the_place_of_the_matrix() -> None:
    matrix = torch.randn(30, 20, generator=torch.Generator().manual_seed(0)).t()
    square = (matrix @ matrix.t() + torch.eye(20)).contiguous()
    expected, place = np.linalg.inv(square.double().numpy()), square.data_ptr()
    square[3, 2] = 7.0  # below the diagonal, where nobody looks
    invert_in_place(square)
    assert square.data_ptr() == place
    np.testing.assert_allclose(square, expected, rtol=1e-3, atol=1e-4)


def test_a_matrix_without_a_factorisation_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigError, match="give a stronger ridge"):
        invert_in_place(-torch.eye(3))


def test_scores_are_popularity_and_the_graded_recent_history_times_the_weights_times_trends() -> None:
    train = interactions()
    _, model = fit_interactions(FIXED, train, say=silent)
    assert isinstance(model, Linear)
    plain = Inputs(grade=0.4).fit(train)
    x = dense(train, plain)
    shares = np.maximum(train.user_counts, 1) / train.user_counts[train.user_counts > 0].mean()
    weighed = x * shares[:, None] ** -0.125
    diagonal = (weighed**2).sum(axis=0)
    weights = least_squares(weighed, 3.0 * (diagonal / diagonal.mean()) ** 0.5)

    assert train.times is not None
    recent = np.zeros_like(x)
    for user in range(train.n_users):
        own = slice(train.indptr[user], train.indptr[user + 1])
        times = train.times[own]
        later = (times[None] > times[:, None]).sum(axis=1)
        recency = 1 + 2.0 * np.exp(-later / 5.0)
        recent[user, train.items[own]] = recency / recency.mean() if len(times) else recency
    late = np.bincount(
        train.items, 0.5 ** ((train.times.max() - train.times) / 86_400 / 10.0), minlength=train.n_items
    )
    often = train.item_counts * late.sum() / len(train)
    trend = ((late + 0.01) / (often + 0.01)) ** 0.5
    people = (train.user_counts > 0).sum()
    expected = ((x * recent) @ weights + 0.2 * train.item_counts / people) * trend
    np.testing.assert_allclose(
        model.score_all(train, np.arange(train.n_users)), expected, rtol=1e-4, atol=1e-5
    )


def test_one_by_one_in_blocks_and_after_saving_scores_are_the_same() -> None:
    train = interactions()
    config, model = fit_interactions(FIXED, train, say=silent)
    again = load_interactions(config, train.n_items, model.state_dict())
    users = np.arange(train.n_users)
    scores = model.score_all(train, users)
    for size in (1, 7, 100):
        np.testing.assert_array_equal(torch.cat(list(model.score_blocks(train, users, size))), scores)
    np.testing.assert_array_equal(again.score_all(train, users), scores)
    of_pairs = model.score(
        train, np.repeat(users, train.n_items), np.tile(np.arange(train.n_items), len(users))
    )
    np.testing.assert_allclose(of_pairs.reshape(scores.shape), scores, rtol=1e-4, atol=1e-6)


def test_the_parts_of_an_explanation_add_up_to_the_score() -> None:
    train = interactions()
    _, model = fit_interactions(FIXED, train, say=silent)
    for user in range(train.n_users):
        base, parts = model.explain(train, user, 5)
        assert len(parts) == train.user_counts[user]
        score = model.score(train, np.array([user]), np.array([5]))
        np.testing.assert_allclose(base + parts.sum(), score[0], rtol=1e-6, atol=1e-8)


def test_whoever_has_no_history_gets_the_most_popular_items() -> None:
    train = interactions()
    _, model = fit_interactions(LinearConfig(ridge=3.0), train, say=silent)
    nobody = train.select(np.zeros(len(train), dtype=bool))
    scores = model.score_all(nobody, np.array([0]))[0]
    assert np.argmax(scores) == np.argmax(train.item_counts)
    assert (scores[np.argsort(train.item_counts)] == np.sort(scores)).all()


def test_a_stranger_with_the_same_history_gets_the_same_scores() -> None:
    train = interactions()
    _, model = fit_interactions(FIXED, train, say=silent)
    own = slice(train.indptr[3], train.indptr[4])
    assert train.times is not None
    stranger = Ratings.from_arrays(
        np.zeros(own.stop - own.start, dtype=np.int64),
        train.items[own].astype(np.int64),
        train.values[own],
        user_ids=Ids(["stranger"]),
        item_ids=train.item_ids,
        times=train.times[own],
    )
    np.testing.assert_array_equal(
        model.score_all(stranger, np.array([0]))[0], model.score_all(train, np.array([3]))[0]
    )


@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 2)])
def test_the_smallest_data_can_be_fitted(shape: tuple[int, int]) -> None:
    train = interactions(*shape, density=2.0)
    config, model = fit_interactions(LinearConfig(), train, train, say=silent)
    assert np.isfinite(model.score_all(train, np.arange(shape[0]))).all()
    assert isinstance(config, LinearConfig)
    assert config.ridge == 500.0


def test_items_that_nobody_took_score_nothing() -> None:
    train = interactions()
    train = train.select(train.items != 4)
    _, model = fit_interactions(LinearConfig(ridge_power=0.5), train, say=silent)
    scores = model.score_all(train, np.arange(train.n_users))
    assert np.isfinite(scores).all()
    assert (scores[:, 4] == 0).all()


def test_the_memory_that_it_announces_is_that_of_one_matrix_and_of_the_inputs() -> None:
    lines: list[str] = []
    train = interactions()
    fit_interactions(LinearConfig(), train, say=lines.append)
    assert f"{linear_memory(12, len(train)) / 1e9:.2f} GB" in lines[0]
    assert linear_memory(10_000, 0) == 4 * 10_000**2


def test_settings_that_are_given_are_not_searched() -> None:
    lines: list[str] = []
    train, valid = interactions(seed=0), interactions(seed=1)
    config, _ = fit_interactions(FIXED, train, valid, lines.append)
    assert config == FIXED
    assert sum("trial" in line for line in lines) == 1


def test_it_is_compared_with_the_most_popular_list_on_validation() -> None:
    lines: list[str] = []
    fit_interactions(LinearConfig(), interactions(seed=0), interactions(seed=1), lines.append)
    assert any("most popular list" in line for line in lines)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=20))
def test_later_interactions_are_counted_within_the_history(rows: list[tuple[int, int]]) -> None:
    rows.sort(key=lambda row: row[0])
    owners = np.array([owner for owner, _ in rows], dtype=np.int64)
    times = np.array([time for _, time in rows], dtype=np.int64)
    indptr = np.searchsorted(owners, np.arange(5))
    expected = [sum(other == owner and later > time for other, later in rows) for owner, time in rows]
    np.testing.assert_array_equal(later_interactions(indptr, times), np.array(expected, dtype=np.int64))


def test_counts_are_graded_by_their_logarithm() -> None:
    train = interactions()
    inputs = Inputs(grade=1.0, counts=True).fit(train)
    logs = np.log1p(train.values.astype(np.float64))
    graded = inputs.graded(train.indptr, train.values)
    own = slice(train.indptr[2], train.indptr[3])
    level = (logs[own].sum() + 5 * logs.mean()) / (own.stop - own.start + 5)
    expected = np.maximum(1 + (logs[own] - level) / logs.std(), 0.05)
    np.testing.assert_allclose(graded[own], expected, rtol=1e-5)


def test_values_that_are_all_equal_are_of_no_account() -> None:
    train = interactions()
    equal = Ratings(
        train.indptr, train.items, np.full(len(train), 5.0, np.float32), None, train.user_ids, train.item_ids
    )
    assert (Inputs(grade=1.0).fit(equal).graded(equal.indptr, equal.values) == 1).all()


def test_more_items_than_memory_holds_are_refused_before_anything_is_tried() -> None:
    train = Ratings(
        indptr=np.array([0, 2]),
        items=np.array([0, 999_999], dtype=np.int32),
        values=np.ones(2, dtype=np.float32),
        times=None,
        user_ids=Ids(["u"]),
        item_ids=Ids(str(item) for item in range(1_000_000)),
    )
    lines: list[str] = []
    with pytest.raises(ConfigError, match=r"1,000,000 items takes 4000.00 GB.*interactions.kind = local"):
        fit_interactions(LinearConfig(), train, train, lines.append)
    assert not lines
