"""`refeed retrain`: what people rated since the last time becomes a new model, if that is not worse.

1. the old model's history, without who was forgotten, and the live ratings over it
2. the newest ratings are held back
3. a model of the old one's settings is trained on the rest, from the old one's rows where it may (`warm.py`)
4. both predict what was held back, from the same history
5. the new one takes the old one's place, unless it is worse (`comparison.py`)
"""

import ctypes
import json
import os
import shutil
import sys
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool
from numpy.typing import NDArray

from refeed.errors import ConfigError, ModelError
from refeed.progress import Reporter, silent
from refeed.ratings.ids import Ids
from refeed.ratings.store import Attributes, Ratings
from refeed.serve.comparison import compared
from refeed.serve.histories import without_users
from refeed.serve.store import RatingsStore
from refeed.serve.warm import settings_of, shorter, someone_left, warm_rows, whole_length
from refeed.trained_model import TrainedModel
from refeed.training.fit import fit

__all__ = ["Retrained", "exchange", "merged", "reload_server", "retrain"]

_FEWEST = 20
"""Held-out ratings; on fewer a comparison says nothing."""


@dataclass(frozen=True)
class Retrained:
    """What came out.

    Args:
        new_ratings: live ratings since the last time.
        held_back: ratings that both models predicted.
        old: of the old model on these; None: there was nothing to train on.
        new: of the new one.
        swapped: whether the new model took the old one's place.
        warm: whether the new one started from the old one's rows.
        measure: what `old` and `new` are: RMSE, or for models of interactions nDCG@10.
    """

    new_ratings: int
    held_back: int
    old: float | None
    new: float | None
    swapped: bool
    warm: bool = False
    measure: Literal["RMSE", "nDCG@10"] = "RMSE"

    def __str__(self) -> str:
        """The same for people."""
        if self.old is None or self.new is None:
            return f"{self.new_ratings:,} new ratings since the last time: too few to compare by"
        verdict = "takes the old one's place" if self.swapped else "is worse and was put aside"
        return (
            f"{self.new_ratings:,} new ratings; on the newest {self.held_back:,} the old model's "
            f"{self.measure} is {self.old:.4f}, the new one's {self.new:.4f} "
            f"(trained {'from there' if self.warm else 'anew'}): it {verdict}"
        )


def retrain(
    run: Path,
    database: str,
    *,
    hold_back: float = 0.1,
    tolerance: float = 0.0,
    force: bool = False,
    anew: bool = False,
    reporter: Reporter = silent,
) -> Retrained:
    """Train a model on its history and the live ratings, and put it in the old one's place.

    A ridge autoencoder goes on from the old one's rows, in a third of the updates; unless somebody was
    forgotten since, as these rows were learned from them, too. The old folder stays beside as `RUN.previous`,
    a new one that was worse as `RUN.worse`.

    Args:
        run: the folder of the model that is served.
        database: of the live ratings.
        hold_back: the share of the ratings that are new since the last time to compare both models by.
        tolerance: by how much the new RMSE may be higher, or nDCG@10 lower.
        force: also with too few new ratings to compare by.
        anew: start with no row of the old one's, whatever kind it is of.
        reporter: hears about the training.

    Raises:
        ConfigError: `hold_back` is no share.
        ModelError: the folder can't be used, or its history was removed.
        StoreError: the database can't be used.
    """
    if not 0 < hold_back < 1:
        raise ConfigError(f"--hold-back {hold_back}: give a share of the new ratings between 0 and 1")
    old = TrainedModel.load(run)
    if old.histories is None:
        raise ModelError(
            f"{run} has no history/; a model can be trained again only from what it was trained on"
        )
    store = RatingsStore.open(database)
    try:
        since = int(old.histories.source.get("last_event", 0))
        ratings, newest = merged(old.histories, store, since)
        last, fresh = store.last_event(), int(newest.sum())
        anew = anew or someone_left(old.histories, store)
    finally:
        store.close()
    held = _newest(ratings, newest, hold_back)
    if int(held.sum()) < _FEWEST and not force:
        return Retrained(fresh, int(held.sum()), None, None, swapped=False)
    warm = () if anew else warm_rows(run, old)
    config = settings_of(old)
    train = ratings.select(~held, {"last_event": last, "part": "train", **whole_length(old)}).compact()
    test = ratings.select(held, {"part": "newest"})
    beside = run.with_name(f"{run.name}.next")
    shutil.rmtree(beside, ignore_errors=True)
    fit(train, None, shorter(config) if warm else config, beside, reporter=reporter, warm=warm)
    return replace(_decide(run, beside, old, train, test, fresh, tolerance), warm=bool(warm))


def _decide(
    run: Path, beside: Path, old: TrainedModel, train: Ratings, test: Ratings, fresh: int, tolerance: float
) -> Retrained:
    """Compare both on what was held back of items that both know, and swap or not."""
    new = TrainedModel.load(beside)
    known = _over(train, old.items.ids)
    common = test.select(_known_pairs(test, known) & _known_pairs(test, train))
    found = compared(old, new, (known, train), common) if len(common) else None
    if found is None:  # nothing in common: only new items were rated
        exchange(beside, run)
        return Retrained(fresh, 0, float("nan"), float("nan"), swapped=True)
    swapped = found.worse_by <= tolerance
    if swapped:
        exchange(beside, run)
    else:
        worse = run.with_name(f"{run.name}.worse")
        shutil.rmtree(worse, ignore_errors=True)
        beside.rename(worse)
    return Retrained(fresh, found.held_back, found.old, found.new, swapped=swapped, measure=found.measure)


def merged(old: Ratings, store: RatingsStore, since: int) -> tuple[Ratings, Bool[np.ndarray, " ratings"]]:
    """The history without who was forgotten, and the live ratings over it; and which of them are new.

    Args:
        old: the history of the last training.
        store: the live ratings.
        since: the last event of which that training knew.
    """
    forgotten = store.forgotten()
    gone = np.array([store.digest(user) in forgotten for user in old.user_ids], dtype=np.bool_)
    kept = without_users(old, gone) if gone.any() else old
    times = kept.times if kept.times is not None else np.zeros(len(kept), dtype=np.int64)
    table: dict[tuple[str, str], tuple[float, int, bool]] = {
        (kept.user_ids[user], kept.item_ids[item]): (value, at, False)
        for user, item, value, at in zip(
            kept.users.tolist(), kept.items.tolist(), kept.values.tolist(), times.tolist(), strict=True
        )
    }
    for user, item, rating, at, event in store.latest():
        if rating is None:
            table.pop((user, item), None)
        else:
            table[user, item] = (rating, at, event > since)
    users, items = (
        Ids(dict.fromkeys(user for user, _ in table)),
        Ids(dict.fromkeys(item for _, item in table)),
    )
    titles = _titles(kept, items)
    ratings = Ratings.from_arrays(
        users.positions(user for user, _ in table),
        items.positions(item for _, item in table),
        np.array([value for value, _, _ in table.values()], dtype=np.float32),
        times=np.array([at for _, at, _ in table.values()], dtype=np.int64),
        user_ids=users,
        item_ids=items,
        titles=titles,
        source=dict(old.source),
        kind=old.kind,
    )
    ratings = replace(ratings, attributes=_attributes(kept, items))
    order = np.lexsort(
        (items.positions(item for _, item in table), users.positions(user for user, _ in table))
    )
    newest: NDArray[np.bool_] = np.array([new for _, _, new in table.values()], dtype=np.bool_)[order]
    return ratings, newest


def _titles(old: Ratings, items: Ids) -> tuple[str, ...] | None:
    if old.titles is None:
        return None
    known = dict(zip(old.item_ids, old.titles, strict=True))
    return tuple(known.get(item, "") for item in items)


def _attributes(old: Ratings, items: Ids) -> Attributes:
    places = old.item_ids.positions(items).tolist()
    return {
        name: tuple(None if at < 0 else values[at] for at in places)
        for name, values in old.attributes.items()
    }


def _newest(ratings: Ratings, new: NDArray[np.bool_], share: float) -> NDArray[np.bool_]:
    """The latest of the new ratings, as many as that share of them; everybody keeps their own first half.

    Of somebody whose ratings are all held back nothing would be known, and both models would say the same.
    """
    assert ratings.times is not None  # noqa: S101 - `merged` gave them
    held = np.zeros(len(ratings), dtype=np.bool_)
    order = np.lexsort((ratings.times, ratings.users))
    place = np.empty(len(ratings), dtype=np.int64)
    place[order] = np.arange(len(ratings)) - ratings.indptr[ratings.users[order]]
    later = place >= (ratings.user_counts[ratings.users] + 1) // 2
    candidates = np.flatnonzero(new & later)
    candidates = candidates[np.argsort(ratings.times[candidates], kind="stable")]
    count = min(int(new.sum() * share), len(candidates))
    held[candidates[len(candidates) - count :]] = True
    return held


def _over(ratings: Ratings, items: Ids) -> Ratings:
    """The ratings over other items: those that are unknown there are left out."""
    places = items.positions(ratings.item_ids)[ratings.items]
    kept = places >= 0
    return replace(
        Ratings.from_arrays(
            ratings.users[kept],
            places[kept],
            ratings.values[kept],
            times=None if ratings.times is None else ratings.times[kept],
            user_ids=ratings.user_ids,
            item_ids=items,
            kind=ratings.kind,
        ),
        titles=None,
    )


def _known_pairs(test: Ratings, histories: Ratings) -> NDArray[np.bool_]:
    """Of which held-out ratings both the person and the item have a rating in a history."""
    users, items = histories.user_ids.positions(test.user_ids), histories.item_ids.positions(test.item_ids)
    known_users = (users >= 0) & (histories.user_counts[users] > 0)
    known_items = (items >= 0) & (histories.item_counts[items] > 0)
    known: NDArray[np.bool_] = known_users[test.users] & known_items[test.items]
    return known


def exchange(new: Path, place: Path) -> None:
    """Put a folder in another one's place; that one becomes `PLACE.previous`.

    In one step where the system can (Linux), so that a server that starts meanwhile finds one of the two.
    """
    previous = place.with_name(f"{place.name}.previous")
    shutil.rmtree(previous, ignore_errors=True)
    if _exchanged(new, place):
        new.rename(previous)
        return
    place.rename(previous)
    new.rename(place)


def _exchanged(one: Path, other: Path) -> bool:
    if sys.platform != "linux":
        return False
    renameat2 = getattr(ctypes.CDLL(None), "renameat2", None)  # of glibc 2.28 and later
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return renameat2 is not None and not renameat2(here, os.fsencode(one), here, os.fsencode(other), swap)


def reload_server(server: str, token: str | None, model: str = "main") -> None:
    """Have a server load a model's folder again.

    Args:
        server: such as http://127.0.0.1:8000.
        token: one that may write; None: the server has none.
        model: its name there.

    Raises:
        ConfigError: the server does not do it.
    """
    if not server.startswith(("http://", "https://")):
        raise ConfigError(f"--server {server!r} is no address such as http://127.0.0.1:8000")
    request = urllib.request.Request(  # noqa: S310 - http or https, see above
        f"{server.rstrip('/')}/v1/model",
        data=json.dumps({"model": model}).encode(),
        headers={
            "Content-Type": "application/json",
            **({"Authorization": f"Bearer {token}"} if token else {}),
        },
        method="PUT",
    )
    try:
        with urllib.request.urlopen(request, timeout=300):  # noqa: S310
            return
    except OSError as error:
        raise ConfigError(
            f"the new model is in place, but the server at {server} does not load it ({error}); "
            "send it SIGHUP, or start it again"
        ) from error
