"""Atomic files and folders: written beside their place, then renamed into it."""

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from refeed.errors import UserError

__all__ = ["atomic_file", "atomic_folder", "given_path", "given_paths", "same_file", "write_text"]


def given_path(path: str | os.PathLike[str]) -> Path:
    """A path as people give it: text, or anything that stands for a path.

    Raises:
        UserError: it is neither.
    """
    if not isinstance(path, str | os.PathLike):
        raise UserError(f"{path!r} is no path; give one as text, such as 'ratings.csv', or as pathlib's Path")
    return Path(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _beside(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def given_paths(paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]]) -> list[Path]:
    """One path or several, as people give them.

    Raises:
        UserError: it is neither a path nor a sequence of them.
    """
    several = isinstance(paths, Iterable) and not isinstance(paths, str | os.PathLike)
    return [given_path(path) for path in paths] if several else [given_path(paths)]  # type: ignore[union-attr,arg-type]


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """Give a path to write to; on success it becomes `path` in one step, on an error nothing is left."""
    beside = _beside(path)
    try:
        yield beside
        _sync(beside)
        beside.replace(path)
        _sync(path.parent)
    finally:
        beside.unlink(missing_ok=True)


def same_file(path: Path, other: Path) -> None:
    """Make `other` the same file as `path`: a second name, where the disk has such, or else a copy.

    For files that are only ever replaced as a whole.
    """
    with atomic_file(other) as beside:
        try:
            beside.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, beside)


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Give an empty folder to fill; on success it becomes `path` in one step, on an error nothing is left.

    Raises:
        FileExistsError: `path` is there already and is not an empty folder.
    """
    beside = _beside(path)
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir()
    try:
        yield beside
        for file in beside.rglob("*"):
            _sync(file)
        try:
            beside.replace(path)
        except OSError as error:
            raise FileExistsError(f"{path} exists already") from error
        _sync(path.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    with atomic_file(path) as beside:
        beside.write_text(text, encoding="utf-8")
