"""Packed tables are read by their first bytes, whatever their names; others are called by their name."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from refeed.errors import DataError
from refeed.ratings.compression import unpack
from refeed.ratings.read import open_ratings, prepare

TEXT = b"user,item,rating\nann,x,4\nbob,y,-2\n"
RATED = {("ann", "x"): 4.0, ("bob", "y"): -2.0}


def rated(path: Path) -> dict[tuple[str, str], float]:
    ratings = open_ratings(path)
    rows = zip(ratings.users.tolist(), ratings.items.tolist(), ratings.values.tolist(), strict=True)
    return {(ratings.user_ids[u], ratings.item_ids[i]): value for u, i, value in rows}


def zipped(files: dict[str, bytes]) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return archive.getvalue()


def tarred(content: bytes) -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as file:
        member = tarfile.TarInfo("ratings.csv")
        member.size = len(content)
        file.addfile(member, io.BytesIO(content))
    return archive.getvalue()


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("r.csv.gz", gzip.compress),
        ("r.csv.GZ", gzip.compress),
        ("r.csv.gzip", gzip.compress),
        ("r.csv", gzip.compress),
        ("r", gzip.compress),
        ("r.csv.gz", lambda text: gzip.compress(text[:20], mtime=0) + gzip.compress(text[20:], mtime=0)),
        ("r.csv.gz", lambda text: text),
        ("r.csv.bz2", bz2.compress),
        ("r.csv", bz2.compress),
        ("r.csv.xz", lzma.compress),
        ("r.csv.zip", lambda text: zipped({"ratings.csv": text})),
        (
            "r.zip",
            lambda text: zipped(
                {"README.txt": b"read me", "d/": b"", "d/r.csv": text, "__MACOSX/r.csv": b"x"}
            ),
        ),
        ("r.zip", lambda text: zipped({"no-suffix": text})),
        ("r.zip", lambda text: zipped({"r.csv.gz": gzip.compress(text, mtime=0)})),
    ],
)
def test_a_packed_table_is_read(tmp_path: Path, name: str, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / name).write_bytes(pack(TEXT))

    assert rated(tmp_path / name) == RATED


def test_zstd_is_read(tmp_path: Path) -> None:
    zstd = pytest.importorskip("backports.zstd")
    (tmp_path / "r.csv.zst").write_bytes(zstd.compress(TEXT[:9]) + zstd.compress(TEXT[9:]))
    (tmp_path / "short.csv.zst").write_bytes(zstd.compress(TEXT * 100)[:-4])

    assert rated(tmp_path / "r.csv.zst") == RATED
    with pytest.raises(DataError, match=r"short\.csv\.zst is truncated or damaged"):
        open_ratings(tmp_path / "short.csv.zst")


def test_a_packed_parquet_is_read(tmp_path: Path) -> None:
    with duckdb.connect() as db:
        rows = """FROM (VALUES ('ann', 'x', 4), ('bob', 'y', -2)) t("user", item, rating)"""
        db.execute(f"COPY ({rows}) TO '{tmp_path / 'r.parquet'}'")
    content = (tmp_path / "r.parquet").read_bytes()
    for name, packed in (
        ("p.gz", gzip.compress(content, mtime=0)),
        ("q.zip", zipped({"r.parquet": content})),
    ):
        (tmp_path / name).write_bytes(packed)

        assert rated(tmp_path / name) == RATED


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "is a 7z archive, which is not read; unpack it"),
        (b"Rar!\x1a\x07\x01\x00", "is a RAR archive"),
        (b"\x04\x22\x4d\x18\x64", "is compressed by lz4"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            r"is an Excel workbook \(\.xls\), which is not read; save the table as",
        ),
        (zipped({"[Content_Types].xml": b"<x/>", "xl/a.xml": b""}), "is an Excel workbook or another office"),
        (
            zipped({"a.csv": TEXT, "b.csv": TEXT}),
            r"holds 2 files: a\.csv, b\.csv; unpack it, and name the table",
        ),
        (zipped({}), "is an empty zip archive"),
        (tarred(TEXT), "is a tar archive"),
        (gzip.compress(tarred(TEXT), mtime=0), "is a tar archive"),
        (b"SQLite format 3\x00", "is a SQLite database"),
        (b"\x89HDF\r\n\x1a\n", "is an HDF5 file"),
        (b"ARROW1\x00\x00", r"is an Arrow \(Feather\) file"),
        (b"ORC\x01", "is an ORC file"),
        (b"\x80\x04\x95", "is a Python pickle"),
        (b"%PDF-1.4", "is a PDF"),
        (b"<!DOCTYPE html><html>", "is a web page, which is not read; fetch the table itself"),
        (bytes(range(256)), "is no text"),
        (bz2.compress(TEXT * 99)[:-5], "is truncated or damaged"),
        (lzma.compress(TEXT * 99)[:-5], "is truncated or damaged"),
        (zipped({"a.csv": TEXT * 99})[:-5], "is truncated or damaged"),
    ],
)
def test_what_can_not_be_read_is_called_by_its_name(tmp_path: Path, content: bytes, what: str) -> None:
    (tmp_path / "r.csv").write_bytes(content)

    with pytest.raises(DataError, match=rf"^\S*r\.csv {what}") as caught:
        open_ratings(tmp_path / "r.csv")

    assert str(caught.value).isprintable()


def test_unpacking_leaves_what_lies_plain_or_gzipped_where_it_is(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for name, content in (("a.csv", TEXT), ("a.csv.gz", gzip.compress(TEXT, mtime=0))):
        (tmp_path / name).write_bytes(content)
        assert unpack(tmp_path / name, scratch) == tmp_path / name
    assert list(scratch.iterdir()) == []


def test_bad_rows_of_a_packed_table_are_named_by_its_own_name(tmp_path: Path) -> None:
    (tmp_path / "r.csv.bz2").write_bytes(bz2.compress(TEXT + b"\ncid,z,bad\n"))

    with pytest.raises(DataError, match=r"/r\.csv\.bz2:5: the rating is no number: 'bad'"):
        prepare([tmp_path / "r.csv.bz2"], tmp_path / "store")


def test_messages_print_no_control_characters(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m.csv"
    path.write_text("user,item,rating\nann,x\x07,\x1b[2Jbad\n")

    with pytest.raises(DataError) as caught:
        prepare([path], tmp_path / "store")

    assert str(caught.value).replace("\n", "").isprintable()
    assert r"a\x1b[31m.csv:2: the rating is no number: '\x1b[2Jbad'" in str(caught.value)
