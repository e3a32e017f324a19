"""Held-out ratings in the positions of the training ratings."""

import numpy as np

from refeed.ratings.ids import Ids
from refeed.ratings.pairs import align, align_to
from refeed.ratings.store import Ratings


def _held_out() -> Ratings:
    return Ratings.from_arrays(
        np.array([0, 0, 1, 2, 2]),
        np.array([0, 1, 0, 1, 2]),
        np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
        times=np.array([10, 20, 30, 40, 50]),
        user_ids=Ids(["ann", "bob", "new", "silent"]),
        item_ids=Ids(["x", "y", "unheard", "unrated"]),
    )


def test_pairs_are_matched_by_raw_ids_whatever_their_order() -> None:
    aligned = align(_held_out(), Ids(["zoe", "bob", "ann"]), Ids(["y", "w", "x"]))
    assert aligned.users.tolist() == [2, 2, 1]
    assert aligned.items.tolist() == [2, 0, 2]
    assert aligned.values.tolist() == [1, 2, 3]
    assert aligned.times is not None
    assert aligned.times.tolist() == [10, 20, 30]


def test_cold_pairs_users_and_items_are_counted_only_if_they_were_held_out() -> None:
    aligned = align(_held_out(), Ids(["ann", "bob"]), Ids(["x", "y"]))
    assert (aligned.cold_pairs, aligned.cold_users, aligned.cold_items) == (2, 1, 1)
    assert len(aligned) == 3


def test_ratings_without_times_stay_without() -> None:
    held_out = Ratings.from_arrays(
        np.array([0]), np.array([0]), np.array([3.0]), user_ids=Ids(["ann"]), item_ids=Ids(["x"])
    )
    assert align(held_out, Ids(["ann"]), Ids(["x"])).times is None


def test_an_id_that_training_lists_without_a_rating_is_cold() -> None:
    training = Ratings.from_arrays(
        np.array([0, 2]),
        np.array([0, 0]),
        np.array([3.0, 4.0]),
        user_ids=Ids(["ann", "bob", "new"]),
        item_ids=Ids(["x", "y"]),
    )
    aligned = align_to(_held_out(), training)
    assert aligned.users.tolist() == [0]
    assert aligned.items.tolist() == [0]
    assert (aligned.cold_pairs, aligned.cold_users, aligned.cold_items) == (4, 1, 2)
