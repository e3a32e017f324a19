"""What a file is by its first bytes, and packed tables unpacked: gzip, bzip2, xz, zstd, zip with one table.

A suffix is often wrong, and first bytes never are. What can't be read is refused by its name.
"""

import bz2
import gzip
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedIOBase
from pathlib import Path, PurePosixPath

from refeed.errors import DataError

__all__ = ["damage_of", "is_gzip", "unpack"]

_GZIP, _ZIP = b"\x1f\x8b", b"PK\x03\x04"
_LOOK = 512
_ARCHIVE = "unpack it, and name the table in it"
_CONVERT = "save the table as CSV or Parquet"
_UNREADABLE: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", _ARCHIVE),
    (0, b"Rar!\x1a\x07", "a RAR archive", _ARCHIVE),
    (257, b"ustar", "a tar archive", _ARCHIVE),
    (0, b"\x04\x22\x4d\x18", "compressed by lz4", _ARCHIVE),
    (0, b"LZIP", "compressed by lzip", _ARCHIVE),
    (0, b"\x1f\x9d", "compressed by compress (.Z)", _ARCHIVE),
    (0, b"\xff\x06\x00\x00sNaPpY", "compressed by Snappy", _ARCHIVE),
    (0, b"PK\x05\x06", "an empty zip archive", "give one with a table in it"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook (.xls)", _CONVERT),
    (0, b"SQLite format 3\x00", "an SQLite database", _CONVERT),
    (0, b"\x89HDF\r\n\x1a\n", "an HDF5 file", _CONVERT),
    (0, b"ARROW1", "an Arrow (Feather) file", _CONVERT),
    (0, b"ORC", "an ORC file", _CONVERT),
    (0, b"Obj\x01", "an Avro file", _CONVERT),
    (0, b"\x93NUMPY", "a NumPy array", _CONVERT),
    (0, b"MATLAB 5.0", "a MATLAB file", _CONVERT),
    (0, b"%PDF", "a PDF", _CONVERT),
    (0, b"RDX2\n", "an R workspace", _CONVERT),
    (0, b"RDX3\n", "an R workspace", _CONVERT),
    *((0, bytes([0x80, version]), "a Python pickle", _CONVERT) for version in (2, 3, 4, 5)),
    *((0, start, "a web page", "fetch the table itself") for start in (b"<!DOCTYPE", b"<!doctype", b"<html")),
    (0, b"<?xml", "XML", _CONVERT),
)
_TABLES = {
    ".csv",
    ".tsv",
    ".tab",
    ".dat",
    ".data",
    ".txt",
    ".json",
    ".jsonl",
    ".ndjson",
    ".parquet",
    ".inter",
}


def is_gzip(path: Path) -> bool:
    """Whether a file is compressed by gzip, whatever its name."""
    return _start(path).startswith(_GZIP)


def unpack(path: Path, scratch: Path) -> Path:
    """Unpack a table that is packed otherwise than by gzip, which is read as it lies.

    Args:
        path: the table's file, packed or not.
        scratch: a folder for what is unpacked.

    Returns:
        The path itself, or that of the unpacked table.

    Raises:
        DataError: there is no such file; it is damaged; a zip archive without or with several tables; of a
            kind that can't be read, which is named.
    """
    start = _start(path)
    _refuse(path, start)
    open_it = next((open_it for magic, open_it in _STREAMS if start.startswith(magic)), None)
    if start.startswith(_GZIP):
        with damage_of(path), gzip.open(path) as packed:
            inside = packed.read(_LOOK)
        _refuse(path, inside)
        if not inside.startswith(_BINARY):
            return path
        open_it = gzip.open
    if open_it is None and not start.startswith(_ZIP):
        return path
    beside = scratch / f"{len(list(scratch.iterdir()))}-unpacked{Path(path.stem).suffix}"
    with damage_of(path):
        if open_it is None:
            try:
                _unzip(path, beside)
            except (NotImplementedError, RuntimeError) as error:
                raise DataError(
                    f"{path} is encrypted or packed in an unknown way ({error}); {_ARCHIVE}"
                ) from error
        else:
            with open_it(path) as packed, beside.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
    try:
        return unpack(beside, scratch)
    except DataError as error:
        raise DataError(str(error).replace(str(beside), str(path))) from error


def _refuse(path: Path, start: bytes) -> None:
    for at, magic, what, advice in _UNREADABLE:
        if start[at:].startswith(magic):
            raise DataError(f"{path} is {what}, which is not read; {advice}")


def _unzip(path: Path, beside: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/") and not _hidden(name)]
        if "[Content_Types].xml" in names:
            raise DataError(f"{path} is an Excel workbook or another office document; {_CONVERT}")
        tables = [
            name for name in names if _TABLES & {suffix.lower() for suffix in PurePosixPath(name).suffixes}
        ]
        tables = [name for name in tables if "readme" not in name.lower()] or tables or names
        if len(tables) != 1:
            held = f"holds {len(tables)} files: {', '.join(tables[:5])}" + ", …" * (len(tables) > 5)
            raise DataError(f"{path} {held if tables else 'is an empty zip archive'}; {_ARCHIVE}")
        with archive.open(tables[0]) as packed, beside.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked, 1 << 20)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _open_zstd(path: Path) -> BufferedIOBase:
    try:
        from compression import zstd  # type: ignore[import-not-found] # noqa: PLC0415 - Python 3.14's
    except ImportError:
        try:
            from backports import zstd  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise DataError(
                f"{path} is compressed by zstd, which Python reads from 3.14 on; install "
                "refeed[zstd], or unpack it"
            ) from error
    opened: BufferedIOBase = zstd.open(path, "rb")
    return opened


_STREAMS: tuple[tuple[bytes, Callable[[Path], BufferedIOBase]], ...] = (
    (b"BZh", bz2.BZ2File),
    (b"\xfd7zXZ\x00", lzma.LZMAFile),
    (b"\x28\xb5\x2f\xfd", _open_zstd),
)
_BINARY = (_ZIP, b"PAR1", *(magic for magic, _ in _STREAMS))


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LOOK)
    except FileNotFoundError as error:
        raise DataError(f"{path}: there is no such file") from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error


@contextmanager
def damage_of(path: Path | str) -> Iterator[None]:
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is truncated or damaged ({error}); fetch it again") from error
    except OSError as error:
        if error.errno is not None:
            raise
        raise DataError(f"{path} is truncated or damaged ({error}); fetch it again") from error
    except Exception as error:
        if type(error).__name__ == "ZstdError":  # of a module that may not be there
            raise DataError(f"{path} is truncated or damaged ({error}); fetch it again") from error
        raise
