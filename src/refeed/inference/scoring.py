"""The best items of many users at once, to a table: a block of users at a time, in bounded memory.

The ranking is that of `Recommender.recommend`, and so are the lists, up to rounding: a matrix product over
many users adds in another order than one over a single user, so scores differ in the seventh digit.
"""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import torch
from jaxtyping import Bool, Float32, Int32, Int64
from torch import Tensor

from refeed.files import atomic_file
from refeed.inference.block_ranking import best_of_each
from refeed.inference.filters import candidates_of
from refeed.inference.listing import Listing, listing_of
from refeed.inference.making import hide_seen, users_at_once
from refeed.inference.ranking import SHRINK, check_list
from refeed.inference.recommender import Recommender
from refeed.ratings.ids import Ids
from refeed.ratings.store import Ratings
from refeed.table import writer

__all__ = ["Lists", "Scored", "best_lists", "rank", "score"]

_MEMORY = "512MB"  # for DuckDB


@dataclass(frozen=True)
class Lists:
    """The lists of some users, a line an item, one user after the other, the best first.

    Args:
        users: positions of the users.
        ranks: from 1.
        items: positions of the items.
        predictions: the predicted ratings, within the scale of the training ratings.
        liked: P(liked); NaN where the model doesn't say.
        scores: what the lists are ranked by.
    """

    users: Int32[np.ndarray, " lines"]
    ranks: Int32[np.ndarray, " lines"]
    items: Int32[np.ndarray, " lines"]
    predictions: Float32[np.ndarray, " lines"]
    liked: Float32[np.ndarray, " lines"]
    scores: Float32[np.ndarray, " lines"]


@dataclass(frozen=True)
class Scored:
    """What `score` did.

    Args:
        users: whose lists were asked for.
        lines: lines written.
        short: users with fewer than k lines, as there are no more items that they have not rated.
        unknown: users that the model doesn't know, left out or taken for somebody of whom nothing is known.
    """

    users: int
    lines: int
    short: int
    unknown: int = 0

    def __str__(self) -> str:
        """The same for people."""
        line = f"{self.lines:,} lines for {self.users:,} users"
        if self.unknown:
            line += f"; {self.unknown:,} of those asked for are unknown to the model"
        if not self.short:
            return line
        return f"{line}; {self.short:,} of them get fewer than asked for, as no more items are left to them"


def score(
    recommender: Recommender,
    out: Path,
    *,
    users: Sequence[str] | None = None,
    k: int = 100,
    cold: str = "error",
    include_seen: bool = False,
    by: str | None = None,
    liked: float | None = None,
    beta: float | None = None,
    where: str | None = None,
    novelty: float = 0.0,
    shrink: float = SHRINK,
) -> Scored:
    """Write every user's best items: user, rank (from 1), item, title (if known), prediction, score.

    A table of k lines a user (fewer where there are no more items), in the order of the users, the best item
    first, as `Recommender.recommend` ranks them. What it takes in memory follows from the items and k, beside
    the users' histories and ids, however many users there are; a copy of the positions and numbers goes to
    disk, beside `out`, until they are written with the raw ids.

    Args:
        recommender: the model.
        out: where to write; .parquet, .csv or .tsv. Whole or absent; a file there is replaced.
        users: raw ids, in the order to write, each once; None: all users of the training ratings.
        k: the most items for each user.
        cold: what to do with users that the model doesn't know: "error" refuses them, "empty" leaves them
            out, "fallback" gives them the list of somebody of whom nothing is known; they are counted.
        include_seen: also items that the user has rated.
        by: see `Recommender.recommend`, as all that follow.
        liked: likewise.
        beta: likewise.
        where: likewise.
        novelty: likewise.
        shrink: by rating: ratings at which half of an item's advantage counts; 0 ranks by the prediction.

    Raises:
        DataError: another suffix, or a condition that can't be evaluated.
        ConfigError: k below 1 or another value out of range.
        UnknownIdError: users that the model doesn't know, with close matches; the histories of the training
            users have been removed from the model.
    """
    options = writer(out)
    check_list(k, shrink)
    histories, unknown = recommender.histories, 0
    positions: Int64[np.ndarray, " users"] = np.arange(histories.n_users)
    if users is not None:
        histories, positions, unknown = recommender.people.known_or_not(users, cold)
    trained = recommender.trained
    listing = listing_of(trained, by=by, liked=liked, beta=beta, shrink=shrink)
    candidates = candidates_of(trained, recommender.catalogue, where=where, novelty=novelty)
    lists = best_lists(listing, histories, positions, k, include_seen=include_seen, candidates=candidates)
    lines, full = 0, 0
    with atomic_file(out) as beside, _scratch(out.parent) as db:
        for block in lists:
            _insert(db, block)
            lines, full = lines + len(block.items), full + int(np.count_nonzero(block.ranks == k))
        _insert_ids(db, recommender, histories.user_ids)
        db.execute(
            _COPY.format(
                title="" if recommender.trained.items.titles is None else "named.title AS title,",
                liked="" if listing.liking is None else "p_liked,",
                path=str(beside).replace("'", "''"),
                options=options,
            )
        )
    return Scored(users=len(positions), lines=lines, short=len(positions) - full, unknown=unknown)


def best_lists(
    listing: Listing,
    histories: Ratings,
    users: Int64[np.ndarray, " users"],
    k: int,
    *,
    include_seen: bool = False,
    candidates: Bool[np.ndarray, " items"] | None = None,
) -> Iterator[Lists]:
    """The lists of users, by their positions in `histories`, a block of users at a time."""
    size = users_at_once(histories.n_items)
    barred = None if candidates is None or candidates.all() else torch.from_numpy(~candidates)
    for at, scores in enumerate(listing.score_blocks(histories, users, size)):
        some = users[at * size : at * size + len(scores)]
        if barred is not None:
            scores[:, barred] = -torch.inf
        if not include_seen:
            hide_seen(scores, histories, some)
        yield rank(listing, histories, scores, some, k)


def rank(
    listing: Listing,
    histories: Ratings,
    scores: Float32[Tensor, "users items"],
    users: Int64[np.ndarray, " users"],
    k: int,
) -> Lists:
    """The lists of a block of users.

    Args:
        listing: how they are ranked.
        histories: what is known of the users.
        scores: to rank by, −∞ for what must not be listed.
        users: positions of the users.
        k: the most items for each user.
    """
    items = best_of_each(scores, k)
    best = scores.gather(1, items)
    listed = best > -torch.inf
    owners, ranks = listed.nonzero(as_tuple=True)
    who, what = users[owners.cpu().numpy()], items[listed].cpu().numpy()
    details = listing.details(histories, who, what)
    return Lists(
        users=who.astype(np.int32),
        ranks=ranks.to(torch.int32).add(1).cpu().numpy(),
        items=what.astype(np.int32),
        predictions=details.ratings.astype(np.float32),
        liked=details.liked.astype(np.float32),
        scores=best[listed].cpu().numpy(),
    )


# ------------------------------------------------------------------ the table

# Ids are looked up in lists, since DuckDB keeps the order of the lines in that and loses it in a join.
_COPY = """
    COPY (
        SELECT (SELECT list(id ORDER BY position) FROM users)["user" + 1] AS "user", rank,
            named.id AS item, {title} prediction, {liked} score
        FROM (
            SELECT *, (SELECT list({{id: id, title: title}} ORDER BY position) FROM items)[item + 1] AS named
            FROM lines
        )
    ) TO '{path}' ({options})
"""


@contextmanager
def _scratch(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database on disk, for as long as it is needed."""
    with (
        tempfile.TemporaryDirectory(dir=folder, prefix=".score") as scratch,
        duckdb.connect(str(Path(scratch) / "lines.duckdb")) as db,
    ):
        db.execute(f"SET memory_limit = '{_MEMORY}'")
        db.execute(
            'CREATE TABLE lines ("user" INTEGER, rank INTEGER, item INTEGER, prediction FLOAT, '
            "p_liked FLOAT, score FLOAT)"
        )
        yield db


def _insert(db: duckdb.DuckDBPyConnection, block: Lists) -> None:
    rows = {  # noqa: F841 - DuckDB reads it by its name
        "user": block.users,
        "rank": block.ranks,
        "item": block.items,
        "prediction": block.predictions,
        "p_liked": block.liked,
        "score": block.scores,
    }
    db.execute(
        "INSERT INTO lines SELECT * REPLACE (CASE WHEN NOT isnan(prediction) THEN prediction END "
        "AS prediction, CASE WHEN NOT isnan(p_liked) THEN p_liked END AS p_liked) FROM rows"
    )


def _insert_ids(db: duckdb.DuckDBPyConnection, recommender: Recommender, known: Ids) -> None:
    listed, titles = recommender.item_ids, recommender.trained.items.titles
    named = np.empty(len(listed), dtype=np.object_)
    named[:] = [title or None for title in titles or [""] * len(listed)]
    user_rows = {"position": np.arange(len(known)), "id": known.as_array()}  # noqa: F841
    item_rows = {"position": np.arange(len(listed)), "id": listed.as_array(), "title": named}  # noqa: F841
    db.execute("CREATE TABLE users AS SELECT position, id::VARCHAR AS id FROM user_rows")
    db.execute(
        "CREATE TABLE items AS SELECT position, id::VARCHAR AS id, title::VARCHAR AS title FROM item_rows"
    )
