"""The level of all predictions: moved where validation asks for it, and only there."""

import numpy as np
import pytest

from refeed.config import Config, RidgeConfig, TrainConfig
from refeed.models.ridge.model import RidgeAutoencoder
from refeed.models.ridge.shift import shift_level
from refeed.ratings.ids import Ids
from refeed.ratings.pairs import Aligned, align_to
from refeed.ratings.store import Ratings
from refeed.training.fit import fit


def ratings(shift: float, seed: int, users: int = 60, items: int = 30) -> tuple[Ratings, Ratings]:
    """Ratings with planted levels, and others of the same people, all higher by a shift."""
    rng = np.random.default_rng(seed)
    levels = 3 + rng.normal(size=users)[:, None] + rng.normal(size=items)
    row, column = np.nonzero(rng.random((users, items)) < 0.7)
    later = rng.random(len(row)) < 0.3
    values = levels[row, column] + 0.5 * rng.normal(size=len(row)) + shift * later
    people, things = Ids(f"u{u}" for u in range(users)), Ids(f"i{i}" for i in range(items))
    made = Ratings.from_arrays(row, column, values, user_ids=people, item_ids=things)
    order = np.lexsort((column, row))
    return made.select(~later[order]).compact(), made.select(later[order]).compact()


def trained(train: Ratings) -> RidgeAutoencoder:
    config = Config(
        model=RidgeConfig(width=2, prior_users=100.0, prior_vectors=100.0),
        train=TrainConfig(optimizer="adam", lr=0.01, steps=20, batch=64),
    )
    model = fit(train, None, config).model
    assert isinstance(model, RidgeAutoencoder)
    return model


def mean_error(model: RidgeAutoencoder, train: Ratings, pairs: Aligned) -> float:
    return float(np.mean(pairs.values - model.predict(train, pairs.users, pairs.items)))


def test_a_planted_shift_is_found_and_halves_of_it_agree() -> None:
    train, later = ratings(shift=0.6, seed=0)
    model, pairs = trained(train), align_to(later, train)
    said = shift_level(model, train, pairs)
    assert said is not None
    assert "moved by +0.5" in said or "moved by +0.6" in said
    assert abs(mean_error(model, train, pairs)) < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_without_a_shift_predictions_stay_as_they_are(seed: int) -> None:
    train, later = ratings(shift=0.0, seed=seed + 10)
    model, pairs = trained(train), align_to(later, train)
    before = model.predict(train, pairs.users, pairs.items)
    said = shift_level(model, train, pairs)
    assert said is not None
    moved = model.predict(train, pairs.users, pairs.items) - before
    assert "left as it is" in said or abs(float(moved.mean())) < 0.12
    np.testing.assert_allclose(moved, moved[0], atol=1e-5)


def test_errors_of_one_person_are_no_evidence() -> None:
    train, later = ratings(shift=0.6, seed=1)
    model, pairs = trained(train), align_to(later, train)
    one = pairs.users == pairs.users[0]
    alone = Aligned(
        users=pairs.users[one],
        items=pairs.items[one],
        rows=pairs.rows[one],
        values=pairs.values[one],
        times=None,
        cold_pairs=0,
        cold_users=0,
        cold_items=0,
    )
    said = shift_level(model, train, alone)
    assert said is not None
    assert "left as it is" in said


def test_without_validation_ratings_there_is_nothing_to_say() -> None:
    train, _ = ratings(shift=0.0, seed=2)
    assert shift_level(trained(train), train, None) is None
