"""Validation ratings of some users, where there are many."""

import numpy as np
import pytest

from refeed.models.ridge.held_out import some_of
from refeed.ratings.pairs import Aligned


def pairs(times: bool) -> Aligned:
    """Of 50 users three each, told apart by their values."""
    users = np.repeat(np.arange(50), 3)
    rows = np.arange(150)
    return Aligned(
        users=users,
        items=rows % 7,
        rows=rows,
        values=rows.astype(np.float32),
        times=rows + 1000 if times else None,
        cold_pairs=0,
        cold_users=0,
        cold_items=0,
    )


@pytest.mark.parametrize("times", [True, False])
def test_some_users_come_with_all_their_ratings(times: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refeed.models.ridge.held_out._MOST", 10)
    some = some_of(pairs(times), seed=0)
    each, counts = np.unique(some.users, return_counts=True)
    assert len(each) == 10
    assert (counts == 3).all()
    np.testing.assert_array_equal(some.users, some.rows // 3)
    np.testing.assert_array_equal(some.items, some.rows % 7)
    np.testing.assert_array_equal(some.values, some.rows)
    if times:
        assert some.times is not None
        np.testing.assert_array_equal(some.times, some.rows + 1000)
    np.testing.assert_array_equal(some.users, some_of(pairs(times), seed=0).users)


def test_all_of_few_users_are_taken() -> None:
    every = pairs(times=True)
    assert some_of(every, seed=0) is every
