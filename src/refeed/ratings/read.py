"""From files of ratings to a store: tables, MovieLens, the Netflix Prize."""

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import duckdb

from refeed.errors import DataError, RefeedError, StoreError
from refeed.ratings.bad_rows import refuse, write_bad
from refeed.ratings.build import Rows, write_store
from refeed.ratings.columns import parse_columns
from refeed.ratings.live import is_live, live_name, live_rows
from refeed.ratings.movielens import is_movielens, movielens_rows
from refeed.ratings.netflix import is_netflix, netflix_rows
from refeed.ratings.report import PrepareReport
from refeed.ratings.store import Ratings, is_store
from refeed.ratings.table import table_rows
from refeed.ratings.titles import load_titles

__all__ = ["Format", "open_ratings", "prepare"]

Kind = Literal["table", "netflix", "movielens", "live"]
_SMALL = 20_000_000
"""Bytes of sources."""

Format = Literal["auto", "table", "netflix", "movielens"]


def prepare(
    sources: Sequence[Path | str],
    out: Path,
    *,
    format: Format = "auto",  # noqa: A002 - the option's name
    columns: str | None = None,
    titles: Path | None = None,
    memory: str = "2GB",
    skip_bad: bool = False,
) -> PrepareReport:
    """Read ratings and write them as a store.

    A row is a user, an item, a finite rating (0 and negative ones too) and perhaps a time (Unix seconds, or
    milliseconds if beyond 10^11; or ISO dates, UTC unless they say otherwise). Ids stay as they are written.
    Of several rows with the same user and item the latest stays.

    Args:
        sources: tables (CSV, TSV, `::`, `;`, `|`, JSON lines, each also gzipped; Parquet), read one after the
            other; or one MovieLens folder or zip, or one of the shapes of the Netflix Prize; or the ratings
            that `refeed serve` took: its SQLite file, or the URL of its PostgreSQL.
        out: the folder to write; whole or absent.
        format: what the sources are; "auto" looks.
        columns: which column of a table is which, such as "user=userId,item=2,rating=stars,timestamp=ts":
            names, or numbers counted from 1. Without it usual names are recognised, and without a header the
            order is user, item, rating, time.
        titles: a table of items and their titles.
        memory: how much DuckDB may hold before it uses the disk, such as "2GB".
        skip_bad: leave out rows that are no ratings, and write them to `<out>.bad.csv`.

    Raises:
        DataError: a source is missing, empty, damaged, not recognised, or has bad rows; all of them are
            counted and the first 20 named by file, line, value and cause.
        StoreError: `out` exists already.
    """
    if len(sources) == 1 and is_live(sources[0]):
        return _prepare_live(sources[0], out, titles=titles, memory=memory)
    paths = [Path(source) for source in sources]
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise StoreError(f"{out} exists already; choose another path, or remove it first")
    if not re.fullmatch(r"[0-9]+([.][0-9]+)? ?[KMGT]i?B", memory):
        raise DataError(f"--memory {memory!r} is no size; expected one such as 2GB or 500MB")
    kind = _kind(paths, format)
    if kind != "table" and columns:
        raise DataError(f"--columns is for tables; {paths[0]} was taken for {kind}")
    with _workplace(out, memory, size=sum(map(_size, paths))) as (db, scratch):
        rows = _rows(db, kind, paths, columns=columns, scratch=scratch)
        if titles is not None:
            rows = replace(rows, titles=load_titles(db, titles))
        bad, bad_file = 0, out.with_name(f"{out.name}.bad.csv")
        if rows.bad and skip_bad:
            bad = write_bad(db, rows.bad, bad_file)
        elif rows.bad:
            refuse(db, rows.bad, rows.read)
        if bad == rows.read:
            raise DataError(f"{', '.join(map(str, paths))}: no row is a rating; see {bad_file} for why")
        db.execute("SET preserve_insertion_order = false")
        source: dict[str, str | int | float] = {
            "sources": ", ".join(path.name for path in paths),
            "format": rows.format,
            "bad": bad,
        }
        counts = write_store(db, rows.rows, out, titles=rows.titles, source=source)
    if counts.ratings + counts.duplicates + bad != rows.read:
        shutil.rmtree(out)
        raise RefeedError(
            f"{rows.read} rows were read, but {counts.ratings} written, {counts.duplicates} duplicates and "
            f"{bad} bad rows left out; this is a fault of refeed's"
        )
    return PrepareReport(
        out=out,
        format=rows.format,
        read=rows.read,
        bad=bad,
        bad_file=bad_file if bad else None,
        notes=rows.notes,
        **vars(counts),
    )


def _prepare_live(source: Path | str, out: Path, *, titles: Path | None, memory: str) -> PrepareReport:
    with _workplace(out, memory, size=_SMALL + 1) as (db, _):
        rows = live_rows(db, source)
        if titles is not None:
            rows = replace(rows, titles=load_titles(db, titles))
        named: dict[str, str | int | float] = {"sources": live_name(source), "format": rows.format, "bad": 0}
        counts = write_store(db, rows.rows, out, titles=rows.titles, source=named)
    return PrepareReport(
        out=out, format=rows.format, read=rows.read, bad=0, bad_file=None, notes=(), **vars(counts)
    )


def open_ratings(path: Path) -> Ratings:
    """Open a store, or read whatever `prepare` reads, a table say, into memory.

    Raises:
        DataError: as `prepare`.
        StoreError: the store is damaged, incomplete, or of another version.
    """
    if is_store(path):
        return Ratings.load(path)
    with tempfile.TemporaryDirectory() as folder:
        prepare([path], Path(folder) / "store")
        # On POSIX what is mapped stays readable after it has been removed.
        return Ratings.load(Path(folder) / "store")


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


def _kind(paths: Sequence[Path], given: Format) -> Kind:
    if not paths:
        raise DataError("no source was given; expected a table of ratings, or a MovieLens or Netflix folder")
    for path in paths:
        if not path.exists():
            raise DataError(f"{path}: there is no such file or folder")
        if is_store(path):
            raise DataError(f"{path} is a store already; it can be used as it is")
    kind = _recognised(paths[0]) if given == "auto" else given
    if kind != "table" and len(paths) > 1:
        raise DataError(f"{kind}: {len(paths)} sources were given; name the one folder that holds them")
    return kind


def _recognised(path: Path) -> Kind:
    suffixes = {suffix.lower() for suffix in path.suffixes}
    if is_movielens(path):
        return "movielens"
    # Its files are .txt and its archive a .tar; a table under another name needs no look inside.
    if (path.is_dir() or suffixes & {".txt", ".tar", ".tgz", ".zip"}) and is_netflix(path):
        return "netflix"
    if path.is_dir():
        raise DataError(
            f"{path} is a folder without ratings that are recognised: MovieLens's u.data, ratings.dat or "
            "ratings.csv; Netflix's mv_*.txt, training_set.tar or combined_data_*.txt; or name a table in it"
        )
    if suffixes & {".tar", ".tgz"}:
        return "netflix"
    return "movielens" if ".zip" in suffixes else "table"


def _rows(
    db: duckdb.DuckDBPyConnection,
    kind: Kind,
    paths: Sequence[Path],
    *,
    columns: str | None,
    scratch: Path,
) -> Rows:
    if kind == "netflix":
        return netflix_rows(db, paths[0], scratch=scratch)
    if kind == "movielens":
        return movielens_rows(db, paths[0], scratch=scratch)
    return table_rows(db, paths, parse_columns(columns))
