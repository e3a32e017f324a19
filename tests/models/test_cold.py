"""Predictions of pairs whose user or item is unknown: the table in `models/cold.py`."""

import numpy as np
import pytest

from refeed.config import BiasConfig, Config
from refeed.config.baselines import PmfConfig
from refeed.errors import ConfigError
from refeed.models.cold import check_cold, predict_any
from refeed.models.interface import Model
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.training.fit import fit

TRAIN = Ratings.from_arrays(
    [0, 0, 1, 1, 2],
    [0, 1, 0, 2, 1],
    [5.0, 3.0, 4.0, 1.0, 2.0],
    user_ids=Ids(["a", "b", "c"]),
    item_ids=Ids(["x", "y", "z"]),
)
MEAN = 3.0
PAIRS = (np.array([0, -1, 0, -1]), np.array([1, 0, -1, -1]))


def fitted(config: Config) -> Model:
    return fit(TRAIN, None, config).model


def test_what_is_known_is_predicted_as_ever_and_the_rest_by_what_is_known() -> None:
    model = fitted(Config(model=BiasConfig()))
    both, new_user, new_item, neither = predict_any(model, TRAIN, *PAIRS)
    assert both == pytest.approx(model.predict(TRAIN, np.array([0]), np.array([1]))[0])
    nobody = TRAIN.select(np.zeros(5, dtype=bool))
    assert new_user == pytest.approx(model.predict(nobody, np.array([0]), np.array([0]))[0])
    # User a gave x and y 0.5 above their means each: 3 + (0.5 + 0.5) / (2 + 5).
    assert new_item == pytest.approx(MEAN + 1 / 7)
    assert neither == pytest.approx(MEAN)


def test_a_model_that_knows_its_users_alone_takes_the_damped_mean_of_the_item() -> None:
    model = fitted(Config(model=PmfConfig(rank=2, epochs=1)))
    assert not model.folds_in
    predicted = predict_any(model, TRAIN, np.array([-1]), np.array([0]))
    assert predicted == pytest.approx((5 + 4 + 5 * MEAN) / (2 + 5))  # two ratings of x, and five at the mean


def test_where_there_is_no_pair_there_is_no_prediction() -> None:
    none = np.empty(0, dtype=np.int64)
    assert predict_any(fitted(Config(model=BiasConfig())), TRAIN, none, none).shape == (0,)


def test_another_word_is_refused() -> None:
    for word in ("error", "empty", "fallback"):
        check_cold(word)
    with pytest.raises(ConfigError, match="cold = 'warm'"):
        check_cold("warm")
