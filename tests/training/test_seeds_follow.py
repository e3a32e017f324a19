"""What a training draws follows `train.seed`; nothing in it is fixed to another one."""

import numpy as np
import pytest

from refeed.baselines.mean import MeanModel
from refeed.config import Config, MeanConfig, MultinomialConfig, TrainConfig
from refeed.models import liked
from refeed.models.interactions.validation import held_out_lists
from refeed.models.liked import fit_liking
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.training.fit import fit


def parts() -> tuple[Ratings, Ratings]:
    rng = np.random.default_rng(0)
    who, what = np.nonzero(rng.random((50, 20)) < 0.6)
    user_ids, item_ids = Ids(f"u{n}" for n in range(50)), Ids(f"i{n}" for n in range(20))
    every = Ratings.from_arrays(
        who, what, rng.normal(3, 1, len(who)).clip(1, 5), user_ids=user_ids, item_ids=item_ids
    )
    held_out = rng.random(len(every)) < 0.3
    return every.select(~held_out), every.select(held_out)


def test_which_users_validate_lists_follows_the_seed() -> None:
    train, valid = parts()
    drawn = [held_out_lists(train, valid, most=8, seed=seed).users.tolist() for seed in (0, 1, 1)]
    assert [len(users) for users in drawn] == [8, 8, 8]
    assert drawn[1] == drawn[2]
    assert drawn[0] != drawn[1]


def test_which_errors_say_how_sure_a_prediction_is_follows_the_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liked, "_ENOUGH", 30)
    train, valid = parts()
    model = MeanModel(MeanConfig(), train.n_items)
    one, other, same = (fit_liking(model, train, valid, seed=seed).quantiles for seed in (0, 1, 1))
    np.testing.assert_array_equal(other, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize(("given", "taken"), [(None, 7), (3, 3)])
def test_a_network_of_interactions_takes_the_seed_of_the_training_unless_it_has_one(
    given: int | None, taken: int
) -> None:
    train, valid = parts()
    own = {} if given is None else {"seed": given}
    settings = {"encoder": [4], "epochs": 1, "batch": 16, "popularity": 0.1, **own}
    lists = MultinomialConfig.model_validate(settings)
    config = Config(model=MeanConfig(), train=TrainConfig(seed=7), interactions=lists)
    found = fit(train, valid, config).lists
    assert found is not None
    assert isinstance(found.config, MultinomialConfig)
    assert found.config.seed == taken
