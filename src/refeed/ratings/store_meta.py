"""A store's meta.json, and whether the files beside it are whole; on the standard library alone."""

import hashlib
import json
from pathlib import Path
from typing import Any

from refeed.errors import StoreError

__all__ = ["FORMAT", "NO_CHECKSUM", "checked_meta", "checksum_of_meta", "sha256"]

FORMAT = 1
NO_CHECKSUM = "0" * 64


def checked_meta(path: Path) -> dict[str, Any]:
    """What meta.json of a store says, once every file is found to be there and whole.

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
    if not checksum or checksum_of_meta(text.replace(checksum, NO_CHECKSUM)) != checksum:
        raise StoreError(f"{path}/meta.json is damaged (its checksum differs); prepare the store again")
    for name, checksum in checksums.items():
        if not (path / name).is_file():
            raise StoreError(f"{path} lacks {name}; the store is incomplete, prepare it again")
        if sha256(path / name) != checksum:
            raise StoreError(f"{path / name} is damaged (its checksum differs); prepare the store again")
    missing = {"indptr.npy", "items.npy", "values.npy", "users.parquet", "items.parquet"} - checksums.keys()
    if missing:
        raise StoreError(
            f"{path}/meta.json names no {min(missing)}; the store is incomplete, prepare it again"
        )
    return meta


def checksum_of_meta(text: str) -> str:
    """The checksum of meta.json with zeros in the place of it."""
    return hashlib.sha256(text.encode()).hexdigest()


def sha256(path: Path) -> str:
    """The checksum of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
