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
from jaxtyping import Float32, Int32, Int64
from torch import Tensor

from refeed.files import atomic_file
from refeed.inference.block_ranking import best_of_each, block_scores
from refeed.inference.ranking import SHRINK, check_list
from refeed.inference.recommender import Recommender
from refeed.models.interface import predict_blocks
from refeed.ratings.store import Ratings
from refeed.table import writer

__all__ = ["Lists", "Scored", "best_lists", "hide_seen", "rank", "score", "users_at_once"]

_BLOCK = 7 << 20
"""Predictions at a time. In float32 a bit less than 32 MB: for more than that glibc asks for fresh
pages every time, and touching those takes as long as the ranking."""
_MEMORY = "512MB"  # for DuckDB


@dataclass(frozen=True)
class Lists:
    """The lists of some users, a line an item, one user after the other, the best first.

    Args:
        users: positions of the users.
        ranks: from 1.
        items: positions of the items.
        predictions: the predicted ratings, within the scale of the training ratings.
        scores: what the lists are ranked by: the predictions, shrunk by support.
    """

    users: Int32[np.ndarray, " lines"]
    ranks: Int32[np.ndarray, " lines"]
    items: Int32[np.ndarray, " lines"]
    predictions: Float32[np.ndarray, " lines"]
    scores: Float32[np.ndarray, " lines"]


@dataclass(frozen=True)
class Scored:
    """What `score` did.

    Args:
        users: whose lists were asked for.
        lines: lines written.
        short: users with fewer than k lines, as there are no more items that they have not rated.
    """

    users: int
    lines: int
    short: int

    def __str__(self) -> str:
        """The same for people."""
        line = f"{self.lines:,} lines for {self.users:,} users"
        if not self.short:
            return line
        return f"{line}; {self.short:,} of them get fewer than asked for, as no more items are left to them"


def users_at_once(n_items: int) -> int:
    """How many users make a block: enough to keep the matrix products busy, few enough to stay small."""
    return max(1, min(1024, _BLOCK // max(n_items, 1)))


def score(
    recommender: Recommender,
    out: Path,
    *,
    users: Sequence[str] | None = None,
    k: int = 100,
    include_seen: bool = False,
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
        include_seen: also items that the user has rated.
        shrink: ratings at which half of an item's advantage counts; 0 ranks by the plain prediction.

    Raises:
        DataError: another suffix.
        ConfigError: k below 1 or a negative shrink.
        UnknownIdError: users that the model doesn't know, with close matches; the histories of the training
            users have been removed from the model.
    """
    options = writer(out)
    check_list(k, shrink)
    histories = recommender.histories
    positions = np.arange(histories.n_users) if users is None else recommender.people.positions(users)
    lists = best_lists(recommender, positions, k, include_seen=include_seen, shrink=shrink)
    lines, full = 0, 0
    with atomic_file(out) as beside, _scratch(out.parent) as db:
        for block in lists:
            _insert(db, block)
            lines, full = lines + len(block.items), full + int(np.count_nonzero(block.ranks == k))
        _insert_ids(db, recommender)
        db.execute(
            _COPY.format(
                title="" if recommender.trained.items.titles is None else "named.title AS title,",
                path=str(beside).replace("'", "''"),
                options=options,
            )
        )
    return Scored(users=len(positions), lines=lines, short=len(positions) - full)


def best_lists(
    recommender: Recommender,
    users: Int64[np.ndarray, " users"],
    k: int,
    *,
    include_seen: bool = False,
    shrink: float = SHRINK,
) -> Iterator[Lists]:
    """The lists of users, by their positions in `recommender.histories`, a block of users at a time."""
    trained, histories = recommender.trained, recommender.histories
    size = users_at_once(histories.n_items)
    blocks = predict_blocks(trained.model, histories, users, size)
    for at, predictions in enumerate(blocks):
        some = users[at * size : at * size + len(predictions)]
        scores = block_scores(predictions, trained.items.counts, shrink)
        if not include_seen:
            hide_seen(scores, histories, some)
        yield rank(predictions, scores, some, k, trained.scale)


def rank(
    predictions: Float32[Tensor, "users items"],
    scores: Float32[Tensor, "users items"],
    users: Int64[np.ndarray, " users"],
    k: int,
    scale: tuple[float, float],
) -> Lists:
    """The lists of a block of users.

    Args:
        predictions: of all items, not clipped.
        scores: to rank by, −∞ for what must not be listed.
        users: positions of the users, for the result.
        k: the most items for each user.
        scale: the lowest and the highest rating.
    """
    items = best_of_each(scores, k)
    best = scores.gather(1, items)
    listed = best > -torch.inf
    owners, ranks = listed.nonzero(as_tuple=True)
    ratings = predictions.gather(1, items)[listed].clamp(*scale)
    return Lists(
        users=users.astype(np.int32)[owners.cpu().numpy()],
        ranks=ranks.to(torch.int32).add(1).cpu().numpy(),
        items=items[listed].to(torch.int32).cpu().numpy(),
        predictions=ratings.cpu().numpy(),
        scores=best[listed].cpu().numpy(),
    )


def hide_seen(
    scores: Float32[Tensor, "users items"], histories: Ratings, users: Int64[np.ndarray, " users"]
) -> None:
    """Set the scores of what the users have rated to −∞."""
    indptr, items, _ = histories.rows(users)
    places = np.repeat(np.arange(len(users)) * histories.n_items, np.diff(indptr)) + items
    scores.view(-1).index_fill_(0, torch.from_numpy(places).to(scores.device), -torch.inf)


# ------------------------------------------------------------------ the table

# Ids are looked up in lists, since DuckDB keeps the order of the lines in that and loses it in a join.
_COPY = """
    COPY (
        SELECT (SELECT list(id ORDER BY position) FROM users)["user" + 1] AS "user", rank,
            named.id AS item, {title} prediction, score
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
            'CREATE TABLE lines ("user" INTEGER, rank INTEGER, item INTEGER, prediction FLOAT, score FLOAT)'
        )
        yield db


def _insert(db: duckdb.DuckDBPyConnection, block: Lists) -> None:
    rows = {  # noqa: F841 - DuckDB reads it by its name
        "user": block.users,
        "rank": block.ranks,
        "item": block.items,
        "prediction": block.predictions,
        "score": block.scores,
    }
    db.execute("INSERT INTO lines FROM rows")


def _insert_ids(db: duckdb.DuckDBPyConnection, recommender: Recommender) -> None:
    known, listed, titles = (
        recommender.histories.user_ids,
        recommender.item_ids,
        recommender.trained.items.titles,
    )
    named = np.empty(len(listed), dtype=np.object_)
    named[:] = [title or None for title in titles or [""] * len(listed)]
    user_rows = {"position": np.arange(len(known)), "id": known.as_array()}  # noqa: F841
    item_rows = {"position": np.arange(len(listed)), "id": listed.as_array(), "title": named}  # noqa: F841
    db.execute("CREATE TABLE users AS SELECT position, id::VARCHAR AS id FROM user_rows")
    db.execute(
        "CREATE TABLE items AS SELECT position, id::VARCHAR AS id, title::VARCHAR AS title FROM item_rows"
    )
