"""Histories side by side."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refeed.models.ridge.padded import padded


def bounds(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


@given(st.lists(st.integers(0, 300), max_size=60), st.integers(1, 2000))
def test_every_rating_has_one_place_with_its_user(lengths: list[int], entries: int) -> None:
    indptr = bounds(lengths)
    found = []
    for block in padded(indptr, entries):
        owners = np.broadcast_to(block.users[:, None], block.rated.shape)
        found += list(zip(owners[block.rated], block.places[block.rated], strict=True))
    expected = [(u, at) for u in range(len(lengths)) for at in range(indptr[u], indptr[u + 1])]
    assert sorted(found) == expected
    assert sorted(user for block in padded(indptr, entries) for user in block.users) == list(
        range(len(lengths))
    )


@given(st.lists(st.integers(0, 300), min_size=1, max_size=60))
def test_few_places_are_filled_up(lengths: list[int]) -> None:
    for block in padded(bounds(lengths)):
        filled_up = int((~block.rated).sum())
        assert filled_up <= max(2048, 0.2 * block.rated.size)


def test_few_users_make_few_blocks() -> None:
    assert len(list(padded(bounds(list(range(10, 60)))))) == 1


def test_a_user_with_very_many_ratings_costs_the_others_nothing() -> None:
    blocks = list(padded(bounds([20_000] + [10] * 5000), entries=1 << 16))
    assert max(block.rated.size for block in blocks) <= 1 << 16
    assert sum(block.rated.size for block in blocks) < 1.25 * (20_000 + 50_000)


def test_what_is_filled_up_is_zero() -> None:
    (block,) = padded(bounds([1, 3]))
    np.testing.assert_array_equal(block.of(np.array([5.0, 6.0, 7.0, 8.0])), [[5, 0, 0], [6, 7, 8]])


def test_users_without_ratings_make_a_block_without_places() -> None:
    (block,) = padded(bounds([0, 0]))
    assert block.of(np.empty(0, dtype=np.int32)).shape == (2, 0)
