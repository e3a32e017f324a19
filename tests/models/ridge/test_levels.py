"""Where a ridge autoencoder starts, and what it must not be worse than."""

import numpy as np
import pytest

from refeed.config import RidgeConfig
from refeed.models.biases import Biases
from refeed.models.ridge.levels import hold_to_levels, levels_of
from refeed.models.ridge.mixed_levels import MixedLevels
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.models.variances import variances_of
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings


def levels_alone(seed: int = 0) -> tuple[Ratings, Aligned]:
    """Ratings with levels of users and items, and nothing that vectors could tell; a fifth held out."""
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((300, 40)) < 0.2)
    levels = rng.normal(size=300)[users] / 2 + rng.normal(size=40)[items] / 2
    everything = Ratings.from_arrays(
        users,
        items,
        3 + levels + rng.normal(size=len(users)),
        user_ids=Ids(f"u{n}" for n in range(300)),
        item_ids=Ids(f"i{n}" for n in range(40)),
    )
    held_out = rng.random(len(users)) < 0.2
    train = everything.select(~held_out)
    return train, align_to(everything.select(held_out), train)


def model_of(train: Ratings, seed: int) -> RidgeAutoencoder:
    """With the items' levels, and vectors that mean nothing."""
    model = RidgeAutoencoder(RidgeConfig(width=3, prior_bias=6.0, prior_user_bias=1e6), train.n_items)
    random = np.random.default_rng(seed)
    model.mean.fill_(train.mean)
    model.deviation.fill_(float(train.values.std()))
    model.scale.fill_(0.3)
    for buffer in (model.vectors, model.implicit):
        buffer.copy_(model.vectors.new_tensor(random.normal(size=tuple(buffer.shape))))
    return model


def started(train: Ratings, model: RidgeAutoencoder) -> MixedLevels:
    return levels_of(train, model.config)[0]


def test_a_model_that_is_worse_than_damped_biases_beyond_chance_becomes_them() -> None:
    train, held_out = levels_alone()
    model = model_of(train, seed=1)
    said = hold_to_levels(model, train, held_out, started(train, model))
    assert said is not None
    assert said.endswith("the model is these")
    variances = variances_of(train)
    biases = Biases.fit(train, user_damping=variances.user_damping, item_damping=variances.item_damping)
    expected = biases.predict(
        biases.of_users(train.indptr, train.items, train.values), held_out.users, held_out.items
    )
    assert model.predict(train, held_out.users, held_out.items) == pytest.approx(expected, abs=1e-5)


def test_a_model_that_is_as_good_as_damped_biases_stays_what_it_is() -> None:
    train, held_out = levels_alone()
    model = model_of(train, seed=1)
    hold_to_levels(model, train, held_out, started(train, model))
    model.vectors.fill_(1e-3)
    said = hold_to_levels(model, train, held_out, started(train, model))
    assert said is not None
    assert "more than chance" not in said
    assert float(model.vectors.min()) > 0


def test_without_held_out_ratings_there_is_nothing_to_compare() -> None:
    train, _ = levels_alone()
    model = model_of(train, seed=1)
    assert hold_to_levels(model, train, None, started(train, model)) is None
    assert float(model.vectors.abs().max()) > 0


def test_where_raters_tell_levels_these_are_what_a_worse_model_becomes() -> None:
    rng = np.random.default_rng(0)
    of_users, of_items = np.arange(400) % 2, np.arange(300) % 2  # two kinds, and items that one kind rates
    likely = np.where(of_users[:, None] == of_items, 0.04, 0.004)
    users, items = np.nonzero(rng.random((400, 300)) < likely)
    values = 3 + np.where(of_items[items], 0.7, -0.7) + rng.normal(size=len(users))
    everything = Ratings.from_arrays(
        users,
        items,
        values,
        user_ids=Ids(f"u{n}" for n in range(400)),
        item_ids=Ids(f"i{n}" for n in range(300)),
    )
    held = rng.random(len(users)) < 0.3
    train = everything.select(~held)
    held_out = align_to(everything.select(held), train)
    model = model_of(train, seed=1)
    model.config = model.config.model_copy(update={"prior_bias": 10.0, "prior_user_bias": 8.0})
    levels = started(train, model)
    said = hold_to_levels(model, train, held_out, levels)
    assert said is not None
    assert "levels with what raters say, which is more than chance" in said
    biases = Biases(levels.mean, levels.items + levels.pooled, variances_of(train).user_damping)
    expected = biases.predict(
        biases.of_users(train.indptr, train.items, train.values), held_out.users, held_out.items
    )
    assert model.predict(train, held_out.users, held_out.items) == pytest.approx(expected, abs=1e-5)
