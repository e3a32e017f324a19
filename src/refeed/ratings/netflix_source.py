"""Where the Netflix Prize's lines are: in a folder of movies' files, in an archive, or in four long files."""

import gzip
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal, Protocol, cast, runtime_checkable

from refeed.errors import DataError

__all__ = ["Piece", "Source", "find_netflix", "pieces"]

_BLOCK = 1 << 19
"""Bytes read at a time: the parsed words of so many lines stay in the processor's cache."""
_LONGEST_LINE = 1 << 20
_MOVIE = re.compile(r"mv_([0-9]+)\.txt")
_COMBINED = re.compile(r"combined_data_([0-9]+)\.txt")
_TITLES = ("movie_titles.txt", "movie_titles.csv")
_TARS = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_DAMAGED = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
)

Kind = Literal["movies", "combined", "tar", "zip"]


@runtime_checkable
class _Readable(Protocol):
    """A file, or a member of an archive."""

    def read(self, size: int = ..., /) -> bytes: ...


@dataclass(frozen=True)
class Source:
    """The Netflix Prize as found.

    Args:
        kind: files of one movie each, combined files, or an archive that holds either.
        paths: the files, by number; or the archive.
        titles: the file of titles, or None; in an archive it is found on the way.
    """

    kind: Kind
    paths: tuple[Path, ...]
    titles: Path | None


@dataclass(frozen=True)
class Piece:
    """Some whole lines of a file, in their order.

    Args:
        file: what to call it in a message.
        movie: the movie that the file's name tells, or None.
        start: whether these are its first lines.
        text: the lines; each ends in a line feed.
    """

    file: str
    movie: int | None
    start: bool
    text: bytes


def find_netflix(path: Path) -> Source | None:
    """Look for the Netflix Prize in a folder (or `training_set` in it), an archive, or one of its files."""
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        return None
    if path.name.lower().endswith(_TARS):
        found = _archive_holds(path, _tar_names)
        return Source("tar", (path,), _titles_near(path.parent)) if found else None
    if path.suffix.lower() == ".zip":
        found = _archive_holds(path, _zip_names)
        return Source("zip", (path,), _titles_near(path.parent)) if found else None
    if not _starts_like_netflix(path):
        return None
    kind: Kind = "movies" if _MOVIE.fullmatch(path.name) else "combined"
    return Source(kind, (path,), _titles_near(path.parent))


def pieces(source: Source, scratch: Path) -> Iterator[Piece]:
    """All lines, file by file.

    Args:
        source: as `find_netflix` gave it.
        scratch: a folder; an archive's movie_titles file is put there.

    Raises:
        DataError: a file can't be read or is no text; an archive is truncated or damaged.
    """
    if source.kind in ("movies", "combined"):
        for path in source.paths:
            try:
                with path.open("rb", buffering=0) as file:
                    yield from _pieces_of(file, str(path))
            except OSError as error:
                raise DataError(f"{path} can't be read: {error.strerror or error}") from error
        return
    (path,) = source.paths
    members = _tar_members(path, scratch) if source.kind == "tar" else _zip_members(path, scratch)
    try:
        yield from members
    except _DAMAGED as error:
        raise DataError(f"{path} is truncated or damaged ({error}); fetch it again") from error


def _in_folder(path: Path) -> Source | None:
    for pattern, number in (
        ("mv_*.txt", _MOVIE),
        ("training_set.tar", None),
        ("combined_data_*.txt", _COMBINED),
    ):
        for place in ("", "*/", "download/training_set/"):
            files = [file for file in path.glob(place + pattern) if file.is_file()]
            if number is not None:
                files = _by_number([file for file in files if number.fullmatch(file.name)], number)
            if files:
                kind: Kind = "tar" if number is None else "movies" if number is _MOVIE else "combined"
                titles = _titles_near(files[0].parent) or _titles_near(path)
                return Source(kind, tuple(files), titles)
    return None


def _by_number(files: Sequence[Path], number: re.Pattern[str]) -> list[Path]:
    return sorted(files, key=lambda file: int(cast("re.Match[str]", number.fullmatch(file.name))[1]))


def _titles_near(folder: Path) -> Path | None:
    places = (place / name for place in (folder, folder.parent) for name in _TITLES)
    return next((place for place in places if place.is_file()), None)


def _starts_like_netflix(path: Path) -> bool:
    if _MOVIE.fullmatch(path.name) or _COMBINED.fullmatch(path.name):
        return True
    with path.open("rb") as file:
        start = file.read(100)
    return re.match(rb"[0-9]+:\r?\n[0-9]+,[0-9]+,[0-9]{4}-", start) is not None


def _archive_holds(path: Path, names: Callable[[Path], Iterator[str]]) -> bool:
    try:
        return any(_is_part(PurePosixPath(name).name) for name in names(path))
    except _DAMAGED:
        return False


def _is_part(name: str) -> bool:
    return name == "training_set.tar" or bool(_MOVIE.fullmatch(name) or _COMBINED.fullmatch(name))


def _tar_names(path: Path) -> Iterator[str]:
    with tarfile.open(path) as archive:
        for member in archive:
            yield member.name


def _zip_names(path: Path) -> Iterator[str]:
    with zipfile.ZipFile(path) as archive:
        yield from archive.namelist()


def _tar_members(path: Path, scratch: Path) -> Iterator[Piece]:
    """Read an archive from front to back; nothing is unpacked but a file of titles, under its bare name."""
    with _unzipped(path) as stream, tarfile.open(fileobj=stream, mode="r|*") as archive:
        yield from _tar_pieces(archive, str(path), scratch)


@contextmanager
def _unzipped(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
        if not zipped and path.suffix == ".tar":
            file.seek(-min(512, path.stat().st_size), 2)
            if any(file.read()):  # tarfile takes an archive that ends between two files for whole
                raise tarfile.ReadError("its end is missing")
        file.seek(0)
        # gzip notices that its end is missing; tarfile's own way of reading it does not.
        yield cast("IO[bytes]", gzip.GzipFile(fileobj=file)) if zipped else file


def _tar_pieces(archive: tarfile.TarFile, where: str, scratch: Path) -> Iterator[Piece]:
    for member in archive:
        file = archive.extractfile(member) if member.isfile() else None
        if file is None:
            continue
        name = PurePosixPath(member.name).name
        if name == "training_set.tar":
            with tarfile.open(fileobj=file, mode="r|") as inner:
                yield from _tar_pieces(inner, f"{where}/{member.name}", scratch)
        else:
            yield from _member(file, name, f"{where}/{member.name}", scratch)


def _zip_members(path: Path, scratch: Path) -> Iterator[Piece]:
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            with archive.open(member) as file:
                yield from _member(file, PurePosixPath(member).name, f"{path}/{member}", scratch)


def _member(file: _Readable, name: str, where: str, scratch: Path) -> Iterator[Piece]:
    if name in _TITLES:
        (scratch / name).write_bytes(file.read())
    elif _is_part(name):
        yield from _pieces_of(file, where)


def _pieces_of(file: _Readable, where: str) -> Iterator[Piece]:
    named = _MOVIE.fullmatch(PurePosixPath(where).name)
    movie = int(named[1]) if named else None
    start, rest = True, b""
    while block := file.read(_BLOCK):
        whole, line_feed, rest = (rest + block).rpartition(b"\n")
        if len(rest) > _LONGEST_LINE:
            raise DataError(f"{where} has no lines; expected text such as 1488844,3,2005-09-06")
        if line_feed:
            yield Piece(where, movie, start, _clean(whole + line_feed, start=start))
            start = False
    if rest or start:
        yield Piece(where, movie, start, _clean(rest + b"\n", start=start) if rest else b"")


def _clean(text: bytes, *, start: bool) -> bytes:
    if start:
        text = text.removeprefix(b"\xef\xbb\xbf")
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text
