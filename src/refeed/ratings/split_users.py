"""Strong generalisation: some users are held out whole, and part of each one's history is given."""

from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float64, Int64

from refeed.errors import ConfigError, DataError
from refeed.ratings.split import Split
from refeed.ratings.split_report import SplitReport, part_of
from refeed.ratings.store import Ratings

__all__ = ["split_users"]

_NOTE = (
    "the users of valid and test are not in train: train without --valid, and evaluate with --ranking and "
    "--given valid-given or test-given, and only models that fold people in."
)


def split_users(
    ratings: Ratings, fraction: float = 0.1, *, given: float = 0.8, valid: float = 0.5, seed: int = 0
) -> Split:
    """Hold out each user with probability `fraction`, and give the model a random part of what they rated.

    The protocol of Liang, Krishnan, Hoffman & Jebara (2018): the model trains on the others alone; then it
    folds in the given part of a held-out user's history, and is asked for the rest. A coin sends each
    held-out user to validation or to test. Ratings of items that training doesn't know are removed and
    counted, and so are held-out users of whom fewer than 2 ratings are then left.

    Args:
        ratings: with or without times.
        fraction: the probability of a user to be held out, 0 < fraction < 1.
        given: the part of each held-out history that is given, rounded down, but at least one rating, and at
            least one is left to predict; 0 < given < 1.
        valid: the probability that a held-out user goes to validation, 0 ≤ valid < 1.
        seed: of all three choices.

    Raises:
        ConfigError: fraction, given, valid or seed out of range.
        DataError: nothing is left in train or test.
    """
    _check(fraction, given, valid, seed)
    coin = np.random.default_rng(seed)
    held_users = coin.random(ratings.n_users) < fraction
    to_valid = coin.random(ratings.n_users) < valid
    draws = coin.random(len(ratings))
    of_held = np.repeat(held_users, ratings.user_counts)
    known = ratings.select(~of_held)
    warm = of_held & (known.item_counts > 0)[ratings.items]
    long_enough = np.bincount(ratings.users[warm], minlength=ratings.n_users) >= 2
    kept = warm & np.repeat(long_enough, ratings.user_counts)
    inside = np.zeros_like(kept)
    inside[kept] = _given_of_each(draws[kept], ratings.select(kept).user_counts, given)
    for_valid = np.repeat(to_valid, ratings.user_counts)
    how = f"by users: each one held out with probability {fraction:g}, {given:g} of their ratings given"
    masks = {
        "train": ~of_held,
        "valid": kept & ~inside & for_valid,
        "test": kept & ~inside & ~for_valid,
        "valid_given": kept & inside & for_valid,
        "test_given": kept & inside & ~for_valid,
    }
    parts = {
        name: replace(
            ratings.select(mask).compact(),
            source={**ratings.source, "split": how, "seed": seed, "part": name.replace("_", "-")},
        )
        for name, mask in masks.items()
    }
    rated_held = held_users & (ratings.user_counts > 0)
    if not len(parts["train"]) or not len(parts["test"]):
        raise DataError(
            f"split {how}: {len(parts['train']):,} ratings are left to train on and "
            f"{len(parts['test']):,} to test on, of {int(np.count_nonzero(rated_held)):,} held-out users; "
            "hold out another part of the users, or take another seed"
        )
    report = SplitReport(
        how=how,
        **{name: part_of(part) for name, part in parts.items()},
        tested_users=int(np.count_nonzero(held_users & long_enough)),
        cold_ratings=int(np.count_nonzero(of_held & ~kept)),
        cold_users=int(np.count_nonzero(rated_held & ~long_enough)),
        cold_items=int(np.count_nonzero(ratings.select(of_held & ~warm).item_counts)),
        left_out=0,
        notes=(_NOTE,),
    )
    return Split(**parts, report=report)


def _given_of_each(
    draws: Float64[np.ndarray, " ratings"], counts: Int64[np.ndarray, " users"], given: float
) -> Bool[np.ndarray, " ratings"]:
    """Which ratings, listed user by user, are given: of each user those of the lowest draws."""
    users = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((draws, users))
    # The little more keeps 0.29 × 100, which is 28.999…, from becoming 28.
    room = np.clip(np.floor(counts * given + 1e-9).astype(np.int64), 1, np.maximum(counts - 1, 1))
    places = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    chosen = np.empty(len(users), dtype=np.bool_)
    chosen[order] = places < np.repeat(room, counts)
    return chosen


def _check(fraction: float, given: float, valid: float, seed: int) -> None:
    if not 0 < fraction < 1:
        raise ConfigError(
            f"can't hold out {fraction} of the users; give a fraction between 0 and 1, such as 0.1"
        )
    if not 0 < given < 1:
        raise ConfigError(f"can't give {given} of each history; give a fraction between 0 and 1, such as 0.8")
    if not 0 <= valid < 1:
        raise ConfigError(f"valid is {valid}; it is a probability from 0 to below 1, such as 0.5")
    if seed < 0:
        raise ConfigError(f"the seed is {seed}; give a whole number from 0 on")
