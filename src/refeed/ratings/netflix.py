"""The Netflix Prize: 100,480,507 ratings of 17,770 movies, read in one pass over the bytes.

A movie's line (`1:`) goes before its ratings (`1488844,3,2005-09-06`). It comes as a folder of mv_*.txt, one
a movie; as training_set.tar, alone or within the whole download; or as combined_data_1.txt to 4, also zipped.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
from numpy.typing import NDArray

from refeed.errors import DataError
from refeed.ratings.build import Rows
from refeed.ratings.netflix_lines import Lines, OddRating, odd_rating, parse_lines
from refeed.ratings.netflix_source import Piece, Source, find_netflix, pieces
from refeed.ratings.titles import load_titles

__all__ = ["is_netflix", "netflix_rows"]

_BATCH = 1 << 19
"""Bytes parsed at a time."""
_INSERT = 1_000_000
"""Rows handed to DuckDB at a time."""
_SHOWN = 80
_BAD = ("file", "line", "value", "cause")
_ALL_RATINGS, _ALL_MOVIES = 100_480_507, 17_770
_FORMATS = {
    "movies": "Netflix Prize, mv_*.txt",
    "combined": "Netflix Prize, combined_data_*.txt",
    "tar": "Netflix Prize, training_set.tar",
    "zip": "Netflix Prize, zip archive",
}


def is_netflix(path: Path) -> bool:
    """Whether a folder, an archive or a file holds ratings of the Netflix Prize in one of its shapes."""
    return find_netflix(path) is not None


def netflix_rows(db: duckdb.DuckDBPyConnection, path: Path, *, scratch: Path) -> Rows:
    """Read the Netflix Prize, or some of its files, into DuckDB.

    The item is the movie's number as its line says it (`1`), the time is the day's start in UTC.

    Args:
        db: a connection of one's own; gets the tables `netflix_ratings` and `netflix_bad`.
        path: the folder, the archive, or a single file.
        scratch: a folder for the titles of an archive.

    Raises:
        DataError: no Netflix ratings are there, a file can't be read, an archive is truncated or damaged.
    """
    source = find_netflix(path)
    if source is None:
        raise DataError(
            f"{path} holds nothing of the Netflix Prize, or is damaged; expected mv_*.txt, training_set.tar "
            "or combined_data_*.txt"
        )
    db.execute('CREATE TABLE netflix_ratings (movie INTEGER, "user" BIGINT, rating FLOAT, day INTEGER)')
    db.execute("CREATE TABLE netflix_bad (file VARCHAR, line BIGINT, value VARCHAR, cause VARCHAR)")
    with ThreadPoolExecutor(max_workers=1) as inserting:
        reader = _Reader(db, inserting)
        for batch in _batches(pieces(source, scratch)):
            reader.read(batch)
        reader.finish()
    if not reader.rows:
        raise DataError(f"{path} holds no ratings; expected lines such as 1488844,3,2005-09-06")
    # DuckDB numbers the rows of a table in the order of the input.
    db.execute("""
        CREATE VIEW netflix_rows AS SELECT "user", movie AS item,
            rating::DOUBLE AS rating, day::BIGINT * 86400 AS time, rowid AS line FROM netflix_ratings
    """)
    titles = _titles(source, scratch)
    return Rows(
        rows="netflix_rows",
        titles=load_titles(db, titles, scratch) if titles else None,
        bad="netflix_bad",
        read=reader.rows,
        format=_FORMATS[source.kind],
        notes=_notes(reader.rows, len(reader.movies)),
    )


def _titles(source: Source, scratch: Path) -> Path | None:
    return next(iter(sorted(scratch.glob("movie_titles.*"))), source.titles)


def _notes(rows: int, movies: int) -> tuple[str, ...]:
    if (rows, movies) == (_ALL_RATINGS, _ALL_MOVIES):
        return ()
    missing = f"{rows:,} of {_ALL_RATINGS:,} rows, {movies:,} of {_ALL_MOVIES:,} movies"
    return (f"this is not the whole Netflix Prize: {missing}",)


def _batches(parts: Iterator[Piece]) -> Iterator[list[Piece]]:
    batch: list[Piece] = []
    size = 0
    for piece in parts:
        batch.append(piece)
        size += len(piece.text)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


@dataclass(frozen=True)
class _Block:
    """What holds for the lines from `first` on: they are ratings of a movie, or all bad for a cause."""

    first: int
    movie: int
    cause: str | None


@dataclass(frozen=True, eq=False)
class _Batch:
    """Pieces of files, their lines one after the other."""

    pieces: list[Piece]
    text: bytes
    lines: Lines
    bounds: list[int]  # the first line of each piece, and the end
    numbers: list[int]  # what number each of these lines has in its file

    def line(self, index: int) -> str:
        """A line as text."""
        return (
            self.text[self.lines.starts[index] : self.lines.stops[index]].decode("utf-8", "replace").strip()
        )

    def place(self, index: int) -> tuple[str, int]:
        """The file and the number of a line."""
        piece = bisect_right(self.bounds, index) - 1
        return self.pieces[piece].file, self.numbers[piece] + index - self.bounds[piece]


class _Reader:
    """Reads batch after batch; in between it knows the movie and the line where the last one ended.

    While the next ones are read, `inserting` hands the rows to DuckDB: half of the work each.
    """

    def __init__(self, db: duckdb.DuckDBPyConnection, inserting: Executor) -> None:
        self.rows = 0
        self.movies: dict[int, str] = {}
        self._db = db
        self._inserting = inserting
        self._inserted: Future[None] | None = None
        self._block = _Block(0, 0, None)
        self._next_number = 1
        self._good: list[dict[str, NDArray[np.generic]]] = []
        self._bad: list[tuple[str, int, str, str]] = []

    def read(self, parts: list[Piece]) -> None:
        """Take the ratings and the bad rows of some pieces."""
        batch = self._parsed(parts)
        lines, n_lines = batch.lines, len(batch.lines.good)
        blocks, odd_rows = self._blocks(batch)
        of_line = np.repeat(np.arange(len(blocks)), np.diff([*(block.first for block in blocks), n_lines]))
        spoilt = np.array([block.cause is not None for block in blocks])[of_line]
        row = lines.good.copy()
        row[odd_rows] = True
        self.rows += int(np.count_nonzero(row))
        for index in odd_rows:
            if not spoilt[index]:
                self._read_odd(batch, index)
        for index in np.flatnonzero(row & spoilt).tolist():
            self._refuse(batch.place(index), batch.line(index), blocks[of_line[index]].cause or "")
        keep = lines.good & ~spoilt
        movies = np.array([block.movie for block in blocks], dtype=np.int32)
        self._good.append(
            {
                "movie": movies[of_line[keep]],
                "user": lines.users[keep],
                "rating": lines.ratings[keep],
                "day": lines.days[keep].astype(np.int32),
            }
        )
        if sum(len(chunk["movie"]) for chunk in self._good) >= _INSERT or len(self._bad) >= _INSERT:
            self._flush()

    def finish(self) -> None:
        """Hand everything that waits to DuckDB."""
        self._flush()
        self._wait()

    def _flush(self) -> None:
        self._wait()
        self._inserted = self._inserting.submit(_insert, self._db, self._good, self._bad)
        self._good, self._bad = [], []

    def _wait(self) -> None:
        if self._inserted is not None:
            self._inserted.result()

    def _parsed(self, parts: list[Piece]) -> _Batch:
        text = b"".join(piece.text for piece in parts)
        lines = parse_lines(text)
        bounds = np.searchsorted(lines.starts, np.cumsum([0, *(len(piece.text) for piece in parts)])).tolist()
        numbers = []
        for piece, (first, stop) in zip(parts, pairwise(bounds), strict=True):
            numbers.append(1 if piece.start else self._next_number)
            self._next_number = numbers[-1] + stop - first
        return _Batch(parts, text, lines, bounds, numbers)

    def _blocks(self, batch: _Batch) -> tuple[list[_Block], list[int]]:
        """The movies of the lines, and which lines are rows although they are not well-formed."""
        blocks = [_Block(0, self._block.movie, self._block.cause)]
        odd = np.flatnonzero(~batch.lines.good)
        rows = []
        for piece, (first, stop) in zip(batch.pieces, pairwise(batch.bounds), strict=True):
            if piece.start:
                blocks.append(_Block(first, 0, "there is no movie line, such as 1:, before it"))
            if piece.start and not piece.text:
                self.rows += 1
                self._refuse((piece.file, 1), "", "the file is empty; expected a movie line, such as 1:")
            for index in odd[slice(*np.searchsorted(odd, [first, stop]))].tolist():
                line = batch.line(index)
                if line.endswith(":") and "," not in line:
                    blocks.append(self._movie_line(index, line, piece, batch.place(index)))
                elif line:
                    rows.append(index)
        self._block = blocks[-1]
        return blocks, rows

    def _movie_line(self, index: int, line: str, piece: Piece, place: tuple[str, int]) -> _Block:
        if not re.fullmatch("[0-9]{1,9} ?:", line):
            return _Block(index, 0, f"the movie line before it, {line!r}, has no number")
        movie, at = int(line.rstrip(": ")), ":".join(map(str, place))
        if piece.movie is not None and movie != piece.movie:
            return _Block(index, 0, f"the movie line says {movie}, the file's name {piece.movie}")
        if self.movies.setdefault(movie, at) != at:
            return _Block(index, 0, f"movie {movie} was there already, at {self.movies[movie]}")
        return _Block(index, movie, None)

    def _read_odd(self, batch: _Batch, index: int) -> None:
        result, lines = odd_rating(batch.line(index)), batch.lines
        if isinstance(result, OddRating):
            lines.users[index], lines.ratings[index], lines.days[index] = result
            lines.good[index] = True
        else:
            self._refuse(batch.place(index), *result)

    def _refuse(self, place: tuple[str, int], value: str, cause: str) -> None:
        self._bad.append((*place, value if len(value) <= _SHOWN else value[:_SHOWN] + "…", cause))


def _insert(
    db: duckdb.DuckDBPyConnection,
    good: list[dict[str, NDArray[np.generic]]],
    bad_rows: list[tuple[str, int, str, str]],
) -> None:
    if good:
        chunk = {name: np.concatenate([part[name] for part in good]) for name in good[0]}  # noqa: F841
        db.execute('INSERT INTO netflix_ratings SELECT movie, "user", rating, day FROM chunk')
    if bad_rows:
        columns = zip(*bad_rows, strict=True)
        bad = {name: np.array(column, dtype=np.object_) for name, column in zip(_BAD, columns, strict=True)}
        bad["line"] = bad["line"].astype(np.int64)
        db.execute("INSERT INTO netflix_bad SELECT file, line, value, cause FROM bad")
