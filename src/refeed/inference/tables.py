"""What a person hands to a trained model: a few ratings by hand, a history table, pairs to predict."""

from collections.abc import Iterable
from glob import has_magic
from pathlib import Path

from refeed.errors import DataError, RefeedError
from refeed.inference.pairs import PredictedPairs, predict_pairs_table
from refeed.inference.recommender import Recommender
from refeed.models.cold import Cold
from refeed.ratings.bad_rows import is_missing
from refeed.ratings.columns import is_number
from refeed.ratings.file_cells import read_cells, read_lines
from refeed.ratings.options import ReadOptions
from refeed.table import writer

__all__ = ["parse_items", "parse_ratings", "predict_table", "read_history", "read_users"]


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


def parse_items(texts: Iterable[str]) -> dict[str, float]:
    """Read items, each with or without `=VALUE` (how often); once without.

    Raises:
        DataError: no item, no number, or an item twice.
    """
    counts: dict[str, float] = {}
    for text in texts:
        item, _, value = text.rpartition("=")
        if not item or not is_number(value):
            item, value = text, "1"
        if not item.strip():
            raise DataError(f"{text!r} names no item; give an id or a title, such as 'Alien (1979)'")
        _add(counts, item.strip(), value, text)
    return counts


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
        path: a table with the column user, in whatever shape `prepare` reads, or any other text with an id a
            line.
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


def predict_table(
    recommender: Recommender,
    pairs: Path,
    out: Path,
    *,
    cold: Cold = "empty",
    clip: bool = True,
    interval: float | None = None,
    options: ReadOptions | None = None,
) -> PredictedPairs:
    """Predict each (user, item) row of a table, and write user, item, prediction in the same order.

    With `interval` there are two more columns, low and high.

    Args:
        recommender: the model.
        pairs: a table with the columns user and item, in whatever shape `prepare` reads; items by id or
            title.
            Without a header these are the first two columns.
        out: where to write; .csv, .tsv or .parquet, atomically. A file there is replaced.
        cold: what to do with a row whose user or item is unknown (`models/cold.py`); all are counted.
        clip: keep within the scale of the training ratings.
        interval: the share of ratings that is to lie between low and high, from 0.01 to 0.99; None: no such.
        options: how to read the pairs.

    Raises:
        DataError: no such table, a missing column, rows that can't be read, or another suffix.
        UnknownIdError: rows are unknown and `cold` is "error"; the histories have been removed.
        ConfigError: another interval.
        ModelError: an interval, of a kind of model that does not know how sure it is.
    """
    writer(out)
    table = read_cells(pairs, ("user", "item"), options)
    users, items = ([row[column] for row in table.rows] for column in (0, 1))
    made = predict_pairs_table(recommender.people, users, items, cold=cold, clip=clip, coverage=interval)
    if len(made.table) != len(table.rows):
        raise RefeedError(
            f"{len(table.rows)} pairs were read, but {len(made.table)} predicted; this is a fault of refeed's"
        )
    made.table.save(out)
    return made.with_notes(table.notes)
