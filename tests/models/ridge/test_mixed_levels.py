"""Levels of users and items in closed form, against dense matrices and planted variances."""

import numpy as np
import pytest

from refeed.models.ridge.mixed_levels import Dampings, MixedLevels, dampings_of
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings


def planted(
    deviations: tuple[float, float, float],
    *,
    users: int = 300,
    items: int = 60,
    share: float = 0.2,
    seed: int = 0,
) -> Ratings:
    """Ratings with levels of users, items and raters of these deviations, and noise of deviation 1."""
    rng = np.random.default_rng(seed)
    # Some rate the first half of the items, the others the second: so raters differ from item to item.
    likely = share * (0.3 + 1.4 * ((np.arange(users)[:, None] % 2) == (np.arange(items) * 2 // items)))
    rows, columns = np.nonzero(rng.random((users, items)) < likely)
    of_users, of_items, of_raters = (
        deviation * rng.normal(size=size)
        for deviation, size in zip(deviations, (users, items, users), strict=True)
    )
    counts = np.bincount(columns, minlength=items)
    pooled = np.bincount(columns, of_raters[rows], minlength=items) / np.sqrt(np.maximum(counts, 1))
    values = 3 + (of_users[rows] + (of_items + pooled)[columns] + rng.normal(size=len(rows)))
    return Ratings.from_arrays(
        rows,
        columns,
        values,
        user_ids=Ids(f"u{n}" for n in range(users)),
        item_ids=Ids(f"i{n}" for n in range(items)),
    )


def design_of(train: Ratings) -> np.ndarray:
    """The matrix of ratings × [μ, a, b, f]."""
    rows = np.arange(len(train))
    users, items = np.zeros((len(train), train.n_users)), np.zeros((len(train), train.n_items))
    users[rows, train.users] = items[rows, train.items] = 1
    pattern = np.zeros((train.n_items, train.n_users))
    pattern[train.items, train.users] = 1
    pattern /= np.sqrt(np.maximum(train.item_counts, 1))[:, None]
    return np.hstack([np.ones((len(train), 1)), users, items, items @ pattern])


def log_likelihood(train: Ratings, dampings: Dampings) -> float:
    """The restricted one, for the variance of the noise that is best for these dampings."""
    design, ratings = design_of(train), len(train)
    sizes = (train.n_users, train.n_items, train.n_users)
    lambdas = np.repeat([dampings.users, dampings.items, dampings.raters], sizes)
    covariance = np.eye(ratings) + (design[:, 1:] / lambdas) @ design[:, 1:].T
    inverse = np.linalg.inv(covariance)
    ones = np.ones(ratings)
    information = ones @ inverse @ ones
    above = train.values - (ones @ inverse @ train.values) / information
    squares = above @ inverse @ above
    log_determinant = np.linalg.slogdet(covariance)[1]
    return float(-((ratings - 1) * np.log(squares) + log_determinant + np.log(information)) / 2)


def test_levels_are_those_of_the_dense_equations() -> None:
    train, dampings = planted((0.5, 0.3, 0.4), users=40, items=12), Dampings(3.0, 5.0, 7.0)
    found = MixedLevels.fit(train, dampings)
    design = design_of(train)
    lambdas = np.repeat([0.0, 3.0, 5.0, 7.0], (1, 40, 12, 40))
    expected = np.linalg.solve(design.T @ design + np.diag(lambdas), design.T @ (train.values - train.mean))
    assert found.mean == pytest.approx(train.mean + expected[0], abs=1e-3)
    assert found.users == pytest.approx(expected[1:41], abs=1e-3)
    assert found.items == pytest.approx(expected[41:53], abs=1e-3)
    assert found.raters == pytest.approx(expected[53:], abs=1e-3)
    assert found.pooled == pytest.approx(
        (design @ np.r_[np.zeros(53), found.raters])[np.unique(train.items, return_index=True)[1]], abs=1e-9
    )


def test_no_other_dampings_have_a_clearly_higher_marginal_likelihood() -> None:
    train = planted((0.6, 0.4, 0.6), users=120, items=40)
    found = dampings_of(train)
    at = log_likelihood(train, found)
    for kind in ("users", "items", "raters"):
        for factor in (0.5, 2.0):
            values = {name: getattr(found, name) for name in ("users", "items", "raters")}
            values[kind] *= factor
            assert log_likelihood(train, Dampings(**values)) < at + 0.1, (kind, factor)


# So many items for so few users have raters in common that tell f from b.
@pytest.mark.parametrize("deviations", [(0.5, 0.3, 0.5), (0.8, 0.4, 0.4), (0.3, 0.2, 1.0)])
def test_dampings_are_those_of_planted_variances(deviations: tuple[float, float, float]) -> None:
    found = dampings_of(planted(deviations, users=400, items=1000, share=0.06))
    expected = [1 / deviation**2 for deviation in deviations]
    assert np.log([found.users, found.items, found.raters]) == pytest.approx(np.log(expected), abs=0.5)


def test_where_raters_say_nothing_their_levels_are_damped_away() -> None:
    train = planted((0.5, 0.5, 0.0), users=400, items=1000, share=0.06)
    found = dampings_of(train)
    assert found.raters > 10 * found.items
    levels = MixedLevels.fit(train, found)
    assert levels.pooled.std() < 0.3 * levels.items.std()


def test_raters_tell_the_level_of_an_item_with_few_ratings() -> None:
    rng = np.random.default_rng(0)
    of_users, of_items = np.arange(400) % 2, np.arange(800) % 2  # two kinds, and items that one kind rates
    likely = np.where(of_users[:, None] == of_items, 0.018, 0.002)
    users, items = np.nonzero(rng.random((400, 800)) < likely)
    values = 3 + np.where(of_items[items], 0.7, -0.7) + rng.normal(size=len(users))
    everything = Ratings.from_arrays(
        users,
        items,
        values,
        user_ids=Ids(f"u{n}" for n in range(400)),
        item_ids=Ids(f"i{n}" for n in range(800)),
    )
    held_out = rng.random(len(users)) < 0.3
    train, rest = everything.select(~held_out), everything.select(held_out)

    def error(of: Dampings) -> float:
        levels = MixedLevels.fit(train, of)
        predicted = levels.mean + levels.users[rest.users] + (levels.items + levels.pooled)[rest.items]
        return float(np.sqrt(np.mean((predicted - rest.values) ** 2)))

    with_raters = error(dampings_of(train))
    without = min(error(Dampings(users, items, 1e6)) for users in (5.0, 50.0) for items in (1.0, 2.0, 4.0))
    assert with_raters < without - 0.02


def test_the_same_seed_finds_the_same_and_others_find_nearly_the_same() -> None:
    train = planted((0.5, 0.3, 0.5), users=400, items=1000, share=0.06)
    one, two, other = (dampings_of(train, seed) for seed in (0, 0, 1))
    assert one == two
    assert np.log([other.users, other.items, other.raters]) == pytest.approx(
        np.log([one.users, one.items, one.raters]), abs=0.3
    )


@pytest.mark.parametrize("values", [[3.0] * 6, [1.0, 5.0, 1.0, 5.0, 1.0, 5.0]])
def test_ratings_without_noise_have_finite_levels(values: list[float]) -> None:
    train = Ratings.from_arrays(
        np.repeat(np.arange(3), 2),
        np.tile(np.arange(2), 3),
        np.array(values),
        user_ids=Ids("abc"),
        item_ids=Ids("xy"),
    )
    levels = MixedLevels.fit(train, dampings_of(train))
    predicted = levels.mean + levels.users[train.users] + (levels.items + levels.pooled)[train.items]
    assert np.isfinite(predicted).all()
    assert np.abs(predicted - train.values).max() <= 4


def test_a_single_rating_and_items_without_ratings_do_no_harm() -> None:
    train = Ratings.from_arrays(
        np.array([1]), np.array([2]), np.array([4.0]), user_ids=Ids("abc"), item_ids=Ids("wxyz")
    )
    levels = MixedLevels.fit(train, dampings_of(train))
    assert levels.mean == pytest.approx(4)
    assert not levels.items.any()
    assert not levels.pooled.any()


def test_of_many_ratings_some_users_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    train = planted((0.5, 0.3, 0.5), users=1200, items=1000, share=0.06)
    everything = dampings_of(train)
    monkeypatch.setattr("refeed.models.ridge.mixed_levels._MOST", len(train) // 3)
    some = dampings_of(train)
    assert some != everything
    assert some.users == pytest.approx(everything.users, rel=0.3)
    # Of raters who are not there b says what f said.
    of_items = [1 / dampings.items + 1 / dampings.raters for dampings in (some, everything)]
    assert of_items[0] == pytest.approx(of_items[1], rel=0.3)
