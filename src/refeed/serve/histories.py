"""Taking people out of a model folder's training histories."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool

from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.serve.store import RatingsStore

__all__ = ["forget_in_folder", "without_forgotten", "without_users"]


def without_users(ratings: Ratings, gone: Bool[np.ndarray, " users"]) -> Ratings:
    """The ratings without those of some people; everybody keeps their position, and those lose their id.

    Positions stay, as models may hold numbers by position.
    """
    names = [
        _nobody(ratings.user_ids, at) if out else user
        for at, (user, out) in enumerate(zip(ratings.user_ids, gone.tolist(), strict=True))
    ]
    kept = ratings.select(~np.repeat(gone, ratings.user_counts))
    return replace(kept, user_ids=Ids(names))


def without_forgotten(ratings: Ratings, database: str) -> Ratings:
    """The ratings without those of who asked a server to be forgotten.

    Args:
        ratings: any, by raw ids of the same people.
        database: of the server.

    Raises:
        StoreError: the database can't be used.
    """
    store = RatingsStore.open(database)
    try:
        digests = store.forgotten()
        gone = np.array([store.digest(user) in digests for user in ratings.user_ids], dtype=np.bool_)
    finally:
        store.close()
    return without_users(ratings, gone).compact() if gone.any() else ratings


def _nobody(users: Ids, at: int) -> str:
    """A name that nobody has."""
    name = f"forgotten-{at}"
    while name in users:
        name += "-"
    return name


def forget_in_folder(run: Path, histories: Ratings, gone: Bool[np.ndarray, " users"]) -> Ratings:
    """Write a model folder's `history/` anew without some people.

    Killed half-way it leaves the old history, or none, in which case nobody is known by id; a tombstone in
    the ratings store makes the server do it again at its next start.

    Returns:
        The new histories.
    """
    place, beside, old = run / "history", run / "history.new", run / "history.old"
    for leftover in (beside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    without_users(histories, gone).save(beside)
    place.rename(old)
    beside.rename(place)
    shutil.rmtree(old)
    return Ratings.load(place)
