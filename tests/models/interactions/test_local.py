"""Weights between near items, against the dense formulas and against the closed form of all items."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from refeed import kernels
from refeed.config.interactions import AutoInteractionsConfig, LinearConfig, LocalConfig
from refeed.models.interactions.choose import fit_interactions, load_interactions
from refeed.models.interactions.inputs import Inputs
from refeed.models.interactions.linear import ridges
from refeed.models.interactions.local import Local, learn_local
from refeed.models.interactions.sparse_rows import SparseTable
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

CPU = torch.device("cpu")


def silent(_: str) -> None:
    """For those who don't want to hear of trials."""


def interactions(users: int = 50, items: int = 15, *, density: float = 0.3, seed: int = 0) -> Ratings:
    rng = np.random.default_rng(seed)
    of_user, of_item = np.nonzero(rng.random((users, items)) < density * rng.uniform(0.2, 1.8, items))
    return Ratings.from_arrays(
        of_user,
        of_item,
        rng.integers(1, 6, len(of_user)).astype(float),
        user_ids=Ids(f"u{n}" for n in range(users)),
        item_ids=Ids(f"i{n}" for n in range(items)),
        times=rng.integers(0, 90 * 86_400, len(of_user)),
    )


def dense(model: Local) -> NDArray[np.float64]:
    """B."""
    rows, columns = np.divmod(np.arange(model.n_items**2), model.n_items)
    found = model.weights_at(torch.from_numpy(rows), torch.from_numpy(columns)).double().numpy()
    square: NDArray[np.float64] = found.reshape(model.n_items, model.n_items)
    return square


@pytest.fixture(params=["compiled", "plain"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the compiled kernels, and without."""
    if request.param == "plain":
        monkeypatch.setattr(kernels, "serves", lambda *_: False)


@pytest.mark.usefixtures("either_way")
def test_each_item_is_regressed_on_those_nearest_to_it() -> None:
    train = interactions()
    inputs = Inputs(grade=0.4).fit(train).batch(train, np.arange(train.n_users), CPU)
    model = learn_local(inputs, neighbours=4, ridge=2.0, ridge_power=0.5)
    x = np.zeros((train.n_users, train.n_items))
    x[train.users, train.items] = inputs.values.double().numpy()
    gram = x.T @ x
    diagonal = np.diag(gram)
    strengths = ridges(torch.from_numpy(diagonal.copy()), 2.0, 0.5).numpy()
    expected = np.zeros_like(gram)
    for item in range(train.n_items):
        cosines = gram[item] / np.sqrt(diagonal * diagonal[item])
        cosines[item] = -1
        near = np.argsort(-cosines)[:4]
        matrix = gram[np.ix_(near, near)] + np.diag(strengths[near])
        expected[near, item] = np.linalg.solve(matrix, gram[near, item])
    np.testing.assert_allclose(dense(model), expected, atol=1e-5)


@pytest.mark.usefixtures("either_way")
def test_with_all_items_as_neighbours_it_is_the_closed_form() -> None:
    train = interactions(density=0.6)
    everybody = np.arange(train.n_users)
    config = LinearConfig(ridge=3.0, ridge_power=0.5, user_power=0.25, grade=0.3, recency=2.0, trend=0.5)
    same = LocalConfig(**{**config.model_dump(), "kind": "local", "neighbours": 15})
    _, local = fit_interactions(same, train, say=silent)
    _, linear = fit_interactions(config, train, say=silent)
    np.testing.assert_allclose(
        local.score_all(train, everybody), linear.score_all(train, everybody), rtol=1e-3, atol=1e-5
    )


@pytest.mark.usefixtures("either_way")
def test_one_by_one_in_blocks_and_after_saving_scores_are_the_same() -> None:
    train = interactions()
    config, model = fit_interactions(LocalConfig(neighbours=4, recency=1.0), train, say=silent)
    again = load_interactions(config, train.n_items, model.state_dict())
    users = np.arange(train.n_users)
    scores = model.score_all(train, users)
    for size in (1, 7, 100):
        np.testing.assert_allclose(torch.cat(list(model.score_blocks(train, users, size))), scores, rtol=1e-6)
    np.testing.assert_array_equal(again.score_all(train, users), scores)
    everything = np.tile(np.arange(train.n_items), len(users))
    of_pairs = model.score(train, np.repeat(users, train.n_items), everything)
    np.testing.assert_allclose(of_pairs.reshape(scores.shape), scores, rtol=1e-4, atol=1e-6)


def test_the_parts_of_an_explanation_add_up_to_the_score() -> None:
    train = interactions()
    _, model = fit_interactions(LocalConfig(neighbours=4), train, say=silent)
    for user in range(train.n_users):
        base, parts = model.explain(train, user, 5)
        assert len(parts) == train.user_counts[user]
        score = model.score(train, np.array([user]), np.array([5]))
        np.testing.assert_allclose(base + parts.sum(), score[0], rtol=1e-6, atol=1e-8)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (5, 1), (3, 2)])
def test_the_smallest_data_can_be_fitted(shape: tuple[int, int]) -> None:
    train = interactions(*shape, density=2.0)
    _, model = fit_interactions(LocalConfig(), train, train, say=silent)
    assert np.isfinite(model.score_all(train, np.arange(shape[0]))).all()


@pytest.mark.usefixtures("either_way")
def test_items_that_nobody_took_and_people_without_history_are_no_trouble() -> None:
    train = interactions()
    train = train.select((train.items != 4) & (train.users != 7))
    _, model = fit_interactions(LocalConfig(neighbours=5, ridge_power=0.5), train, say=silent)
    scores = model.score_all(train, np.arange(train.n_users))
    assert np.isfinite(scores).all()
    assert (scores[:, 4] == 0).all()
    assert np.argmax(scores[7]) == np.argmax(train.item_counts)


def test_an_entry_that_is_not_there_is_0() -> None:
    table = SparseTable(
        torch.tensor([0, 2, 2, 3]),
        torch.tensor([0, 2, 1], dtype=torch.int32),
        torch.tensor([5.0, 6.0, 7.0]),
        3,
    )
    rows, columns = torch.arange(9) // 3, torch.arange(9) % 3
    assert table.at(rows, columns).tolist() == [5, 0, 6, 0, 0, 0, 0, 7, 0]


def test_auto_takes_local_where_the_square_of_the_items_does_not_fit() -> None:
    train = interactions()
    lines: list[str] = []
    config, _ = fit_interactions(AutoInteractionsConfig(memory=1), train, say=lines.append)
    assert config.kind == "local"
    assert "GB" in lines[0]
    config, _ = fit_interactions(AutoInteractionsConfig(), train, say=lines.append)
    assert config.kind == "linear"
