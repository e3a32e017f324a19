"""RRN: it follows users who drift, sees nothing of the time step that it predicts, and may be asked at any time."""

import numpy as np
import pytest
from numpy.typing import NDArray

from refeed.baselines.clock import DAY
from refeed.baselines.configs import PmfConfig, RrnConfig
from refeed.baselines.factors import FactorModel
from refeed.baselines.rrn import RrnModel
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
        step_days=1, width=8, hidden=8, rank=2, dropout=0.0, lr=0.01, l2=1e-5, batch=32, epochs=15
    )
    model = RrnModel(config, train.n_users, train.n_items, seed=0)
    model.fit(train)
    pmf = FactorModel(PmfConfig(rank=2, biases=True), train.n_users, train.n_items, seed=0)
    pmf.fit(train)
    pairs = (later.users, later.items.astype(np.int64))
    error, of_pmf = _rmse(model.predict_at(train, *pairs, later.times), later), _rmse(pmf.predict(train, *pairs), later)
    print(error, of_pmf)
    # What can't be foreseen of the last day is √(0.45² + 0.3²) = 0.54.
    assert error < 0.7 * of_pmf
