"""Bayesian factorisation machines, reduced to factors."""

from importlib.util import find_spec

import numpy as np
import pytest

from refeed.baselines.factors import FactorModel
from refeed.baselines.myfm import blocks_of, compressed
from refeed.config.baselines import MyFMConfig
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

USERS, ITEMS = 30, 20

needs_myfm = pytest.mark.skipif(find_spec("myfm") is None, reason='needs myfm, of the extra "peers"')


def _ratings() -> Ratings:
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < 0.5)
    full = 3 + np.outer(rng.normal(0, 0.7, USERS), rng.normal(0, 0.7, ITEMS))
    values = np.clip(full[users, items] + rng.normal(0, 0.2, len(users)), 1, 5)
    values[:2] = 1, 5  # the whole scale, so that nothing is mapped
    return Ratings.from_arrays(
        users, items, values, user_ids=Ids(map(str, range(USERS))), item_ids=Ids(map(str, range(ITEMS)))
    )


def test_compressed_factors_are_the_best_of_their_rank() -> None:
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(30, 12)), rng.normal(size=(20, 12))
    left, right = compressed(users, items, 5)
    u, s, v = np.linalg.svd(users @ items.T)
    np.testing.assert_allclose(left @ right.T, (u[:, :5] * s[:5]) @ v[:5], atol=1e-10)
    left, right = compressed(users, items, 15)
    assert left.shape == (30, 15)
    np.testing.assert_allclose(left @ right.T, users @ items.T, atol=1e-10)


@needs_myfm
def test_the_mean_of_all_samples_is_myfm_s_own_prediction(capfd: pytest.CaptureFixture[str]) -> None:
    from refeed.baselines.peers import peer  # noqa: PLC0415

    train = _ratings()
    config = MyFMConfig(rank=4, iterations=30, burn_in=10, width=64)  # as many as there are: exact
    model = FactorModel(config, USERS, ITEMS, seed=3)
    model.fit(train)
    assert capfd.readouterr().err == ""

    myfm = peer("myfm", "myfm")
    users, items = blocks_of(train)
    theirs = myfm.MyFMRegressor(rank=4, random_seed=3)
    known = [train.users.astype(np.uint64), train.items.astype(np.uint64)]
    theirs.fit(
        None,
        train.values.astype(np.float64),
        X_rel=[myfm.RelationBlock(known[0], users), myfm.RelationBlock(known[1], items)],
        n_iter=30,
        n_kept_samples=20,
        group_shapes=[USERS, ITEMS, ITEMS, USERS],
    )
    u, i = (part.reshape(-1) for part in np.meshgrid(np.arange(USERS), np.arange(ITEMS)))
    every = [
        myfm.RelationBlock(u.astype(np.uint64), users),
        myfm.RelationBlock(i.astype(np.uint64), items),
    ]
    np.testing.assert_allclose(model.predict(train, u, i), theirs.predict(None, X_rel=every), atol=1e-4)


@needs_myfm
def test_fewer_factors_than_samples_stay_close_to_the_mean() -> None:
    train = _ratings()
    exact, close = (
        FactorModel(MyFMConfig(rank=4, iterations=60, burn_in=10, width=width), USERS, ITEMS, seed=0)
        for width in (64, 8)
    )
    exact.fit(train)
    close.fit(train)
    everyone = np.arange(USERS)
    apart = exact.predict_all(train, everyone) - close.predict_all(train, everyone)
    assert np.sqrt(np.mean(apart**2)) < 0.05
