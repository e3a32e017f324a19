"""PMF, MF and SVD++: their gradients, what they learn, and that the scale of the ratings does not matter."""

import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from refeed.baselines.factors import FactorModel
from refeed.baselines.peers import found_factors, peer
from refeed.baselines.pmf import pmf_loss
from refeed.baselines.sgd import history_of, implicit_sums
from refeed.baselines.solution import FactorConfig
from refeed.baselines.svdpp import svdpp_ratings
from refeed.config.baselines import (
    CornacMFConfig,
    LenskitMFConfig,
    MyFMConfig,
    PmfConfig,
    SurpriseConfig,
    SvdppConfig,
)
from refeed.errors import ConfigError, TrainingDivergedError
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

USERS, ITEMS = 120, 60

needs_surprise, needs_cornac, needs_lenskit = (
    pytest.mark.skipif(find_spec(name) is None, reason=f'needs {name}, of the extra "peers"')
    for name in ("surprise", "cornac", "lenskit")
)


def _ratings(users: NDArray[np.int64], items: NDArray[np.int64], values: NDArray[np.float64]) -> Ratings:
    return Ratings.from_arrays(
        users,
        items,
        values,
        user_ids=Ids(map(str, range(USERS))),
        item_ids=Ids(map(str, range(ITEMS))),
    )


def _planted() -> tuple[Ratings, Ratings]:
    """Ratings from 1 to 5 of biases and two tastes, some of them held out."""
    rng = np.random.default_rng(0)
    taste = rng.normal(0, 1, (USERS, 2)) @ rng.normal(0, 0.6, (2, ITEMS))
    full = 3 + rng.normal(0, 0.4, USERS)[:, None] + rng.normal(0, 0.4, ITEMS) + taste
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < 0.6)
    values = np.clip(full[users, items] + rng.normal(0, 0.2, len(users)), 1, 5)
    held_out = rng.random(len(users)) < 0.2
    known = ~held_out
    return (
        _ratings(users[known], items[known], values[known]),
        _ratings(users[held_out], items[held_out], values[held_out]),
    )


def _fitted(config: FactorConfig, train: Ratings, valid: Ratings | None = None) -> FactorModel:
    model = FactorModel(config, USERS, ITEMS, seed=0)
    model.fit(train, valid)
    return model


def _rmse(model: FactorModel, ratings: Ratings) -> float:
    predicted = model.predict(ratings, ratings.users, ratings.items.astype(np.int64))
    return float(np.sqrt(np.mean((predicted - ratings.values) ** 2)))


def _numerical(loss: Callable[[], float], part: torch.Tensor) -> torch.Tensor:
    """Central differences of a loss in every entry of a tensor."""
    gradient, flat = torch.zeros_like(part), part.view(-1)
    for at in range(len(flat)):
        before = flat[at].item()
        flat[at] = before + 1e-6
        above = loss()
        flat[at] = before - 1e-6
        gradient.view(-1)[at] = (above - loss()) / 2e-6
        flat[at] = before
    return gradient


@pytest.mark.parametrize("biases", [False, True])
def test_the_gradients_of_pmf_and_mf_are_those_of_their_objective(biases: bool) -> None:
    rng = np.random.default_rng(0)
    users, items, values = rng.integers(4, size=9), rng.integers(5, size=9), rng.normal(0, 1, 9)
    shapes: list[tuple[int, ...]] = [(4, 3), (5, 3), *([(4,), (5,)] if biases else [])]
    parts = [torch.from_numpy(rng.normal(0, 1, shape)) for shape in shapes]

    def objective() -> float:
        total = 0.0
        for u, i, value in zip(users, items, values, strict=True):
            rows = [parts[0][u].numpy(), parts[1][i].numpy()]
            rows += [part[at].numpy() for part, at in zip(parts[2:], (u, i), strict=False)]
            error = value - rows[0] @ rows[1] - sum(row.sum() for row in rows[2:])
            total += error**2 + 0.3 * sum((row**2).sum() for row in rows)
        return total / 2

    leaves = tuple(part.clone().requires_grad_() for part in parts)
    loss = pmf_loss(leaves, torch.from_numpy(users), torch.from_numpy(items), torch.from_numpy(values), 0.3)
    assert loss.item() == pytest.approx(objective(), rel=1e-12)
    for part, gradient in zip(parts, torch.autograd.grad(loss, leaves), strict=True):
        torch.testing.assert_close(gradient, _numerical(objective, part), rtol=1e-6, atol=1e-6)


def test_svdpp_adds_what_a_user_has_rated_to_the_factors() -> None:
    rng = np.random.default_rng(0)
    shapes = {"user_bias": (3,), "item_bias": (4,), "users": (3, 2), "items": (4, 2), "implicit": (4, 2)}
    at = {name: torch.from_numpy(rng.normal(0, 1, shape)).float() for name, shape in shapes.items()}
    rated = [[0, 2, 3], [], [1]]
    history = history_of(np.array([0, 3, 3, 4]), np.array([0, 2, 3, 1]), 4)
    own = at["users"] + implicit_sums(at["implicit"], history)
    for u, i in ((0, 1), (1, 2), (2, 0)):
        taste = at["users"][u].clone()
        for j in rated[u]:
            taste += at["implicit"][j] / len(rated[u]) ** 0.5
        expected = at["user_bias"][u] + at["item_bias"][i] + taste @ at["items"][i]
        pairs = {"user": torch.tensor([u]), "item": torch.tensor([i])}
        torch.testing.assert_close(svdpp_ratings(at, own, pairs)[0], expected)


@pytest.mark.parametrize(
    ("config", "bound"),
    [
        (PmfConfig(rank=5, epochs=20, decay=0.02, lr=0.01), 0.35),
        (PmfConfig(rank=3, epochs=20, decay=0.02, lr=0.01, biases=True), 0.35),
        (SvdppConfig(rank=3, epochs=12, factors=[0.06, 0.02]), 0.35),
    ],
    ids=["pmf", "mf", "svdpp"],
)
def test_planted_tastes_are_found(config: FactorConfig, bound: float) -> None:
    train, held_out = _planted()
    assert held_out.values.std() > 0.9
    assert _rmse(_fitted(config, train), held_out) < bound


def test_ratings_on_another_scale_give_the_same_on_that_scale() -> None:
    train, _ = _planted()
    other = _ratings(train.users, train.items.astype(np.int64), 25.0 * train.values - 30)
    config = PmfConfig(rank=3, epochs=5, biases=True)
    pairs = (train.users, train.items.astype(np.int64))
    expected = 25 * _fitted(config, train).predict(train, *pairs) - 30
    np.testing.assert_allclose(_fitted(config, other).predict(other, *pairs), expected, rtol=1e-3, atol=1e-2)


def test_ratings_that_are_all_the_same_are_predicted_as_they_are() -> None:
    train, _ = _planted()
    flat = _ratings(train.users, train.items.astype(np.int64), np.full(len(train), 7.0))
    model = _fitted(PmfConfig(rank=2, epochs=15, decay=0.5, biases=True), flat)
    assert _rmse(model, flat) < 0.05


def test_with_validation_ratings_the_best_epoch_is_kept() -> None:
    train, held_out = _planted()
    overfitting = PmfConfig(rank=20, epochs=12, decay=0.0, lr=0.02, biases=True)
    assert _rmse(_fitted(overfitting, train, held_out), held_out) < _rmse(
        _fitted(overfitting, train), held_out
    )


def test_a_rate_that_is_too_large_is_named() -> None:
    train, held_out = _planted()
    with pytest.raises(TrainingDivergedError, match=r"smaller"):
        _fitted(PmfConfig(rank=3, lr=5.0, epochs=3), train, held_out)


@pytest.mark.parametrize(
    ("module", "config"),
    [
        ("surprise", SurpriseConfig()),
        ("cornac.models", CornacMFConfig()),
        ("lenskit.als", LenskitMFConfig()),
        ("myfm", MyFMConfig()),
    ],
)
def test_without_the_library_the_extra_is_named(
    module: str, config: FactorConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    library = module.partition(".")[0]
    with pytest.raises(ConfigError, match=rf"the library {library}, .*refeed\[peers\]"):
        _fitted(config, _planted()[0])


def _unmapped() -> tuple[Ratings, NDArray[np.int64], NDArray[np.int64]]:
    """Ratings from 1 to 5 exactly, so that nothing is mapped; and some pairs to predict."""
    train, held_out = _planted()
    values = train.values.astype(np.float64)
    values[:2] = 1, 5
    pairs = held_out.users[:200], held_out.items[:200].astype(np.int64)
    return _ratings(train.users, train.items.astype(np.int64), values), *pairs


@needs_surprise
@pytest.mark.parametrize("algorithm", ["svd", "svdpp"])
def test_surprise_s_factors_predict_what_surprise_predicts(
    algorithm: Literal["svd", "svdpp"],
) -> None:
    from surprise import SVD, SVDpp  # noqa: PLC0415

    from refeed.baselines.surprise import trainset  # noqa: PLC0415

    train, users, items = _unmapped()
    settings = {"n_factors": 3, "n_epochs": 5, "lr_all": 0.01, "reg_all": 0.02, "random_state": 0}
    theirs = {"svd": SVD, "svdpp": SVDpp}[algorithm](**settings)
    theirs.fit(trainset(train))
    ours = _fitted(SurpriseConfig(algorithm=algorithm, rank=3, epochs=5, lr=0.01, decay=0.02), train)
    expected = [theirs.estimate(int(u), int(i)) for u, i in zip(users, items, strict=True)]
    np.testing.assert_allclose(ours.predict(train, users, items), expected, atol=1e-4)


@needs_cornac
def test_cornac_s_factors_predict_what_cornac_predicts(capfd: pytest.CaptureFixture[str]) -> None:
    from refeed.baselines.cornac import dataset  # noqa: PLC0415

    train, users, items = _unmapped()
    ours = _fitted(CornacMFConfig(rank=3, epochs=5, lr=0.02, decay=0.03), train)
    assert capfd.readouterr() == ("", "")
    models = peer("cornac.models", "cornac-mf")
    theirs = models.MF(k=3, max_iter=5, learning_rate=0.02, lambda_reg=0.03, seed=0)
    theirs.fit(dataset(train))
    expected = [theirs.score(int(u), int(i)) for u, i in zip(users, items, strict=True)]
    np.testing.assert_allclose(ours.predict(train, users, items), expected, atol=1e-4)


@needs_lenskit
def test_lenskit_s_factors_predict_what_lenskit_predicts(capfd: pytest.CaptureFixture[str]) -> None:
    from refeed.baselines.lenskit import dataset  # noqa: PLC0415

    train, users, items = _unmapped()
    ours = _fitted(LenskitMFConfig(rank=3, epochs=5, decay=0.05, damping=[2.0, 7.0]), train)
    assert capfd.readouterr() == ("", "")
    als, data, training = (peer(f"lenskit.{name}", "lenskit-mf") for name in ("als", "data", "training"))
    theirs = als.BiasedMFScorer(features=3, epochs=5, regularization=0.05, damping={"user": 2.0, "item": 7.0})
    theirs.train(dataset(train), training.TrainingOptions(rng=0))
    expected = [
        theirs(data.RecQuery(user_id=int(u)), data.ItemList(item_ids=[int(i)])).scores()[0]
        for u, i in zip(users, items, strict=True)
    ]
    np.testing.assert_allclose(ours.predict(train, users, items), expected, atol=1e-4)


@needs_lenskit
def test_lenskit_leaves_pytorch_as_it_was_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    train, *_ = _unmapped()
    flat = _ratings(train.users, train.items.astype(np.int64), np.full(len(train), 7.0))
    # As if it were the first time in this process: it can't set all threads any more, and would say so.
    monkeypatch.setattr(peer("lenskit.parallel.config", "lenskit-mf"), "_config", None)
    multiprocessing: Any = torch.multiprocessing  # its types are missing
    threads, sharing = torch.get_num_threads(), multiprocessing.get_sharing_strategy()
    torch.set_num_threads(threads + 2)
    try:
        for _ in range(2):
            assert _rmse(_fitted(LenskitMFConfig(rank=2), flat), flat) < 1e-6
        assert torch.get_num_threads() == threads + 2
    finally:
        torch.set_num_threads(threads)
    assert multiprocessing.get_sharing_strategy() == sharing
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "config",
    [
        pytest.param(SurpriseConfig(rank=3, lr=5.0, epochs=20), marks=needs_surprise),
        pytest.param(CornacMFConfig(rank=3, lr=5.0, epochs=20), marks=needs_cornac),
    ],
    ids=["surprise", "cornac"],
)
def test_a_rate_that_is_too_large_for_a_library_is_named(config: FactorConfig) -> None:
    with pytest.raises(TrainingDivergedError, match=r"smaller learning rate"):
        _fitted(config, _planted()[0])


def test_a_library_s_factors_of_those_without_ratings_are_0() -> None:
    train = _ratings(np.array([0, 2]), np.array([1, 3]), np.array([1.0, 5.0]))
    found = found_factors(
        train,
        mean=3.0,
        user_biases=np.zeros(USERS),
        item_biases=np.zeros(ITEMS),
        users=np.ones((USERS, 2)),
        items=np.ones((ITEMS, 2)),
    )
    assert torch.nonzero(found.users[:, 0]).flatten().tolist() == [0, 2]
    assert torch.nonzero(found.items[:, 0]).flatten().tolist() == [1, 3]
