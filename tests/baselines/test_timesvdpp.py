"""timeSVD++: planted drift is found, days unseen in training follow the rule, and the formula is Koren's."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from refeed.baselines.clock import DAY, Clock
from refeed.baselines.factors import FactorModel
from refeed.baselines.timesvdpp import TimeSvdppModel, timesvdpp_ratings
from refeed.config.baselines import PmfConfig, TimeSvdppConfig
from refeed.errors import DataError
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings

USERS, ITEMS, DAYS, CUT = 100, 80, 300, 240
START = 1_000_000_000


def _ratings(
    users: NDArray[np.int64], items: NDArray[np.int64], values: NDArray[np.float64], days: NDArray[np.float64]
) -> Ratings:
    return Ratings.from_arrays(
        users,
        items,
        values,
        times=(START + days * DAY).astype(np.int64),
        user_ids=Ids(map(str, range(USERS))),
        item_ids=Ids(map(str, range(ITEMS))),
    )


def _drifting() -> tuple[Ratings, Ratings, NDArray[np.float64], NDArray[np.float64]]:
    """Training and later ratings of users who drift by α_u dev_u(t), and of items that change half-way."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < 0.8)
    days = rng.uniform(0, DAYS, len(users))
    drift, change = rng.normal(0, 0.12, USERS), rng.normal(0, 0.5, ITEMS)
    apart = days - CUT / 2  # the middle of a user's training ratings, nearly
    level = rng.normal(0, 0.3, USERS)[users] + rng.normal(0, 0.4, ITEMS)[items]
    moved = drift[users] * np.sign(apart) * np.abs(apart) ** 0.4 + change[items] * (days > CUT / 2)
    values = 3 + level + moved + rng.normal(0, 0.3, len(users))
    past = days < CUT
    train = _ratings(users[past], items[past], values[past], days[past])
    return train, _ratings(users[~past], items[~past], values[~past], days[~past]), drift, change


def _rmse(predicted: NDArray[np.float64], ratings: Ratings) -> float:
    return float(np.sqrt(np.mean((predicted - ratings.values) ** 2)))


def test_planted_drift_is_recovered_and_pmf_is_beaten_in_the_future() -> None:
    train, later, drift, change = _drifting()
    assert later.times is not None
    config = TimeSvdppConfig(
        rank=2,
        bins=10,
        epochs=12,
        user_bias=[0.02, 0.01],
        item_bias=[0.02, 0.01],
        user_drift=[0.002, 0.01],
        item_bins=[0.05, 0.01],
    )
    model = TimeSvdppModel(config, USERS, ITEMS, seed=0)
    model.fit(train)
    pmf = FactorModel(PmfConfig(rank=4, biases=True, lr=0.006, epochs=20), USERS, ITEMS, seed=0)
    pmf.fit(train)
    pairs = (later.users, later.items.astype(np.int64))
    error = _rmse(model.predict_at(train, *pairs, later.times), later)
    state = model.state_dict()
    assert np.corrcoef(state["user_drift"].numpy(), drift)[0, 1] > 0.95
    bins = state["item_bins"].view(ITEMS, 10)
    assert np.corrcoef((bins[:, 5:].mean(dim=1) - bins[:, :5].mean(dim=1)).numpy(), change)[0, 1] > 0.9
    assert error < 0.75 * _rmse(pmf.predict(train, *pairs), later)


def test_the_future_has_no_day_the_last_bin_and_a_capped_deviation() -> None:
    train, _, _, _ = _drifting()
    assert train.times is not None
    clock = Clock.of(train, train.times, bins=10)
    users, future = np.arange(USERS), np.full(USERS, START + 10_000 * DAY)
    assert (clock.day_rows(users, future) == -1).all()
    assert (clock.bin(future) == 9).all()
    largest = np.array([clock.dev(train.users, train.times)[train.users == u].max() for u in range(USERS)])
    np.testing.assert_array_equal(clock.dev(users, future), largest)
    # A training rating finds its own day again, and nobody else's.
    rows = clock.day_rows(train.users, train.times)
    days = (train.times // DAY) - START // DAY
    same = np.unique(np.stack([train.users, days, rows]), axis=1)
    assert same.shape[1] == len(clock.keys) == len(np.unique(rows))


def test_the_formula_is_koren_s_term_by_term() -> None:
    generator = torch.Generator().manual_seed(0)
    users, items, days, bins, rank = 3, 4, 5, 2, 6
    shapes: dict[str, tuple[int, ...]] = {
        "user_bias": (users,),
        "user_drift": (users,),
        "user_scale": (users,),
        "factor_drift": (users, rank),
        "item_bias": (items,),
        "item_bins": (items * bins,),
        "items": (items, rank),
        "user_days": (days,),
        "scale_days": (days,),
        "day_factors": (days, rank),
    }
    at = {
        name: torch.randn(shape, generator=generator, dtype=torch.float64) for name, shape in shapes.items()
    }
    own = torch.randn(users, rank, generator=generator, dtype=torch.float64)
    u, i, day, time_bin, dev = 2, 1, 3, 1, 0.7
    pairs = {
        "user": torch.tensor([u]),
        "item": torch.tensor([i]),
        "day": torch.tensor([day]),
        "bin": torch.tensor([i * bins + time_bin]),
        "dev": torch.tensor([dev], dtype=torch.float64),
    }
    expected = at["user_bias"][u] + at["user_drift"][u] * dev + at["user_days"][day]
    expected += (at["item_bias"][i] + at["item_bins"].view(items, bins)[i, time_bin]) * (
        1 + at["user_scale"][u] + at["scale_days"][day]
    )
    for k in range(rank):
        taste = own[u, k] + at["factor_drift"][u, k] * dev + at["day_factors"][day, k]
        expected += at["items"][i, k] * taste
    torch.testing.assert_close(timesvdpp_ratings(at, own, pairs)[0], expected)


def test_ratings_without_times_are_refused_with_what_to_do() -> None:
    train, _, _, _ = _drifting()
    timeless = Ratings.from_arrays(
        train.users,
        train.items.astype(np.int64),
        train.values,
        user_ids=train.user_ids,
        item_ids=train.item_ids,
    )
    with pytest.raises(DataError, match=r"no times.*svdpp"):
        TimeSvdppModel(TimeSvdppConfig(), USERS, ITEMS, seed=0).fit(timeless)
