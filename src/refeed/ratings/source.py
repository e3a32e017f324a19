"""A table's file, made ready to be read: unpacked, and text in UTF-8.

What lies plain (or gzipped) in UTF-8 is read where it lies; anything else is first written plainly beside it.
"""

import gzip
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from io import BufferedIOBase, TextIOBase, TextIOWrapper
from pathlib import Path

from refeed.errors import DataError
from refeed.ratings.compression import damage_of, is_gzip, unpack
from refeed.ratings.options import Encoding

__all__ = ["EmptyFileError", "Source", "open_source"]

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
_ESCAPED = re.compile(r'(?<!\\)((?:\\\\)*)\\"')
_SURROGATES = re.compile("[\ud800-\udfff]")
_CHUNK = 1 << 20


class EmptyFileError(DataError):
    """There is nothing in a file; among the parts of a table that is no error."""


@dataclass(frozen=True)
class Source:
    """A table's file, ready to be read.

    Args:
        name: what to call it in a message: its path as it was given.
        path: where it is read, plain or gzipped.
        gzipped: whether it is gzipped.
        suffixes: those of its name and of what was packed, in lower case.
        parquet: whether it is Parquet; else it is text, in UTF-8 where it can be told.
        fallback: the encoding of fields that are no UTF-8, or None.
    """

    name: str
    path: Path
    gzipped: bool
    suffixes: frozenset[str]
    parquet: bool
    fallback: str | None

    @contextmanager
    def open(self) -> Iterator[TextIOBase]:
        """Open the text. Bytes that are no UTF-8 become surrogates, line ends are kept."""
        with (
            damage_of(self.name),
            self._open_bytes() as binary,
            TextIOWrapper(binary, encoding="utf-8-sig", errors="surrogateescape", newline="") as file,  # type: ignore[type-var]
        ):
            yield file

    def decoded(self, text: str) -> str | None:
        """Text whose bytes that are no UTF-8 are read in the fallback's encoding; None if there is none."""
        if text.isascii() or not _SURROGATES.search(text):
            return text
        if self.fallback is None:
            return None
        try:
            raw = text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:  # half a character, as JSON's "\\ud800"
            return None
        try:
            return raw.decode(self.fallback)
        except UnicodeDecodeError:  # cp1252 has gaps
            return raw.decode("latin-1")

    def with_doubled_quotes(self, scratch: Path) -> "Source | None":
        r"""The same text with each `\"` written `""`, as a copy; None if there is none."""
        if not self._holds(b'\\"'):
            return None
        beside = _beside(scratch, "escaped")
        found = False
        with (
            self.open() as file,
            beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as copy,
        ):
            for line in file:
                doubled = _ESCAPED.sub(r'\1""', line) if '\\"' in line else line
                found = found or doubled != line
                copy.write(doubled)
        if found:
            return replace(self, path=beside, gzipped=False)
        beside.unlink()
        return None

    def _holds(self, sought: bytes) -> bool:
        """Whether some bytes are there, across the ends of chunks, too."""
        before = b""
        with damage_of(self.name), self._open_bytes() as file:
            while chunk := file.read(_CHUNK):
                if sought in before + chunk:
                    return True
                before = chunk[1 - len(sought) :]
        return False

    def _open_bytes(self) -> BufferedIOBase:
        return gzip.open(self.path) if self.gzipped else self.path.open("rb")


def open_source(path: Path, scratch: Path, encoding: Encoding = "utf-8") -> Source:
    """Make a table's file ready to be read.

    Args:
        path: the file, perhaps packed.
        scratch: a folder for copies.
        encoding: of text without a byte order mark.

    Raises:
        DataError: there is no such file, it is damaged, packed in an unknown way, or no table at all.
    """
    plain = unpack(path, scratch)
    source = Source(
        name=str(path),
        path=plain,
        gzipped=is_gzip(plain),
        suffixes=frozenset(suffix.lower() for suffix in (*path.suffixes, *plain.suffixes)),
        parquet=False,
        fallback="cp1252" if encoding == "auto" else None,
    )
    with damage_of(source.name), source._open_bytes() as file:  # noqa: SLF001 - its own
        start = file.read(4096)
    if start.startswith(b"PAR1") or ".parquet" in source.suffixes:
        return replace(source, parquet=True)
    if start.startswith(_UTF_16):
        return _transcoded(source, scratch, "utf-16")
    if len(_CONTROL.findall(start)) > 2 + len(start) // 64:
        raise DataError(
            f"{path} is no text (it holds control characters; UTF-16 is read if it starts with a byte order "
            "mark); expected a table as CSV, TSV, JSON or Parquet"
        )
    if encoding in ("latin-1", "cp1252") and not start.startswith(b"\xef\xbb\xbf"):
        return _transcoded(source, scratch, encoding)
    return source


def _transcoded(source: Source, scratch: Path, encoding: str) -> Source:
    """A copy in UTF-8; what the encoding doesn't know stays as it was, and is found when it is read."""
    beside = _beside(scratch, "text")
    errors = "strict" if encoding == "utf-16" else "surrogateescape"
    try:
        with (
            damage_of(source.name),
            source._open_bytes() as binary,  # noqa: SLF001 - its own
            TextIOWrapper(binary, encoding=encoding, errors=errors, newline="") as file,  # type: ignore[type-var]
            beside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as copy,
        ):
            while text := file.read(_CHUNK):
                copy.write(text)
    except UnicodeError as error:
        raise DataError(
            f"{source.name} is {encoding.upper()} text, truncated or damaged ({error})"
        ) from error
    return replace(source, path=beside, gzipped=False)


def _beside(scratch: Path, what: str) -> Path:
    return scratch / f"{len(list(scratch.iterdir()))}-{what}"
