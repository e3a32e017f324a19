"""`meta.json` of a ratings store: what the folder holds, with checksums of every file in it."""

import hashlib
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from refeed.errors import StoreError
from refeed.files import given_path

__all__ = ["FORMAT", "DataKind", "checked_meta", "is_store", "quoted", "write_meta"]

DataKind = Literal["ratings", "interactions"]

FORMAT = 1
_NO_CHECKSUM = "0" * 64


def write_meta(folder: Path, source: dict[str, str | int | float], *, kind: DataKind = "ratings") -> None:
    """Write `meta.json` for the other files of a store folder, which must all be there."""
    indptr = np.load(folder / "indptr.npy", mmap_mode="r", allow_pickle=False)
    values = np.load(folder / "values.npy", mmap_mode="r", allow_pickle=False)
    meta: dict[str, Any] = {
        "format": FORMAT,
        "kind": kind,
        "users": len(indptr) - 1,
        "ratings": len(values),
        "scale": [float(values.min()), float(values.max())] if len(values) else None,
        "source": source,
        "sha256": {file.name: _sha256(file) for file in sorted(folder.iterdir())},
    }
    meta["sha256"]["meta.json"] = _NO_CHECKSUM
    text = json.dumps(meta, indent=2, ensure_ascii=False) + "\n"
    (folder / "meta.json").write_bytes(text.replace(_NO_CHECKSUM, _checksum_of_meta(text)).encode())


def is_store(path: Path | str) -> bool:
    """Whether the path looks like a ratings store, damaged or not."""
    path = given_path(path)
    return path.is_dir() and ((path / "meta.json").exists() or (path / "indptr.npy").exists())


def checked_meta(path: Path) -> dict[str, Any]:
    """Read `meta.json`, and compare every file of the folder with its checksum.

    Raises:
        StoreError: there is no store, it is incomplete or damaged, or of another version.
    """
    try:
        text = (path / "meta.json").read_bytes().decode()
        meta: dict[str, Any] = json.loads(text)
        version, checksums = meta["format"], dict(meta["sha256"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is no ratings store, or its meta.json is damaged; make one with `refeed prepare`"
        ) from error
    if version != FORMAT:
        raise StoreError(
            f"{path} has store format {version}, this refeed reads format {FORMAT}; "
            "prepare it again, or use the version of refeed that wrote it"
        )
    checksum = str(checksums.pop("meta.json", ""))
    if not checksum or _checksum_of_meta(text.replace(checksum, _NO_CHECKSUM)) != checksum:
        raise StoreError(f"{path}/meta.json is damaged (its checksum differs); prepare the store again")
    for name, checksum in checksums.items():
        if not (path / name).is_file():
            raise StoreError(f"{path} lacks {name}; the store is incomplete, prepare it again")
        if _sha256(path / name) != checksum:
            raise StoreError(f"{path / name} is damaged (its checksum differs); prepare the store again")
    missing = {"indptr.npy", "items.npy", "values.npy", "users.parquet", "items.parquet"} - checksums.keys()
    if missing:
        raise StoreError(
            f"{path}/meta.json names no {min(missing)}; the store is incomplete, prepare it again"
        )
    return meta


def _checksum_of_meta(text: str) -> str:
    """The checksum of meta.json with zeros in the place of it."""
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def quoted(path: Path) -> str:
    """A path inside a SQL string."""
    return str(path).replace("'", "''")
