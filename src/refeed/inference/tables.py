"""What a person hands to a trained model: a few ratings by hand, a history table, pairs to predict."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from jaxtyping import Float64, Int64

from refeed.errors import DataError, RefeedError, printable
from refeed.files import atomic_file
from refeed.inference.recommender import Recommender
from refeed.ratings.bad_rows import is_missing
from refeed.ratings.file_cells import read_cells, read_lines
from refeed.ratings.options import ReadOptions

__all__ = ["PredictedPairs", "parse_ratings", "predict_table", "read_history", "read_users", "writer"]

_WRITERS = {
    ".csv": "FORMAT csv, HEADER",
    ".tsv": "FORMAT csv, HEADER, DELIMITER '\t'",
    ".parquet": "FORMAT parquet",
}


def parse_ratings(texts: Iterable[str]) -> dict[str, float]:
    """Read `ITEM=VALUE` each; the last "=" counts, as titles may hold some.

    Raises:
        DataError: there is no "=", no item, no number, or an item twice.
    """
    ratings: dict[str, float] = {}
    for text in texts:
        item, equals, value = text.rpartition("=")
        if not (equals and item.strip()):
            raise DataError(f"{text!r} is not of the form ITEM=VALUE, such as 'Alien (1979)=4.5'")
        _add(ratings, item.strip(), value, text)
    return ratings


def read_history(path: Path, options: ReadOptions | None = None) -> dict[str, float]:
    """Read one person's ratings: a table with the columns item and rating, in whatever shape `prepare` reads.

    Items are raw ids or titles; without a header the first column is the item. Rows that are "not rated"
    (`options.missing`) are left out.

    Args:
        path: the table.
        options: how to read it; of kind "interactions" a table needs no rating, and each item has 1.

    Raises:
        DataError: no such table, a column or a value is missing, no number, or an item twice.
    """
    options = options or ReadOptions()
    if options.kind == "interactions" and not {"rating", "count"} & options.mapping.keys():
        items = [item for (item,) in read_cells(path, ("item",), options).rows]
        if "" in items:
            raise DataError(f"{path}: row {items.index('') + 1} has no item")
        return dict.fromkeys(items, 1.0)
    ratings: dict[str, float] = {}
    for line, (item, value) in enumerate(read_cells(path, ("item", "rating"), options).rows, start=1):
        if is_missing(value, options.missing):
            continue
        if not (item and value):
            raise DataError(f"{path}: row {line} has no {'rating' if item else 'item'}")
        _add(ratings, item, value, f"{path}: row {line}")
    return ratings


def _add(ratings: dict[str, float], item: str, value: str, where: str) -> None:
    try:
        rating = float(value)
    except ValueError as error:
        raise DataError(f"{where}: {value!r} is no number") from error
    if item in ratings:
        raise DataError(f"{where}: {item!r} is there twice; rate it once")
    ratings[item] = rating


def read_users(path: Path, options: ReadOptions | None = None) -> list[str]:
    """Read raw ids of users, each once, in the order of the file.

    Args:
        path: a table with the column user, in whatever shape `prepare` reads, or any other text with an id a line.
        options: how to read it.

    Raises:
        DataError: no such file, no such column, a row without an id, or no id at all.
    """
    if not path.exists() and not has_magic(str(path)):
        raise DataError(f"{path}: there is no such file; for all users say all")
    ids = read_lines(path, "user", options)
    if ids is None:
        ids = [user for (user,) in read_cells(path, ("user",), options).rows]
    if not ids:
        raise DataError(f"{path} names no user; give a table with a column user, or an id a line")
    if "" in ids:
        raise DataError(f"{path}: row {ids.index('') + 1} has no user")
    return list(dict.fromkeys(ids))


@dataclass(frozen=True)
class PredictedPairs:
    """What `predict_table` did.

    Args:
        pairs: rows read and written.
        unknown_users: those of them whose user the model doesn't know; their prediction is empty.
        unknown_items: those whose item it doesn't know (some may count in both).
        empty: rows without a prediction.
        examples: some of the unknown ones, in words.
        notes: what the user should know about how the pairs were read, a sentence each.
    """

    pairs: int
    unknown_users: int
    unknown_items: int
    empty: int
    examples: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The same for people."""
        line = f"{self.pairs - self.empty:,} of {self.pairs:,} pairs predicted"
        notes = "".join(f"\nnote: {note}" for note in self.notes)
        if not self.empty:
            return printable(line + notes)
        return printable(
            f"{line}; {self.empty:,} are left empty: the model doesn't know the user of "
            f"{self.unknown_users:,} and the item of {self.unknown_items:,}, such as "
            + "; ".join(self.examples)
            + notes
        )


def predict_table(
    recommender: Recommender,
    pairs: Path,
    out: Path,
    *,
    clip: bool = True,
    interval: float | None = None,
    options: ReadOptions | None = None,
) -> PredictedPairs:
    """Predict each (user, item) row of a table, and write user, item, prediction in the same order.

    With `interval` there are two more columns, low and high.

    A row whose user or item is unknown stays, with an empty prediction, and is counted.

    Args:
        recommender: the model.
        pairs: a table with the columns user and item, in whatever shape `prepare` reads; items by id or title.
            Without a header these are the first two columns.
        out: where to write; .csv, .tsv or .parquet. Whole or absent; a file there is replaced.
        clip: keep within the scale of the training ratings.
        interval: the share of ratings that is to lie between low and high, from 0.01 to 0.99; None: no such.
        options: how to read the pairs.

    Raises:
        DataError: no such table, a missing column, rows that can't be read, or another suffix.
        UnknownIdError: the histories of the training users have been removed from the model.
        ConfigError: another interval.
        ModelError: an interval, of a kind of model that does not know how sure it is.
    """
    write_options = writer(out)
    known_users = recommender.histories.user_ids
    table = read_cells(pairs, ("user", "item"), options)
    rows = table.rows
    users = known_users.positions(user for user, _ in rows)
    items = recommender.catalogue.known_positions(item for _, item in rows)
    known = np.flatnonzero((users >= 0) & (items >= 0)).tolist()
    names = ("prediction",) if interval is None else ("prediction", "low", "high")
    columns = {name: np.full(len(rows), np.nan) for name in names}
    if known:
        who, what = [rows[at][0] for at in known], [rows[at][1] for at in known]
        columns["prediction"][known] = recommender.predict(who, what, clip=clip)
        if interval is not None:
            ends = recommender.intervals(who, what, interval, clip=clip)
            columns["low"][known], columns["high"][known] = ends
    _write(out, write_options, rows, columns)
    return PredictedPairs(
        pairs=len(rows),
        unknown_users=int(np.count_nonzero(users < 0)),
        unknown_items=int(np.count_nonzero(items < 0)),
        empty=len(rows) - len(known),
        examples=_examples(rows, users, items),
        notes=table.notes,
    )


def _examples(
    rows: list[tuple[str, ...]], users: Int64[np.ndarray, " rows"], items: Int64[np.ndarray, " rows"]
) -> tuple[str, ...]:
    at_users, at_items = np.flatnonzero(users < 0)[:5].tolist(), np.flatnonzero(items < 0)[:5].tolist()
    return (
        *(f"row {at + 1}: user {rows[at][0]!r}" for at in at_users),
        *(f"row {at + 1}: item {rows[at][1]!r}" for at in at_items),
    )


def _write(
    out: Path,
    options: str,
    rows: list[tuple[str, ...]],
    numbers: Mapping[str, Float64[np.ndarray, " rows"]],
) -> None:
    columns: dict[str, np.ndarray[tuple[int], np.dtype[Any]]] = dict(numbers)
    for at, name in enumerate(("user", "item")):
        columns[name] = np.empty(len(rows), dtype=np.object_)
        columns[name][:] = [row[at] for row in rows]
    filled = ", ".join(f"CASE WHEN NOT isnan({name}) THEN {name} END AS {name}" for name in numbers)
    with atomic_file(out) as beside, duckdb.connect() as db:
        db.register("predicted", columns)
        written = db.execute(f"""
            COPY (SELECT nullif("user", '') AS "user", nullif(item, '') AS item, {filled} FROM predicted)
            TO '{str(beside).replace("'", "''")}' ({options})
        """).fetchall()[0][0]
        if written != len(rows):
            raise RefeedError(
                f"{len(rows)} pairs were read, but {written} written; this is a fault of refeed's"
            )


def writer(out: Path) -> str:
    """How DuckDB's COPY writes a table to this name, by its suffix.

    Raises:
        DataError: another suffix than .csv, .tsv and .parquet, or a folder.
    """
    if out.suffix not in _WRITERS:
        raise DataError(f"{out}: predictions are written as one of {', '.join(_WRITERS)}; choose such a name")
    if out.is_dir():
        raise DataError(f"{out} is a folder; give the name of a file")
    return _WRITERS[out.suffix]
