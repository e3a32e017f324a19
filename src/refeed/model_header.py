"""The header of a model folder's weights, which binds them to the files beside them; on numpy alone.

format, refeed      of the folder; the version that wrote it
model               digest of what config.toml says of prediction
items, catalogue    digests of items.parquet and items.json
users, scale        of the training ratings: how many, and the lowest and the highest rating
checksum            of the weights and all of the above
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refeed.errors import ModelError

__all__ = [
    "FORMAT",
    "check_file",
    "check_same_run",
    "check_settings",
    "check_there",
    "check_weights_there",
    "checked_header",
    "digest_file",
    "digest_settings",
    "digest_weights",
]

FORMAT = "1"


def check_weights_there(path: Path) -> None:
    """Refuse a folder without weights.

    Raises:
        ModelError: there is no such file.
    """
    if not path.is_file():
        raise ModelError(
            f"{path.parent} has no {path.name}: it is no model folder, or its training has not finished an "
            "epoch yet (go on with `refeed train … --resume`)"
        )


def checked_header(
    path: Path, header: Mapping[str, str], arrays: Mapping[str, NDArray[Any]]
) -> dict[str, str]:
    """The header without its checksum.

    Args:
        path: of the weights, for messages.
        header: as read.
        arrays: the weights.

    Raises:
        ModelError: another version, or weights or a header that were changed.
    """
    if header.get("format") != FORMAT:
        raise ModelError(
            f"{path} has model format {header.get('format', 'unknown')}, this refeed reads format {FORMAT}; "
            "use the version of refeed that wrote it, or train again"
        )
    others = {key: value for key, value in header.items() if key != "checksum"}
    if header.get("checksum") != digest_weights(arrays, others):
        raise ModelError(f"{path} is damaged (its checksum differs); restore it, or train again")
    return others


def check_settings(path: Path, found: str, expected: str) -> None:
    """Refuse a config.toml whose digest isn't the header's.

    Raises:
        ModelError: it isn't.
    """
    if found != expected:
        raise ModelError(
            f"{path} describes another model than the weights beside it: it was edited, or comes from "
            "another run; restore it"
        )


def check_same_run(path: Path, header: Mapping[str, str], bound_to: Mapping[str, str]) -> None:
    """Refuse the second part of a model where it isn't of the run of the first.

    Args:
        path: of the second part, for messages.
        header: its header.
        bound_to: that of the first.

    Raises:
        ModelError: it isn't.
    """
    if any(header.get(key) != bound_to.get(key) for key in ("items", "users", "scale")):
        raise ModelError(f"{path} belongs to another run than the weights beside it; restore it")


def check_there(path: Path) -> None:
    """Refuse a folder without this file.

    Raises:
        ModelError: it is missing.
    """
    if not path.is_file():
        raise ModelError(f"{path} is missing; the model folder is incomplete, restore it")


def check_file(path: Path, digest: str) -> None:
    """Refuse a file that isn't the one that the header names.

    Raises:
        ModelError: it is missing, damaged or another run's.
    """
    check_there(path)
    if digest_file(path) != digest:
        raise ModelError(
            f"{path} is damaged, or belongs to another run than the weights beside it; restore it"
        )


def digest_file(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_settings(text: str) -> str:
    """Of what prediction depends on in a config.toml; how long a model was trained may change by --resume.

    Of what is written there, not of what it means: a later refeed, which knows more settings, finds the same.

    Raises:
        ValueError: no TOML.
        KeyError: it has no section `model`.
    """
    config = tomllib.loads(text)
    precision = config.get("train", {}).get("precision", "float32")
    return hashlib.sha256(
        json.dumps([_plain(config["model"]), precision], sort_keys=True).encode()
    ).hexdigest()


def _plain(value: Any) -> Any:
    """The same with whole numbers as what they are to the model: 1 is 1.0."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    if isinstance(value, list):
        return [_plain(part) for part in value]
    return float(value) if type(value) is int else value


def digest_weights(arrays: Mapping[str, NDArray[Any]], header: Mapping[str, str]) -> str:
    """Of weights and a header without its checksum."""
    digest = hashlib.sha256(json.dumps(dict(header), sort_keys=True).encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} torch.{array.dtype} {tuple(array.shape)}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
