"""RRN: it follows users who drift, and sees nothing of the time step that it predicts."""

import numpy as np
import pytest
from numpy.typing import NDArray

from refeed.baselines.clock import DAY
from refeed.baselines.factors import FactorModel
from refeed.baselines.rrn import RrnModel
from refeed.baselines.steps import Steps
from refeed.config.baselines import PmfConfig, RrnConfig
from refeed.errors import DataError
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

START = 1_000_000_000


def _ratings(
    users: NDArray[np.int64],
    items: NDArray[np.int64],
    values: NDArray[np.float64],
    steps: NDArray[np.int64],
    sizes: tuple[int, int],
) -> Ratings:
    """Ratings with a time step of a day each."""
    return Ratings.from_arrays(
        users,
        items,
        values,
        times=START + steps * DAY,
        user_ids=Ids(map(str, range(sizes[0]))),
        item_ids=Ids(map(str, range(sizes[1]))),
    )


def _drifting() -> tuple[Ratings, Ratings]:
    """Training ratings of 20 days and those of the day after, by users whose levels drift from day to day."""
    rng = np.random.default_rng(0)
    n_users, n_items, n_steps, a_day = 200, 150, 21, 6
    level = np.zeros((n_users, n_steps))
    level[:, 0] = rng.normal(0, 1, n_users)
    for step in range(1, n_steps):
        level[:, step] = 0.9 * level[:, step - 1] + rng.normal(0, 0.45, n_users)
    items = np.argsort(rng.random((n_users, n_items)), axis=1)[:, : n_steps * a_day].reshape(-1)
    users = np.repeat(np.arange(n_users), n_steps * a_day)
    steps = np.tile(np.repeat(np.arange(n_steps), a_day), n_users)
    values = 3 + level[users, steps] + rng.normal(0, 0.4, n_items)[items] + rng.normal(0, 0.3, len(users))
    past = steps < n_steps - 1
    sizes = n_users, n_items
    train = _ratings(users[past], items[past], values[past], steps[past], sizes)
    return train, _ratings(users[~past], items[~past], values[~past], steps[~past], sizes)


def _rmse(predicted: NDArray[np.float64], ratings: Ratings) -> float:
    return float(np.sqrt(np.mean((predicted - ratings.values) ** 2)))


def test_users_who_drift_are_followed_and_pmf_is_beaten() -> None:
    train, later = _drifting()
    assert later.times is not None
    config = RrnConfig(
        step_days=1, width=8, hidden=8, rank=2, dropout=0.0, lr=0.01, l2=1e-5, batch=32, epochs=8
    )
    model = RrnModel(config, train.n_users, train.n_items, seed=0)
    model.fit(train)
    pmf = FactorModel(PmfConfig(rank=2, biases=True, epochs=30), train.n_users, train.n_items, seed=0)
    pmf.fit(train)
    pairs = (later.users, later.items.astype(np.int64))
    error = _rmse(model.predict_at(train, *pairs, later.times), later)
    of_pmf = _rmse(pmf.predict(train, *pairs), later)
    # What can't be foreseen of the last day is √(0.45² + 0.3²) = 0.54.
    assert error < 0.7 * of_pmf


def _small() -> tuple[RrnModel, Ratings]:
    """A model fitted to few ratings of ten days."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((12, 9)) < 0.7)
    values = rng.integers(1, 6, len(users)).astype(np.float64)
    values[:2] = 1, 5
    train = _ratings(users, items, values, rng.integers(10, size=len(users)), (12, 9))
    config = RrnConfig(step_days=1, width=4, hidden=4, rank=2, lr=0.05, batch=4, epochs=2)
    model = RrnModel(config, 12, 9, seed=0)
    model.fit(train)
    return model, train


def test_a_prediction_sees_what_came_before_its_time_step_and_nothing_else() -> None:
    model, train = _small()
    assert train.times is not None
    pairs = (train.users, train.items.astype(np.int64))
    middle = START + 5 * DAY
    now, steps = np.full(len(train), middle), (train.times - START) // DAY

    def with_others(mask: NDArray[np.bool_]) -> Ratings:
        values = np.where(mask, 6 - train.values, train.values).astype(np.float64)
        return _ratings(train.users, train.items.astype(np.int64), values, steps, (12, 9))

    expected = model.predict_at(train, *pairs, now)
    later = model.predict_at(with_others(train.times >= middle), *pairs, now)
    np.testing.assert_allclose(later, expected, atol=1e-6)
    earlier = model.predict_at(with_others(train.times < middle), *pairs, now)
    assert np.abs(earlier - expected).max() > 1e-3


def test_training_and_prediction_see_the_same_states() -> None:
    model, train = _small()
    steps, _ = model._steps(train)
    everyone = np.arange(12)
    h, _ = model.users.states(steps, everyone, model._unit)
    owners = np.repeat(everyone, np.diff(steps.bounds))
    asked = model.users.dynamic(steps, owners, steps.numbers, model._unit)
    np.testing.assert_allclose(asked.detach(), model.users.project(h).detach(), atol=1e-6)


def test_an_entry_has_the_ratings_of_one_row_and_one_step() -> None:
    _, train = _small()
    assert train.times is not None
    numbers = (train.times - START) // DAY
    for side, rows in zip(Steps.both(train, train.values, numbers), (train.users, train.items), strict=True):
        entry_rows = np.repeat(np.arange(len(side.bounds) - 1), np.diff(side.bounds))
        assert set(zip(entry_rows.tolist(), side.numbers.tolist(), strict=True)) == set(
            zip(rows.tolist(), numbers.tolist(), strict=True)
        )
        np.testing.assert_array_equal(entry_rows[side.of_ratings], rows)
        np.testing.assert_array_equal(side.numbers[side.of_ratings], numbers)
        expected = [
            len(set(numbers[(rows == row) & (numbers < step)].tolist()))
            for row, step in zip(rows, numbers, strict=True)
        ]
        np.testing.assert_array_equal(side.before(np.asarray(rows, dtype=np.int64), numbers), expected)


def test_ratings_without_times_are_refused() -> None:
    model, train = _small()
    timeless = Ratings.from_arrays(
        train.users,
        train.items.astype(np.int64),
        train.values,
        user_ids=train.user_ids,
        item_ids=train.item_ids,
    )
    with pytest.raises(DataError, match="no times"):
        model.fit(timeless)
