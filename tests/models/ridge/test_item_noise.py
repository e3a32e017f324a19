"""How noisy the ratings of each item are, on planted noise."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from refeed.config import RidgeConfig
from refeed.models.ridge.item_noise import noise_of_items, set_noise
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings

PEOPLE, ITEMS, WIDTH = 600, 60, 3
NOISY = np.arange(ITEMS) < ITEMS // 2


def planted(noise_of_noisy: float) -> tuple[RidgeAutoencoder, Ratings, Aligned]:
    """Ratings made of a model's own vectors, with noise of deviation .5, or so much of half of the items."""
    rng = np.random.default_rng(0)
    model = RidgeAutoencoder(RidgeConfig(width=WIDTH, shrinkage=0.7), ITEMS).double()
    vectors, codes = rng.normal(size=(ITEMS, WIDTH)), rng.normal(size=(PEOPLE, WIDTH))
    who, what = np.nonzero(rng.random((PEOPLE, ITEMS)) < 0.3)
    deviation = np.where(NOISY, noise_of_noisy, 0.5)[what]
    ratings = (vectors @ codes.T)[what, who] + deviation * rng.normal(size=len(who))
    user_ids, item_ids = Ids(f"u{n}" for n in range(PEOPLE)), Ids(f"i{n}" for n in range(ITEMS))
    every = Ratings.from_arrays(who, what, ratings, user_ids=user_ids, item_ids=item_ids)
    held_out = rng.random(len(every)) < 0.3
    train = every.select(~held_out)
    model.vectors.copy_(torch.from_numpy(vectors))
    model.scale.fill_(0.1)
    model.counts.copy_(torch.from_numpy(train.item_counts))
    return model, train, align_to(every.select(held_out), train)


def test_the_planted_variances_are_found() -> None:
    model, train, _ = planted(noise_of_noisy=1.5)
    noise = noise_of_items(model, train)
    assert noise[NOISY].min() > noise[~NOISY].max()
    # 9 by the variances of the noise; what is not known of a code adds to both, and damping draws both to 1.
    assert 2.5 < noise[NOISY].mean() / noise[~NOISY].mean() < 9


def test_an_item_with_few_ratings_is_taken_for_as_noisy_as_all() -> None:
    model, train, _ = planted(noise_of_noisy=1.5)
    rows = np.flatnonzero(train.items == 0)
    rare = train.select(~np.isin(np.arange(len(train)), rows[1:]))
    noise = noise_of_items(model, rare)
    assert 0.9 < noise[0] < 1.4
    nobody = rare.select(rare.items != 0)
    assert noise_of_items(model, nobody)[0] == 1


def test_planted_noise_is_weighed_and_lowers_the_error() -> None:
    model, train, held_out = planted(noise_of_noisy=1.5)
    before = np.square(model.predict(train, held_out.users, held_out.items) - held_out.values).mean()
    said = set_noise(model, train, held_out)
    after = np.square(model.predict(train, held_out.users, held_out.items) - held_out.values).mean()
    assert said is not None
    assert said.endswith("kept")
    assert after < before
    torch.testing.assert_close(model.rating_weights, 1 / model.rating_noise)


def test_intervals_are_wider_where_ratings_are_noisy() -> None:
    model, train, held_out = planted(noise_of_noisy=1.5)
    set_noise(model, train, held_out)
    std = model.predictive_std(train, held_out.users, held_out.items)
    assert std[NOISY[held_out.items]].mean() > 1.3 * std[~NOISY[held_out.items]].mean()


def test_weights_that_do_not_lower_the_validation_error_are_left_out() -> None:
    model, train, held_out = planted(noise_of_noisy=1.5)
    right = model.predict(train, held_out.users, held_out.items)  # without weights nothing is wrong
    said = set_noise(model, train, replace(held_out, values=right.astype(np.float32)))
    assert said is not None
    assert said.endswith("left out")
    assert (model.rating_weights == 1).all()
    assert not (model.rating_noise == 1).all()


@pytest.mark.parametrize("most", [2_000, 10_000_000])
def test_the_errors_of_some_users_do_where_there_are_many(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refeed.models.ridge.item_noise._MOST", most)
    model, train, _ = planted(noise_of_noisy=1.5)
    noise = noise_of_items(model, train)
    assert noise[NOISY].mean() > 1.2
    assert noise[~NOISY].mean() < 0.8


def test_without_validation_ratings_nothing_is_set() -> None:
    model, train, _ = planted(noise_of_noisy=1.5)
    assert set_noise(model, train, None) is None
    assert (model.rating_weights == 1).all()
    assert (model.rating_noise == 1).all()
