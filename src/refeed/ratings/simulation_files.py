"""Simulated ratings as files: a Parquet table, or the Netflix Prize's folder; chunk by chunk."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
from jaxtyping import Shaped, UInt8

from refeed.files import atomic_file
from refeed.ratings.simulation import Chunk
from refeed.ratings.simulation_pairs import DAYS, FIRST_DAY

__all__ = ["first_user_id", "write_netflix", "write_parquet"]

_BUCKET = 2_000_000
"""Ratings that are brought into the order of the movies at a time: some 100 MB."""
_RECORD = np.dtype([("item", "<i4"), ("user", "<i4"), ("day", "<i2"), ("stars", "i1")])
_ID_DIGITS = 7  # as most of Netflix's


def first_user_id(users: int) -> int:
    """The lowest id, so that all have the same number of digits, seven or more."""
    digits = _ID_DIGITS
    while 9 * 10 ** (digits - 1) < users:
        digits += 1
    return int(10 ** (digits - 1))


def write_parquet(chunks: Iterable[Chunk], out: Path, *, users: int) -> None:
    """Write the columns user, item (VARCHAR), rating (TINYINT), timestamp (BIGINT: the day's start in UTC).

    Args:
        chunks: the ratings.
        out: the file; written atomically.
        users: how many there are.
    """
    with (
        atomic_file(out) as beside,
        tempfile.TemporaryDirectory(dir=out.parent, prefix=".simulate") as scratch,
        duckdb.connect(str(Path(scratch) / "ratings.duckdb")) as db,
    ):
        db.execute("SET memory_limit = '1GB'")
        db.execute('CREATE TABLE ratings ("user" INTEGER, item INTEGER, rating TINYINT, day SMALLINT)')
        for chunk in chunks:
            _insert(db, chunk)
        path = str(beside).replace("'", "''")
        db.execute(f"""
            COPY (
                SELECT ("user" + {first_user_id(users)})::VARCHAR AS "user", (item + 1)::VARCHAR AS item,
                    rating, (day + {FIRST_DAY})::BIGINT * 86400 AS timestamp
                FROM ratings
            ) TO '{path}' (FORMAT parquet)
        """)


def _insert(db: duckdb.DuckDBPyConnection, chunk: Chunk) -> None:
    rows = {"user": chunk.users, "item": chunk.items, "rating": chunk.stars, "day": chunk.days}  # noqa: F841
    db.execute("INSERT INTO ratings FROM rows")  # DuckDB reads it by its name


def write_netflix(chunks: Iterable[Chunk], out: Path, *, users: int, items: int, ratings: int) -> None:
    """Write training_set/mv_0000001.txt and so on, and movie_titles.txt.

    Args:
        chunks: the ratings.
        out: a folder, there already and empty.
        users: how many there are.
        items: how many there are.
        ratings: how many there are.
    """
    titles = [f"{number},NULL,Simulated movie {number}\n" for number in range(1, items + 1)]
    (out / "movie_titles.txt").write_text("".join(titles), encoding="latin-1", newline="")
    folder = out / "training_set"
    folder.mkdir()
    # A movie's ratings are all over the chunks, so they go to disk first, in buckets of movies.
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".simulate") as scratch:
        buckets = [Path(scratch) / str(number) for number in range(-(-ratings // _BUCKET))]
        _into_buckets(chunks, buckets)
        digits = _digits(users)
        for number, path in enumerate(buckets):
            _write_movies(np.fromfile(path, _RECORD), range(number, items, len(buckets)), digits, folder)
            path.unlink()


def _into_buckets(chunks: Iterable[Chunk], paths: list[Path]) -> None:
    """Put the movies into the buckets in turn, so that these are of about the same size."""
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("wb")) for path in paths]
        for chunk in chunks:
            order = np.argsort(chunk.items % len(paths), kind="stable")
            records = np.empty(len(order), _RECORD)
            for field, column in (
                ("item", chunk.items),
                ("user", chunk.users),
                ("day", chunk.days),
                ("stars", chunk.stars),
            ):
                records[field] = column[order]
            ends = np.cumsum(np.bincount(chunk.items % len(paths), minlength=len(paths)))
            for file, part in zip(files, np.split(records, ends[:-1]), strict=True):
                part.tofile(file)


def _write_movies(
    records: Shaped[np.ndarray, " ratings"],
    movies: range,
    digits: UInt8[np.ndarray, "users digits"],
    folder: Path,
) -> None:
    records = records[np.argsort(records["item"], kind="stable")]
    ends = np.searchsorted(records["item"], np.asarray(movies), side="right").tolist()
    lines = _lines(records, digits)
    for movie, start, stop in zip(movies, [0, *ends], ends, strict=False):
        text = f"{movie + 1}:\n".encode() + lines[start:stop].tobytes()
        (folder / f"mv_{movie + 1:07}.txt").write_bytes(text)


def _lines(
    records: Shaped[np.ndarray, " ratings"], digits: UInt8[np.ndarray, "users digits"]
) -> UInt8[np.ndarray, "ratings bytes"]:
    """Lines such as `1488844,3,2005-09-06`; all are equally long, as all users' ids are."""
    width = digits.shape[1]
    lines = np.empty((len(records), width + 14), dtype=np.uint8)
    lines[:, :width] = digits[records["user"]]
    lines[:, [width, width + 2]] = ord(",")
    lines[:, width + 1] = ord("0") + records["stars"]
    lines[:, width + 3 : -1] = _dates()[records["day"]]
    lines[:, -1] = ord("\n")
    return lines


def _digits(users: int) -> UInt8[np.ndarray, "users digits"]:
    first = first_user_id(users)
    ids = np.arange(first, first + users)
    places = 10 ** np.arange(len(str(first)) - 1, -1, -1)
    return (ord("0") + ids[:, None] // places % 10).astype(np.uint8)


def _dates() -> UInt8[np.ndarray, "days 10"]:
    return np.frombuffer(b"".join(_iso_days()), dtype=np.uint8).reshape(DAYS, 10)


def _iso_days() -> Iterator[bytes]:
    for day in range(DAYS):
        yield (date(1970, 1, 1) + timedelta(days=FIRST_DAY + day)).isoformat().encode()
