"""The mean and the damped biases as models; what all models share is in test_contract.py."""

from pathlib import Path

import duckdb
import numpy as np
import pytest

from refeed.baselines.bias import BiasModel
from refeed.baselines.mean import MeanModel
from refeed.config import BiasConfig, MeanConfig
from refeed.errors import DataError
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import align_to
from refeed.ratings.store import Ratings

SPLITS = Path(__file__).parents[3] / "shared" / "splits"


def _ratings() -> Ratings:
    return Ratings.from_arrays(
        np.array([0, 0, 1, 2]),
        np.array([0, 1, 0, 1]),
        np.array([5.0, 3.0, 4.0, 2.0]),
        user_ids=Ids("abc"),
        item_ids=Ids("xy"),
    )


def _table(path: Path) -> Ratings:
    query = f"SELECT \"user\"::VARCHAR AS u, item::VARCHAR AS i, rating FROM '{path}'"
    with duckdb.connect() as db:
        table = db.execute(query).fetchnumpy()
    users, of_user = np.unique(table["u"].astype(str), return_inverse=True)
    items, of_item = np.unique(table["i"].astype(str), return_inverse=True)
    return Ratings.from_arrays(
        of_user,
        of_item,
        np.asarray(table["rating"]),
        user_ids=Ids(users.tolist()),
        item_ids=Ids(items.tolist()),
    )


def test_the_mean_is_predicted_everywhere() -> None:
    model = MeanModel(MeanConfig(), n_items=2)
    model.fit(_ratings())
    assert model.predict(_ratings(), np.array([0, 2]), np.array([1, 0])).tolist() == [3.5, 3.5]
    assert model.predict_all(_ratings(), np.array([1])).tolist() == [[3.5, 3.5]]


def test_strong_damping_leaves_the_mean_and_none_explains_what_can_be() -> None:
    pairs = (_ratings().users, _ratings().items.astype(np.int64))
    damped = BiasModel(BiasConfig(damping=[1e9, 1e9]), n_items=2)
    damped.fit(_ratings())
    np.testing.assert_allclose(damped.predict(_ratings(), *pairs), 3.5, atol=1e-6)
    # Undamped, five biases explain these four ratings fully.
    free = BiasModel(BiasConfig(damping=[0.0, 0.0]), n_items=2)
    free.fit(_ratings())
    np.testing.assert_allclose(free.predict(_ratings(), *pairs), _ratings().values, atol=1e-6)


def test_a_new_user_is_predicted_from_the_history_alone() -> None:
    model = BiasModel(BiasConfig(damping=[1.0, 1.0]), n_items=2)
    model.fit(_ratings())
    b_x, b_y = model.items.tolist()
    stranger = Ratings.from_arrays(
        np.array([0]), np.array([1]), np.array([5.0]), user_ids=Ids(["new"]), item_ids=Ids("xy")
    )
    expected = 3.5 + b_x + (5 - 3.5 - b_y) / 2
    predicted = model.predict(stranger, np.array([0]), np.array([0]))
    np.testing.assert_allclose(predicted, [expected], atol=1e-12)


def test_damping_left_out_is_picked_on_the_validation_ratings() -> None:
    rng = np.random.default_rng(0)
    u, i = np.nonzero(rng.random((80, 30)) < 0.4)
    noise = Ratings.from_arrays(
        u, i, rng.normal(3, 1, len(u)), user_ids=Ids(map(str, range(80))), item_ids=Ids(map(str, range(30)))
    )
    held_out = rng.random(len(noise)) < 0.3
    model = BiasModel(BiasConfig(), n_items=30)
    model.fit(noise.select(~held_out), noise.select(held_out))
    # Nothing but noise: the more damping, the better. Without validation the default stays.
    assert float(model.user_damping) >= 30
    model.fit(noise.select(~held_out))
    assert float(model.user_damping) == 5


@pytest.mark.parametrize(
    "model", [MeanModel(MeanConfig(), n_items=2), BiasModel(BiasConfig(), n_items=2)], ids=["mean", "bias"]
)
def test_no_rating_to_fit_to_is_refused(model: MeanModel | BiasModel) -> None:
    with pytest.raises(DataError, match="not a single rating"):
        model.fit(_ratings().select(np.zeros(4, dtype=bool)))


@pytest.mark.skipif(not SPLITS.is_dir(), reason="the ready-made splits are not beside the repository")
@pytest.mark.parametrize(
    ("name", "bound"),
    [
        ("ml-100k-global", 0.9554),
        ("ml-100k-user", 0.9915),
        pytest.param("ml-1m-global", 0.9190, marks=pytest.mark.slow),
        pytest.param("ml-1m-random", 0.9063, marks=pytest.mark.slow),
        ("movietweetings-100k-global", 1.4987),
    ],
)
def test_tuned_biases_reach_their_known_error_on_real_ratings(name: str, bound: float) -> None:
    train, valid, test = (_table(SPLITS / name / f"{part}.parquet") for part in ("train", "valid", "test"))
    model = BiasModel(BiasConfig(), n_items=train.n_items)
    model.fit(train, valid)
    pairs = align_to(test, train)
    error = model.predict(train, pairs.users, pairs.items) - pairs.values
    assert np.sqrt(np.mean(error**2)) < bound
