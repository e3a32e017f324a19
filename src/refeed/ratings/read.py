"""From files of ratings to a store: tables, MovieLens, the Netflix Prize."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from glob import has_magic
from os import PathLike
from pathlib import Path
from typing import Literal

import duckdb

from refeed.errors import DataError, RefeedError, StoreError
from refeed.files import given_path, given_paths
from refeed.ratings.bad_rows import refuse, write_bad
from refeed.ratings.build import Counts, Rows, write_store
from refeed.ratings.columns import Kind
from refeed.ratings.live import live_name, live_rows, the_database
from refeed.ratings.movielens import is_movielens, movielens_rows
from refeed.ratings.netflix import is_netflix, netflix_rows
from refeed.ratings.options import Encoding, ReadOptions
from refeed.ratings.parts import find_parts
from refeed.ratings.report import PrepareReport
from refeed.ratings.store import Ratings, is_store
from refeed.ratings.store_meta import DataKind
from refeed.ratings.table import table_rows
from refeed.ratings.titles import load_titles

__all__ = ["Format", "open_ratings", "prepare"]

_Shape = Literal["table", "netflix", "movielens"]
_SMALL = 20_000_000
"""Bytes of sources."""

Format = Literal["auto", "table", "netflix", "movielens"]


def prepare(
    sources: str | PathLike[str] | Sequence[str | PathLike[str]],
    out: str | PathLike[str],
    *,
    format: Format = "auto",  # noqa: A002 - the option's name
    columns: str | None = None,
    titles: str | PathLike[str] | None = None,
    memory: str = "2GB",
    skip_bad: bool = False,
    encoding: Encoding = "utf-8",
    missing: Sequence[str] = (),
    wide: bool = False,
    kind: Kind = "auto",
) -> PrepareReport:
    """Read ratings, or interactions, and write them as a store.

    A row is a user, an item, a finite rating (0 and negative ones too) and perhaps a time (Unix seconds, or
    milliseconds if beyond 10^11; or ISO dates, UTC unless they say otherwise). Ids stay as they are written.
    Of several rows with the same user and item the latest stays.

    A table without a rating holds interactions, as does one whose ratings are all equal: a click, a
    purchase, a
    play each. Their values are 1, or the counts of a column such as plays; those of several rows with the
    same
    user and item are added up, so a value says how often.

    Args:
        sources: one or several: tables (CSV, TSV, `::`, `;`, `|`, JSON lines or an array, Parquet; each
            perhaps packed by gzip, bzip2, xz, zstd or zip), patterns of such, or folders with the parts of
            one, read one after the other; or one MovieLens folder or zip, or one of the shapes of the Netflix
            Prize; or the ratings that `refeed serve` took: its SQLite file, or the URL of its PostgreSQL.
        out: the folder to write; written atomically.
        format: what the sources are; "auto" looks.
        columns: which column of a table is which, such as "user=userId,item=2,rating=stars,timestamp=ts":
            names, or numbers counted from 1. Without it usual names are recognised, and without a header the
            order is user, item, rating, time. "rating=none" and "count=plays" say that it holds interactions.
        titles: a table of items and their titles; its further columns become the items' attributes.
        memory: how much DuckDB may hold before it uses the disk, such as "2GB".
        skip_bad: leave out rows that are no ratings, and write them to `<out>.bad.csv`.
        encoding: of text; "auto" reads each field that is no UTF-8 as cp1252.
        missing: ratings that mean "not rated", such as "-1": those rows are left out, and counted.
        wide: the tables have a row for each user and a column for each item.
        kind: what the tables hold; "auto" looks.

    Raises:
        DataError: a source is missing, empty, damaged, not recognised, or has bad rows; all of them are
            counted and the first 20 named by file, line, value and cause.
        StoreError: `out` exists already.
    """
    options = ReadOptions(columns, encoding, tuple(missing), wide, kind)
    out = given_path(out)
    database = the_database(sources)
    if database is not None:
        return _prepare_live(database, out, titles=titles, memory=memory)
    paths = given_paths(sources)
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise StoreError(f"{out} exists already; choose another path, or remove it first")
    if not re.fullmatch(r"[0-9]+([.][0-9]+)? ?[KMGT]i?B", memory):
        raise DataError(f"--memory {memory!r} is no size; expected one such as 2GB or 500MB")
    shape = _shape(paths, format)
    if shape != "table" and (given := _for_tables(options)):
        raise DataError(f"{given} is for tables; {paths[0]} was taken for {shape}")
    with _workplace(out, memory, size=sum(map(_size, paths))) as (db, scratch):
        rows = _rows(db, shape, paths, options, scratch=scratch)
        if titles is not None:
            rows = replace(rows, titles=load_titles(db, given_path(titles), scratch, options))
        bad, bad_file = 0, out.with_name(f"{out.name}.bad.csv")
        if rows.bad and skip_bad:
            bad = write_bad(db, rows.bad, bad_file)
        elif rows.bad:
            refuse(db, rows.bad, rows.read)
        if bad + rows.missing == rows.read:
            why = f"see {bad_file} for why" if bad else "--missing leaves all of them out"
            raise DataError(f"{', '.join(map(str, paths))}: no row is a rating; {why}")
        db.execute("SET preserve_insertion_order = false")
        source: dict[str, str | int | float] = {
            "sources": ", ".join(path.name for path in paths),
            "format": rows.format,
            "bad": bad,
            **({"missing": rows.missing} if rows.missing else {}),
            **({"notes": "; ".join(rows.notes)} if rows.notes else {}),
        }
        counts = write_store(
            db, rows.rows, out, titles=rows.titles, source=source, kind=rows.kind, certain=rows.certain
        )
    if counts.ratings + counts.duplicates + bad + rows.missing != rows.read:
        shutil.rmtree(out)
        raise RefeedError(
            f"{rows.read} rows were read, but {counts.ratings} written, {counts.duplicates} duplicates, "
            f"{rows.missing} not rated and {bad} bad rows left out; this is a fault of refeed's"
        )
    kinds = _notes_on_the_kind(rows.kind, counts)
    return PrepareReport(
        out=out,
        format=rows.format,
        read=rows.read,
        bad=bad,
        bad_file=bad_file if bad else None,
        missing=rows.missing,
        **{**vars(counts), "notes": (*kinds, *rows.notes, *counts.notes)},
    )


def _prepare_live(
    source: str | Path, out: Path, *, titles: str | PathLike[str] | None, memory: str
) -> PrepareReport:
    with _workplace(out, memory, size=_SMALL + 1) as (db, scratch):
        rows = live_rows(db, source)
        if titles is not None:
            rows = replace(rows, titles=load_titles(db, given_path(titles), scratch, ReadOptions()))
        named: dict[str, str | int | float] = {"sources": live_name(source), "format": rows.format, "bad": 0}
        counts = write_store(db, rows.rows, out, titles=rows.titles, source=named)
    made = {**vars(counts), "read": rows.read, "format": rows.format}
    return PrepareReport(out=out, bad=0, bad_file=None, missing=0, **made)


def _notes_on_the_kind(read_as: DataKind, counts: Counts) -> tuple[str, ...]:
    low, high = counts.scale
    if counts.kind != read_as:
        return (
            "all ratings are equal, so each row is an interaction; --columns rating=… keeps them as ratings",
        )
    if counts.kind == "ratings" and low == high and counts.ratings > 1:
        return ("all ratings are equal, so there is nothing to learn from them; --columns rating=none",)
    return ()


def _for_tables(options: ReadOptions) -> str:
    """The first option given that is for tables only."""
    given = {
        "--columns": options.columns is not None,
        "--missing": bool(options.missing),
        "--wide": options.wide,
        "--encoding": options.encoding != "utf-8",
    }
    return next((name for name, there in given.items() if there), "")


def open_ratings(
    path: str | PathLike[str] | Sequence[str | PathLike[str]],
    options: ReadOptions | None = None,
    *,
    titles: str | PathLike[str] | None = None,
    skip_bad: bool = False,
    memory: str = "2GB",
) -> Ratings:
    """Open a store, or read whatever `prepare` reads, a table say, into memory.

    Args:
        path: the store or the source; or several sources, read one after the other.
        options: how to read a table.
        titles: as of `prepare`.
        skip_bad: likewise.
        memory: likewise.

    Raises:
        DataError: as `prepare`.
        StoreError: the store is damaged, incomplete, or of another version.
    """
    paths = given_paths(path)
    if len(paths) == 1 and titles is None and is_store(paths[0]):
        return Ratings.load(paths[0])
    options = options or ReadOptions()
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "store"
        prepare(paths, store, **vars(options), titles=titles, skip_bad=skip_bad, memory=memory)
        # On POSIX what is mapped stays readable after it has been removed.
        return Ratings.load(store)


@contextmanager
def _workplace(out: Path, memory: str, *, size: int) -> Iterator[tuple[duckdb.DuckDBPyConnection, Path]]:
    """A database and a folder beside the output; both go away again."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", suffix=".work", dir=out.parent) as folder:
        scratch = Path(folder)
        (scratch / "files").mkdir()
        # On disk tables are compressed, and read again and again without harm; for small ones it is slow.
        with duckdb.connect(scratch / "work.duckdb" if size > _SMALL else ":memory:") as db:
            try:
                db.execute("SET memory_limit = $memory", {"memory": memory})
            except duckdb.Error as error:
                raise DataError(
                    f"--memory {memory!r} is no size; expected one such as 2GB or 500MB"
                ) from error
            db.execute("SET TimeZone = 'UTC'")
            # DuckDB's would go to stdout.
            db.execute("SET enable_progress_bar = false")
            db.execute("SET temp_directory = $folder", {"folder": str(scratch / "spilled")})
            try:
                yield db, scratch / "files"
            except duckdb.OutOfMemoryException as error:
                raise DataError(f"--memory {memory} is too little here; give more, such as 4GB") from error
            except duckdb.IOException as error:
                raise DataError(f"reading or writing failed, perhaps as the disk is full: {error}") from error


def _size(path: Path) -> int:
    """The bytes of a file, or of all files of a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())


def _shape(paths: Sequence[Path], given: Format) -> _Shape:
    if not paths:
        raise DataError("no source was given; expected a table of ratings, or a MovieLens or Netflix folder")
    for path in paths:
        if not path.exists() and not has_magic(str(path)):
            raise DataError(f"{path}: there is no such file or folder")
        if is_store(path):
            raise DataError(f"{path} is a store already; it can be used as it is")
    kind = _recognised(paths[0]) if given == "auto" else given
    if kind != "table" and len(paths) > 1:
        raise DataError(f"{kind}: {len(paths)} sources were given; name the one folder that holds them")
    return kind


def _recognised(path: Path) -> _Shape:
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if is_movielens(path):
        return "movielens"
    # Its files are .txt and its archive a .tar; a table under another name needs no look inside.
    if (path.is_dir() or suffixes & {".txt", ".tar", ".tgz", ".zip"}) and is_netflix(path):
        return "netflix"
    if path.is_dir() and find_parts(path) is None:
        raise DataError(
            f"{path} is a folder without ratings that are recognised: MovieLens's u.data, ratings.dat or "
            "ratings.csv; Netflix's mv_*.txt, training_set.tar or combined_data_*.txt; the parts of a table "
            f"(part-*); or name a table in it, or several by a pattern such as '{path}/*.csv'"
        )
    return "table"


def _rows(
    db: duckdb.DuckDBPyConnection,
    shape: _Shape,
    paths: Sequence[Path],
    options: ReadOptions,
    *,
    scratch: Path,
) -> Rows:
    if shape == "netflix":
        return netflix_rows(db, paths[0], scratch=scratch)
    if shape == "movielens":
        return movielens_rows(db, paths[0], scratch=scratch)
    sources = [parts for path in paths if (parts := find_parts(path)) is not None]
    return table_rows(db, sources, scratch, options)
