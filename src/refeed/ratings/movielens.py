"""MovieLens as GroupLens ships it: a folder or a .zip of 100k, 1M, 10M, 20M, 25M, 32M or latest."""

import shutil
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path, PurePosixPath

import duckdb

from refeed.errors import DataError
from refeed.ratings.build import Rows
from refeed.ratings.parts import Parts
from refeed.ratings.table import table_rows
from refeed.ratings.titles import load_titles

__all__ = ["is_movielens", "movielens_rows"]

# Ratings, titles, and which sets come like this.
_SHAPES = (
    ("u.data", "u.item", "MovieLens, u.data (100k)"),
    ("ratings.dat", "movies.dat", "MovieLens, ratings.dat (1M, 10M)"),
    ("ratings.csv", "movies.csv", "MovieLens, ratings.csv (20M, 25M, 32M, latest)"),
)


def is_movielens(path: Path) -> bool:
    """Whether a folder or a zip archive holds MovieLens's files, itself or one folder further down."""
    if path.is_dir():
        return _shape([str(file.relative_to(path)) for file in _files(path)]) is not None
    try:
        return _shape(_members(path)) is not None
    except DataError:
        return False


def movielens_rows(db: duckdb.DuckDBPyConnection, path: Path, *, scratch: Path) -> Rows:
    """Read MovieLens's ratings and titles into DuckDB.

    Args:
        db: a connection of one's own, with the time zone UTC.
        path: the folder or the archive.
        scratch: a folder for what is unpacked.

    Raises:
        DataError: the files of no MovieLens set are there, or they are damaged.
    """
    names = [str(file.relative_to(path)) for file in _files(path)] if path.is_dir() else _members(path)
    shape = _shape(names)
    if shape is None:
        expected = ", ".join(f"{ratings} with {titles}" for ratings, titles, _ in _SHAPES)
        raise DataError(f"{path} holds no MovieLens ratings; expected {expected}")
    ratings, titles, label = shape
    folder = path
    if not path.is_dir():
        folder = scratch
        _unpack(path, [name for name in (ratings, titles) if name], scratch)
        ratings, titles = PurePosixPath(ratings).name, titles and PurePosixPath(titles).name
    try:
        rows = table_rows(db, [Parts((folder / ratings,), many=False)], scratch)
        columns = ("item", "title", "genres") if titles and titles.endswith(".dat") else None
        named = load_titles(db, folder / titles, scratch, names=columns) if titles else None
    except DataError as error:
        # Nobody can look at what was unpacked.
        raise DataError(str(error).replace(str(folder), str(path))) from error
    db.execute(
        "UPDATE read_files SET path = replace(path, $unpacked, $archive)",
        {"unpacked": str(folder), "archive": str(path)},
    )
    return replace(rows, titles=named, format=label, certain=True)


def _files(folder: Path) -> list[Path]:
    return [file for pattern in ("*", "*/*") for file in sorted(folder.glob(pattern)) if file.is_file()]


def _members(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is no zip archive, or truncated or damaged ({error}); fetch it again"
        ) from error


def _shape(names: list[str]) -> tuple[str, str | None, str] | None:
    """The paths of the ratings and, if they are there, of the titles; and what they are."""
    shallow = [name for name in names if len(PurePosixPath(name).parts) <= 2]
    for ratings, titles, label in _SHAPES:
        for name in shallow:
            if PurePosixPath(name).name == ratings:
                beside = str(PurePosixPath(name).with_name(titles))
                return name, beside if beside in shallow else None, label
    return None


def _unpack(path: Path, members: list[str], scratch: Path) -> None:
    """Unpack under the members' own names alone, so that none can be written outside the folder."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in members:
                with (
                    archive.open(member) as packed,
                    (scratch / PurePosixPath(member).name).open("wb") as unpacked,
                ):
                    shutil.copyfileobj(packed, unpacked, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise DataError(
            f"{path} is damaged, encrypted or packed in an unknown way ({error}); fetch it again"
        ) from error
