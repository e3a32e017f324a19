"""Variance components: planted ones are found, and give the dampings that held-out ratings would choose."""

import numpy as np
import pytest

from refeed.models.biases import Biases, pick_damping
from refeed.models.variances import Variances, variances_of
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings


def planted(
    users: int, items: int, ratings: int, *, of_users: float, of_items: float, noise: float, seed: int = 0
) -> Ratings:
    """Ratings with levels of these variances; some items and users have many more ratings than others."""
    rng = np.random.default_rng(seed)
    popular, busy = rng.gamma(1.0, 1.0, items), rng.gamma(1.0, 1.0, users)
    who = rng.choice(users, ratings, p=busy / busy.sum())
    what = rng.choice(items, ratings, p=popular / popular.sum())
    pairs = np.unique(who * items + what)
    who, what = pairs // items, pairs % items
    levels = (
        np.sqrt(of_users) * rng.normal(size=users)[who] + np.sqrt(of_items) * rng.normal(size=items)[what]
    )
    return Ratings.from_arrays(
        who,
        what,
        3.5 + levels + np.sqrt(noise) * rng.normal(size=len(who)),
        user_ids=Ids(f"u{n}" for n in range(users)),
        item_ids=Ids(f"i{n}" for n in range(items)),
    )


@pytest.mark.parametrize(("of_users", "of_items"), [(0.4, 0.1), (0.1, 0.4), (0.2, 0.2)])
def test_planted_variances_are_found_where_items_have_two_ratings(of_users: float, of_items: float) -> None:
    train = planted(3000, 10_000, 20_000, of_users=of_users, of_items=of_items, noise=0.8)
    found = variances_of(train)
    assert found.users == pytest.approx(of_users, abs=0.06)
    assert found.items == pytest.approx(of_items, abs=0.06)
    assert found.noise == pytest.approx(0.8, abs=0.06)


def test_the_dampings_are_about_as_good_as_those_chosen_on_held_out_ratings() -> None:
    everything = planted(2000, 3000, 20_000, of_users=0.3, of_items=0.1, noise=0.7)
    held_out = np.random.default_rng(1).random(len(everything)) < 0.2
    train, valid = everything.select(~held_out), everything.select(held_out)

    def error(damping: tuple[float, float]) -> float:
        biases = Biases.fit(train, user_damping=damping[0], item_damping=damping[1])
        of_users = biases.of_users(train.indptr, train.items, train.values)
        return float(
            np.std(valid.values - biases.predict(of_users, valid.users, valid.items.astype(np.int64)))
        )

    variances = variances_of(train)
    assert error((variances.user_damping, variances.item_damping)) < 1.002 * error(pick_damping(train, valid))


def test_levels_that_do_not_differ_are_damped_away() -> None:
    assert Variances(users=-0.01, items=0.2, noise=0.8).user_damping == 200
    assert Variances(users=0.2, items=0.0, noise=0.8).item_damping == 200
    assert Variances(users=0.2, items=0.4, noise=0.8).item_damping == 2


def test_equal_ratings_and_a_single_one_have_no_variance() -> None:
    ids = Ids(["a", "b"])
    for users, items in (([0, 1, 1], [0, 0, 1]), ([0], [1])):
        ratings = Ratings.from_arrays(
            np.array(users), np.array(items), np.full(len(users), 4.0), user_ids=ids, item_ids=ids
        )
        found = variances_of(ratings)
        assert (found.users, found.items, found.noise) == pytest.approx((0, 0, 0))
        assert found.user_damping == found.item_damping == 200
