"""Which files a path stands for: itself, what a pattern matches, or a folder's parts of one table."""

import re
from dataclasses import dataclass
from glob import glob, has_magic
from pathlib import Path

from refeed.errors import DataError

__all__ = ["Parts", "find_parts"]

# Spark's and Hadoop's, Dask's, DuckDB's and Polars', BigQuery's.
_PART = re.compile(
    r"part[-_.]?[0-9]+.*|[0-9]+[.]part|data_[0-9]+[.].*|[0-9]{8,}[.].*|.*-[0-9]{12}([.].*)?", re.IGNORECASE
)
_MARK = "_SUCCESS"


@dataclass(frozen=True)
class Parts:
    """The files that a path stands for.

    Args:
        files: in the order of their names.
        many: whether they are the parts of one table, any of which may be empty.
    """

    files: tuple[Path, ...]
    many: bool


def find_parts(path: Path) -> Parts | None:
    """The files that a path stands for; None for a folder that is no table in parts.

    Raises:
        DataError: nothing is there, or a folder has no part that holds anything.
    """
    if path.is_dir():
        return _parts_of(path)
    if path.exists() or not has_magic(str(path)):
        return Parts((path,), many=False)
    matched = tuple(Path(name) for name in sorted(glob(str(path), recursive=True)))  # noqa: PTH207 - absolute too
    files = tuple(file for file in matched if file.is_file())
    if not files:
        raise DataError(f"{path}: no file matches this pattern")
    return Parts(files, many=len(files) > 1)


def _parts_of(folder: Path) -> Parts | None:
    visible = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and not any(part.startswith(("_", ".")) for part in file.relative_to(folder).parts)
    ]
    marked = (folder / _MARK).exists()
    if not marked and not (visible and all(_PART.fullmatch(file.name) for file in visible)):
        return None
    if not visible:
        raise DataError(f"{folder} is the folder of a table in parts, with no part in it")
    named = [file for file in visible if _PART.fullmatch(file.name)]
    return Parts(tuple(named or visible), many=True)
